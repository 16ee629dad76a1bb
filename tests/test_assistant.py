"""The turn line through its public door, on real parts: idempotency, degraded modes, crashes between durable points."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from assistant import audit
from assistant.adapters.banking import SandboxBank
from assistant.adapters.keys import load_keys
from assistant.adapters.sql import SqlStore
from assistant.compose import Application, database_url
from assistant.errors import BankUnavailable, EncoderUnavailable, InvalidInput, RetrieverUnavailable
from assistant.institution import load_institution
from assistant.settings import Settings
from assistant.types.events import QuestionUnanswered
from assistant.types.messages import Reply
from assistant.types.value import CustomerId, SessionId
from tests.conftest import Composer
from tests.doubles import FixedClock, TimingOutBank
from tests.store_material import NOW

C1 = CustomerId("C0001")


def opened(application: Application) -> SessionId:
    return application.sessions.open("zh-CN", "api").session_id


def verified(application: Application) -> SessionId:
    session_id = opened(application)
    application.verification.request(session_id, "13800000001", "local")
    application.verification.confirm(session_id, application.sessions.outbox(session_id)[-1].code)
    return session_id


def card(application: Application, session_id: SessionId) -> Any:
    reply = application.assistant.respond(session_id, "我要把手机那笔贷款提前还清", "card")
    assert reply.proposal is not None, reply.text
    return reply.proposal


@pytest.fixture
def bank(settings: Settings, clock: FixedClock) -> SandboxBank:
    return SandboxBank(
        settings.data_dir / "bank.sqlite", clock, load_institution(settings.knowledge_dir / "institution.yaml")
    )


def test_what_two_requests_are_told_alike_is_said_once(application: Application) -> None:
    reply = application.assistant.respond(
        opened(application), "借呗提前还完了额度咋还没回来 另外帮我看看这月要还多少", "m1"
    )
    assert reply.intent is not None
    assert reply.intent.secondary is not None
    paragraphs = [part for part in reply.text.split("\n\n") if part]
    assert len(paragraphs) == len(set(paragraphs))


def test_a_question_is_answered_from_a_cited_clause_in_force(application: Application) -> None:
    reply = application.assistant.respond(opened(application), "提前还款要手续费吗", "m1")
    assert reply.outcome == "answered"
    assert reply.citations[0].document_id == "early-repayment"
    assert reply.citations[0].version == "2026.1"
    assert reply.citations[0].quote in reply.text
    assert reply.ai_generated


def test_the_same_message_id_gets_the_same_reply_and_writes_nothing_twice(application: Application) -> None:
    session_id = opened(application)
    first = application.assistant.respond(session_id, "怎么还款", "m1")
    seen = application.sessions.events(session_id)
    assert application.assistant.respond(session_id, "怎么还款", "m1") == first
    assert application.sessions.events(session_id) == seen


GAP = "利息能抵个税不"
"""A question that the sample policies have no clause for."""


def gaps(application: Application, session_id: SessionId) -> list[QuestionUnanswered]:
    bodies = [event.body for event in application.assistant._store.events(session_id)]
    return [body for body in bodies if isinstance(body, QuestionUnanswered)]


def test_a_question_without_a_clause_goes_to_a_person_and_is_kept_for_editors(application: Application) -> None:
    session_id = opened(application)
    reply = application.assistant.respond(session_id, f"{GAP} 13912345678", "m1")
    assert reply.outcome == "escalated"
    assert reply.intent is not None
    (gap,) = gaps(application, session_id)
    assert gap.text == f"{GAP} [PHONE_1]"
    assert (gap.intent, gap.act, gap.locale) == (reply.intent.id, reply.intent.act, "zh-CN")
    assert gap.nearest
    application.assistant.respond(session_id, "提前还款要手续费吗", "m2")
    assert len(gaps(application, session_id)) == 1
    store = application.assistant._store
    assert [one.text for one in store.unanswered(NOW)] == [gap.text]
    assert [one.text for one in store.answered(NOW)] == ["提前还款要手续费吗"]
    with store.audit_trail() as (rows, heads):
        assert audit.verify(rows, heads).findings == ()


class EmptyRetriever:
    """An index that answers nothing."""

    version = "empty"

    def search(self, *_: Any, **__: Any) -> tuple[()]:
        return ()


def test_a_question_on_its_way_to_a_person_is_kept_too_where_no_clause_helps_first(
    composed: Composer, clock: FixedClock
) -> None:
    application = composed(clock=clock, retriever=EmptyRetriever())
    session_id = opened(application)
    reply = application.assistant.respond(session_id, "我的人脸照片存在哪台电脑里", "m1")
    assert reply.outcome == "escalated"
    assert reply.citations == ()
    assert [gap.intent for gap in gaps(application, session_id)] == ["privacy_request"]


def test_a_question_about_another_companys_product_is_no_gap(composed: Composer, clock: FixedClock) -> None:
    application = composed(clock=clock, retriever=EmptyRetriever())
    session_id = opened(application)
    reply = application.assistant.respond(session_id, "用白条会掉芝麻分吗", "m1")
    assert reply.outcome == "refused"
    assert gaps(application, session_id) == []


@pytest.mark.parametrize("text", ["", "   ", "\u200b", "长" * 2001])
def test_unfit_text_is_refused_before_anything_is_written(application: Application, text: str) -> None:
    session_id = opened(application)
    with pytest.raises(InvalidInput):
        application.assistant.respond(session_id, text, "m1")
    assert application.sessions.events(session_id) == ()


def test_a_phone_number_never_reaches_events_or_the_database(application: Application) -> None:
    session_id = opened(application)
    application.assistant.respond(session_id, "帮我把手机号换成13912345678", "m1")
    assert "13912345678" not in application.sessions.transcript(session_id)
    stored = b"".join(path.read_bytes() for path in application.settings.data_dir.glob("assistant.sqlite*"))
    assert b"13912345678" not in stored
    assert "[PHONE_1]" in application.sessions.transcript(session_id)


def test_two_hundred_confirmations_execute_once(composed: Composer, bank: SandboxBank, clock: FixedClock) -> None:
    application = composed(bank=bank, clock=clock)
    session_id = verified(application)
    shown = card(application, session_id)
    replies: list[Reply] = []

    def confirm() -> None:
        for _ in range(10):
            replies.append(application.assistant.tap(session_id, "confirm", shown.proposal_id, shown.digest))

    threads = [threading.Thread(target=confirm) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 200
    assert all(reply == replies[0] for reply in replies)
    assert bank.state(C1)["orders"] == {"done": 1}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_bank_that_times_out_is_asked_by_key_and_never_ordered_twice(
    composed: Composer, bank: SandboxBank, clock: FixedClock, when: Any
) -> None:
    slow = TimingOutBank(bank, when=when)
    application = composed(bank=slow, clock=clock)
    session_id = verified(application)
    shown = card(application, session_id)
    reply = application.assistant.tap(session_id, "confirm", shown.proposal_id, shown.digest)
    assert reply.receipt is not None
    assert reply.receipt.status == ("done" if when == "after" else "unknown")
    assert (reply.case is not None) == (when == "before")
    assert bank.state(C1)["orders"] == ({"done": 1} if when == "after" else {})


def test_an_unknown_outcome_is_told_once_the_bank_answers(
    composed: Composer, bank: SandboxBank, clock: FixedClock
) -> None:
    slow = TimingOutBank(bank, when="after")
    slow.down = False
    application = composed(bank=_DeafBank(slow), clock=clock)
    session_id = verified(application)
    shown = card(application, session_id)
    reply = application.assistant.tap(session_id, "confirm", shown.proposal_id, shown.digest)
    assert reply.receipt is not None
    assert reply.receipt.status == "unknown"
    again = composed(bank=bank, clock=clock)
    assert again.assistant.reconcile() == 1
    last = again.sessions.events(session_id)[-1].reply
    assert last is not None
    assert last.receipt is not None
    assert last.receipt.status == "done"
    assert again.assistant.reconcile() == 0


class _DeafBank:
    """A bank that executes, times out, and cannot be asked what became of it."""

    def __init__(self, bank: TimingOutBank) -> None:
        self._bank = bank

    def __getattr__(self, name: str) -> Any:
        if name == "result":
            raise_down = BankUnavailable("down")

            def result(_key: str) -> None:
                raise raise_down

            return result
        return getattr(self._bank, name)


def test_an_assent_without_a_proposal_does_nothing(composed: Composer, bank: SandboxBank, clock: FixedClock) -> None:
    application = composed(bank=bank, clock=clock)
    session_id = verified(application)
    before = bank.state(C1)
    assert application.assistant.respond(session_id, "确认", "m1").outcome == "social"
    assert bank.state(C1) == before


def test_an_expired_identity_cannot_confirm(composed: Composer, bank: SandboxBank, clock: FixedClock) -> None:
    application = composed(bank=bank, clock=clock)
    session_id = verified(application)
    clock.advance(minutes=9)
    shown = card(application, session_id)
    clock.advance(minutes=7)
    reply = application.assistant.tap(session_id, "confirm", shown.proposal_id, shown.digest)
    assert reply.outcome == "awaiting_verification"
    assert bank.state(C1)["orders"] == {}


class _Down:
    """A port whose every call fails as its outside world would."""

    version = "down"
    dimension = 384

    def __init__(self, error: Exception, real: Any = None) -> None:
        self._error, self._real = error, real

    def __getattr__(self, name: str) -> Any:
        def fail(*_args: Any, **_kwargs: Any) -> None:
            raise self._error

        return fail


def test_without_a_retriever_a_person_takes_the_question(composed: Composer, clock: FixedClock) -> None:
    application = composed(retriever=_Down(RetrieverUnavailable("down")), clock=clock)
    reply = application.assistant.respond(opened(application), "提前还款要手续费吗", "m1")
    assert reply.outcome == "degraded"
    assert reply.case is not None
    assert application.assistant._store.unanswered(NOW) == ()  # the index is down; nothing is wrong with the policies


def test_without_an_encoder_the_assistant_abstains_and_soon_calls_a_person(
    composed: Composer, clock: FixedClock, shared_parts: dict[str, Any]
) -> None:
    class Deaf:
        version = shared_parts["message_encoder"].version
        dimension = shared_parts["message_encoder"].dimension

        def encode(self, texts: Any, kind: Any) -> Any:
            raise EncoderUnavailable("down")

    application = composed(message_encoder=Deaf(), clock=clock)
    session_id = opened(application)
    first = application.assistant.respond(session_id, "提前还款要手续费吗", "m1")
    assert first.intent is not None
    assert first.intent.abstained is not None
    assert application.assistant.respond(session_id, "提前还款要手续费吗", "m2").outcome == "escalated"


def test_without_a_bank_nothing_is_said_of_the_account_and_a_case_is_opened(
    composed: Composer, bank: SandboxBank, clock: FixedClock
) -> None:
    application = composed(bank=bank, clock=clock)
    session_id = verified(application)
    down = composed(bank=_Down(BankUnavailable("down")), clock=clock)
    reply = down.assistant.respond(session_id, "我这个月要还多少钱", "m1")
    assert reply.outcome == "degraded"
    assert reply.case is not None
    assert "¥" not in reply.text


POINTS = [
    "accept:after",
    "claim_action:before",
    "claim_action:after",
    "repay_early:before",
    "repay_early:after",
    "finish_action:before",
    "finish_action:after",
    "commit:before",
    "commit:after",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_turn_killed_at_any_point_is_completed_once_after_restart(
    point: str, settings: Settings, composed: Composer, clock: FixedClock
) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "tests.crash_child", str(settings.data_dir), point],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    session_id = SessionId((settings.data_dir / "session").read_text())
    bank = SandboxBank(
        settings.data_dir / "bank.sqlite", clock, load_institution(settings.knowledge_dir / "institution.yaml")
    )
    application = composed(bank=bank, clock=clock)
    application.assistant.reconcile()
    assert bank.state(C1)["orders"] == {"done": 1}
    replies = [event.reply for event in application.sessions.events(session_id) if event.reply]
    done = [reply for reply in replies if reply.receipt and reply.receipt.action == "early_repay"]
    assert [reply.receipt.status for reply in done if reply.receipt] == ["done"]
    assert application.assistant.reconcile() == 0


def test_the_audit_of_a_conversation_is_whole_and_a_changed_word_is_found(application: Application) -> None:
    session_id = opened(application)
    application.assistant.respond(session_id, "怎么还款", "m1")
    application.assistant.ask_human(session_id, "m2")
    settings = application.settings
    keys = load_keys(settings.keys_dir)
    store = SqlStore(database_url(settings), keys.vault, lambda _session_id: None)
    with store.audit_trail() as (rows, heads):
        kept_rows, kept_heads = list(rows), list(heads)
    store.close()
    public = keys.checkpoint.public_key()
    assert audit.verify(kept_rows, kept_heads, [], public).whole
    content = json.loads(kept_rows[1].content or "{}")
    content["source"] = "agent"
    kept_rows[1] = type(kept_rows[1])(**{**vars_of(kept_rows[1]), "content": json.dumps(content)})
    assert not audit.verify(kept_rows, kept_heads, [], public).whole


def vars_of(row: Any) -> dict[str, Any]:
    return row.model_dump() if hasattr(row, "model_dump") else dict(vars(row))
