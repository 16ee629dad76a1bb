"""From bot to human."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assistant import escalation
from assistant.errors import Conflict, NotAllowed
from assistant.escalation import CaseFacts, load_rules, open_case, raise_priority
from assistant.handover import summary
from assistant.institution import load_institution
from assistant.types.actions import Receipt
from assistant.types.cases import Agent, Case, CaseReason, Priority, Queue
from assistant.types.events import ActionFinished, EventDraft, ReplySent, TurnAccepted
from assistant.types.messages import Reply, Said, Turn
from assistant.types.understanding import Act, Arbitration, Prediction, RiskKind, RiskSignal, Slots, Understanding
from assistant.types.value import AgentName, CaseId, IntentId, MessageId, SessionId, TraceId, TurnId

RULES = load_rules()
INSTITUTION = load_institution(Path(__file__).resolve().parent.parent / "knowledge" / "institution.yaml")
MONDAY_10 = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
ANN = Agent(name=AgentName("ann"), display_name="安", role="agent")
BOB = Agent(name=AgentName("bob"), display_name="博", role="agent")
SUE = Agent(name=AgentName("sue"), display_name="苏", role="supervisor")


def _risk(kind: RiskKind) -> RiskSignal:
    return RiskSignal(kind=kind, level="high", evidence="…", rule="r")


def _facts(
    reason: CaseReason = "customer_asked",
    intent: str | None = "human_agent",
    act: Act | None = None,
    risks: tuple[RiskSignal, ...] = (),
    at: datetime = MONDAY_10,
) -> CaseFacts:
    return CaseFacts(
        case_id=CaseId("c1"),
        session_id=SessionId("s1"),
        customer_id=None,
        reason=reason,
        intent=IntentId(intent) if intent else None,
        act=act,
        risks=risks,
        summary="…",
        locale="zh-CN",
        at=at,
    )


def _case(**changes: object) -> Case:
    return open_case(_facts(**changes), INSTITUTION, RULES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "intent", "act", "risk", "queue", "priority"),
    [
        ("risk", "verify_official", "report", "scam_victim", "fraud", "urgent"),
        ("risk", "bill_query", "status", "account_takeover", "fraud", "urgent"),
        ("risk", "complaint", "report", "self_harm", "hardship", "urgent"),
        ("human_route", "fraud_report", "report", None, "fraud", "urgent"),
        ("human_route", "hardship_plan", "do", None, "hardship", "high"),
        ("human_route", "collection_complaint", "report", None, "complaint", "high"),
        ("human_route", "complaint", "report", None, "complaint", "high"),
        ("human_route", "privacy_request", "do", None, "privacy", "normal"),
        ("human_route", "charge_dispute", "report", None, "repayment", "normal"),
        ("human_route", "credit_record", "report", None, "complaint", "normal"),
        ("unanswered", "credit_record", "ask", None, "general", "normal"),
        ("action_unknown", "early_repay", "do", None, "repayment", "high"),
        ("bank_down", "bill_query", "status", None, "repayment", "normal"),
        ("verification_failed", None, None, None, "general", "normal"),
        ("customer_asked", "human_agent", "do", None, "general", "normal"),
        ("not_understood", None, None, None, "general", "normal"),
    ],
)
def test_a_hand_over_finds_its_queue_and_priority(
    reason: CaseReason, intent: str | None, act: Act | None, risk: RiskKind | None, queue: Queue, priority: Priority
) -> None:
    case = _case(reason=reason, intent=intent, act=act, risks=(_risk(risk),) if risk else ())
    assert (case.queue, case.priority) == (queue, priority)
    assert case.suggested_reply


def test_due_times_run_in_business_hours_and_urgent_ones_on_duty_hours() -> None:
    assert _case(reason="risk", risks=(_risk("scam_victim"),)).due_at == MONDAY_10 + timedelta(minutes=30)
    friday_17 = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
    assert _case(at=friday_17).due_at == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    saturday_23 = datetime(2026, 11, 28, 15, 0, tzinfo=UTC)
    urgent = _case(reason="risk", risks=(_risk("self_harm"),), at=saturday_23)
    assert urgent.due_at == datetime(2026, 11, 29, 0, 30, tzinfo=UTC)


def test_duty_hours_are_those_of_the_institution() -> None:
    assert escalation.on_duty(MONDAY_10, INSTITUTION)
    assert not escalation.on_duty(datetime(2026, 11, 23, 14, 0, tzinfo=UTC), INSTITUTION)


def test_a_complaint_is_decided_within_15_days_and_a_dispute_within_20() -> None:
    complaint = _case(reason="human_route", intent="complaint")
    dispute = _case(reason="human_route", intent="credit_record", act="report")
    assert complaint.regulatory_due_at == datetime(2026, 12, 8, 15, 59, 59, tzinfo=UTC)
    assert dispute.regulatory_due_at == datetime(2026, 12, 13, 15, 59, 59, tzinfo=UTC)
    assert _case().regulatory_due_at is None


def test_a_new_danger_raises_an_open_case() -> None:
    case = _case(reason="human_route", intent="complaint")
    later = MONDAY_10 + timedelta(minutes=5)
    raised = raise_priority(
        case, _facts(reason="risk", intent="complaint", risks=(_risk("scam_victim"),), at=later), INSTITUTION, RULES
    )
    assert (raised.priority, raised.queue, raised.reason) == ("urgent", "fraud", "risk")
    assert raised.due_at == later + timedelta(minutes=30)
    assert raised.regulatory_due_at == case.regulatory_due_at
    assert raised.version == case.version + 1


def test_a_small_matter_lowers_nothing() -> None:
    case = _case(reason="risk", risks=(_risk("scam_victim"),))
    again = raise_priority(case, _facts(at=MONDAY_10 + timedelta(hours=1)), INSTITUTION, RULES)
    assert (again.priority, again.queue, again.due_at) == (case.priority, case.queue, case.due_at)
    assert again.risks == case.risks


def test_a_case_runs_from_claim_to_resolution() -> None:
    claimed = escalation.claim(_case(), ANN)
    assert (claimed.status, claimed.assignee, claimed.version) == ("claimed", "ann", 2)
    closed = escalation.resolve(claimed, ANN, "answered", MONDAY_10)
    assert (closed.status, closed.disposition, closed.closed_at) == ("resolved", "answered", MONDAY_10)


def test_a_released_or_transferred_case_is_open_again() -> None:
    claimed = escalation.claim(_case(), ANN)
    released = escalation.release(claimed, ANN)
    assert (released.status, released.assignee) == ("open", None)
    moved = escalation.transfer(claimed, ANN, "hardship")
    assert (moved.status, moved.queue, moved.assignee) == ("open", "hardship", None)


def test_handing_back_closes_the_case() -> None:
    case = escalation.hand_back(escalation.claim(_case(), ANN), ANN, MONDAY_10)
    assert (case.status, case.disposition) == ("resolved", "handed_back")


def test_relabelling_corrects_the_intent() -> None:
    assert escalation.relabel(_case(), IntentId("complaint")).intent == "complaint"


def test_illegal_moves_are_conflicts() -> None:
    opened = _case()
    claimed = escalation.claim(opened, ANN)
    closed = escalation.resolve(claimed, ANN, "answered", MONDAY_10)
    with pytest.raises(Conflict, match="c1 is claimed: cannot claim"):
        escalation.claim(claimed, BOB)
    with pytest.raises(Conflict, match="is open: cannot release"):
        escalation.release(opened, ANN)
    with pytest.raises(Conflict, match="cannot resolve"):
        escalation.resolve(opened, ANN, "answered", MONDAY_10)
    with pytest.raises(Conflict, match="is in queue general already"):
        escalation.transfer(opened, ANN, "general")
    for move in (
        lambda: escalation.claim(closed, ANN),
        lambda: escalation.transfer(closed, ANN, "fraud"),
        lambda: escalation.relabel(closed, IntentId("complaint")),
        lambda: escalation.hand_back(closed, ANN, MONDAY_10),
        lambda: raise_priority(closed, _facts(), INSTITUTION, RULES),
    ):
        with pytest.raises(Conflict, match="is resolved"):
            move()


def test_only_the_holder_or_a_supervisor_moves_a_claimed_case() -> None:
    claimed = escalation.claim(_case(), ANN)
    with pytest.raises(NotAllowed, match="c1 is ann's"):
        escalation.release(claimed, BOB)
    assert escalation.release(claimed, SUE).status == "open"


def _said(text: str) -> EventDraft:
    turn = Turn(
        turn_id=TurnId("t"),
        session_id=SessionId("s1"),
        client_message_id="m",
        input=Said(text=text),
        trace_id=TraceId("x"),
        accepted_at=MONDAY_10,
    )
    return EventDraft(source="customer", trace_id=TraceId("x"), at=MONDAY_10, body=TurnAccepted(turn=turn))


def _answered() -> EventDraft:
    reply = Reply(message_id=MessageId("r"), text="…", locale="zh-CN", outcome="answered", trace_id=TraceId("x"))
    return EventDraft(source="assistant", trace_id=TraceId("x"), at=MONDAY_10, body=ReplySent(reply=reply))


def test_the_summary_tells_an_agent_what_is_wanted_and_what_was_done() -> None:
    text = "帮我把装修那笔先还5000，电话[PHONE_1]"
    understanding = Understanding(
        text=text,
        language="zh",
        prediction=Prediction(intent=IntentId("early_repay"), act="do", confidence=0.97),
        slots=Slots(amount_fen=500_000, loan="purpose:装修", phone="[PHONE_1]", part="part"),
        risks=(RiskSignal(kind="scam_victim", level="high", evidence="安全账户", rule="r"),),
    )
    receipt = Receipt(receipt_id="r1", action="early_repay", status="unknown", at=MONDAY_10)
    finished = EventDraft(
        source="system", trace_id=TraceId("x"), at=MONDAY_10, body=ActionFinished(key="k", receipt=receipt)
    )
    told = summary(
        [_said("提前还要手续费吗"), _answered(), _said(text), finished],
        reason="action_unknown",
        understanding=understanding,
        intent_label="提前还款/结清",
        verified=True,
        book=RULES,
    )
    lines = told.split("\n")
    assert lines[0] == "转人工原因：办理结果未知"
    assert lines[1] == f"客户原话：“提前还要手续费吗”；“{text}”"
    assert lines[2] == "识别诉求：提前还款/结清，要求办理（把握97%）"
    assert "金额¥5,000.00" in lines[3]
    assert lines[4] == "AI助手已做：已按条文回答；提前还款结果未知（回执r1）"
    assert lines[5] == "身份：已验证"
    assert lines[6] == "风险：疑似正在被骗（高）：“安全账户”"


def test_a_wish_that_a_chat_model_settled_is_told_as_unsure() -> None:
    intent, other = IntentId("fraud_report"), IntentId("charge_dispute")
    arbitration = Arbitration(candidates=(intent, other), read=other, abstained="ambiguous", outcome="chosen")
    prediction = Prediction(intent=intent, act="report", confidence=0.41, arbitration=arbitration)
    told = summary(
        [],
        reason="human_route",
        understanding=Understanding(text="这笔不是我付的", language="zh", prediction=prediction),
        intent_label="盗刷举报",
        verified=False,
        book=RULES,
    )
    assert "把握41%，不确定，请向客户核实" in told


def test_a_summary_of_a_tapped_button_needs_no_words() -> None:
    told = summary([], reason="customer_asked", understanding=None, intent_label=None, verified=False, book=RULES)
    assert "客户点了“人工”" in told
    assert "身份：未验证" in told
