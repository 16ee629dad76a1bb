"""Values that the tests of durable state write and read: sessions, turns, proposals, claims, cases."""

from datetime import UTC, date, datetime, timedelta

from assistant.adapters.sql import SqlStore
from assistant.ports import TurnCommit
from assistant.types.actions import ActionClaim, Confirmed, EarlyRepayArguments, Proposal, Receipt, VerifiedIdentity
from assistant.types.answers import Citation
from assistant.types.banking import EarlyRepaymentQuote
from assistant.types.cases import Case, Priority, Queue
from assistant.types.events import CodeSent, EventBody, EventDraft, QuestionUnanswered, SessionOpened, Versions
from assistant.types.messages import IntentView, Reply, Said, Session, Turn, TurnInput
from assistant.types.value import (
    CaseId,
    CustomerId,
    DocumentId,
    IntentId,
    MessageId,
    ProposalId,
    SessionId,
    TraceId,
    TurnId,
)

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
VERSIONS = Versions(model="m1", prompts="p1", policy="k1", rules="r1", taxonomy="t1")


def a_session(session_id: str = "s1") -> Session:
    return Session(session_id=SessionId(session_id), locale="zh-CN", channel="web", created_at=NOW)


def opened(store: SqlStore, session_id: str = "s1") -> Session:
    """A session in the store; its token digest is `token-<id>`."""
    session = a_session(session_id)
    store.create_session(session, f"token-{session_id}", LATER, draft(SessionOpened(notice="您好，我是智能助手。")))
    return session


def draft(body: EventBody, versions: Versions | None = None) -> EventDraft:
    return EventDraft(source="system", trace_id=TraceId("trace"), at=NOW, body=body, versions=versions)


def a_turn(session_id: str = "s1", number: int = 1, given: TurnInput | None = None) -> Turn:
    return Turn(
        turn_id=TurnId(f"{session_id}-t{number}"),
        session_id=SessionId(session_id),
        client_message_id=f"c{number}",
        input=given or Said(text=f"第{number}条：提前还款要手续费吗？"),
        trace_id=TraceId(f"trace-{session_id}-{number}"),
        accepted_at=NOW + timedelta(seconds=number),
    )


def a_reply(turn: Turn) -> Reply:
    return Reply(
        message_id=MessageId(f"m-{turn.turn_id}"),
        text="可以随时提前还款。",
        locale="zh-CN",
        outcome="answered",
        trace_id=turn.trace_id,
    )


def a_commit(turn: Turn, session: Session, /, **parts: object) -> TurnCommit:
    """A commit on top of the session as read; `parts` are further fields of TurnCommit."""
    events = (draft(CodeSent(), VERSIONS), draft(CodeSent()))
    fields = {"turn": turn, "session": risen(session), "reply": a_reply(turn), "events": events, **parts}
    return TurnCommit.model_validate(fields)


def risen(session: Session) -> Session:
    return session.model_copy(update={"version": session.version + 1})


def serve(store: SqlStore, session_id: str = "s1", number: int = 1) -> Reply:
    """One whole turn."""
    start = store.accept(a_turn(session_id, number), ())
    return store.commit(a_commit(start.turn, start.session))


def an_identity() -> VerifiedIdentity:
    return VerifiedIdentity(customer_id=CustomerId("C1"), level="code", verified_at=NOW, expires_at=LATER)


def a_proposal(proposal_id: str = "p1", session_id: str = "s1") -> Proposal:
    quote = EarlyRepaymentQuote(
        loan_id="L1",
        on=date(2026, 11, 23),
        principal_fen=100_000,
        interest_fen=321,
        fee_fen=0,
        total_fen=100_321,
        remaining_principal_fen=0,
        interest_saved_fen=4_000,
        card_tail="6789",
    )
    return Proposal(
        proposal_id=ProposalId(proposal_id),
        session_id=SessionId(session_id),
        customer_id=CustomerId("C1"),
        arguments=EarlyRepayArguments(quote=quote),
        consequences=("将从尾号6789的卡扣款1003.21元",),
        created_at=NOW,
        expires_at=LATER,
    )


def a_claim(proposal: Proposal) -> ActionClaim:
    confirmed = Confirmed(proposal=proposal, identity=an_identity(), digest=proposal.digest, confirmed_at=NOW)
    return ActionClaim(
        key=proposal.idempotency_key, session_id=proposal.session_id, confirmed=confirmed, claimed_at=NOW
    )


def a_receipt(status: str = "done") -> Receipt:
    return Receipt.model_validate(
        {"receipt_id": f"r-{status}", "action": "early_repay", "status": status, "facts": {"total_fen": 1}, "at": NOW}
    )


def a_case(
    case_id: str,
    session_id: str = "s1",
    priority: Priority = "normal",
    due_minutes: int = 60,
    queue: Queue = "general",
) -> Case:
    return Case(
        case_id=CaseId(case_id),
        session_id=SessionId(session_id),
        customer_id=None,
        reason="customer_asked",
        intent=None,
        priority=priority,
        queue=queue,
        summary="客户要求人工。",
        opened_at=NOW,
        due_at=NOW + timedelta(minutes=due_minutes),
    )


def a_gap(text: str, intent: str = "repay_how", **parts: object) -> QuestionUnanswered:
    fields = {"text": text, "intent": intent, "act": "ask", "locale": "zh-CN", **parts}
    return QuestionUnanswered.model_validate(fields)


def a_cited_reply(turn: Turn) -> Reply:
    """The reply to a question that a clause answered."""
    citation = Citation(
        document_id=DocumentId("early"),
        version="2026",
        title="提前还款",
        section="收费吗",
        quote="可以随时提前还款。",
        effective_from=date(2026, 1, 1),
    )
    intent = IntentView(id=IntentId("early_repay"), act="ask", confidence=0.9)
    return a_reply(turn).model_copy(update={"citations": (citation,), "intent": intent})
