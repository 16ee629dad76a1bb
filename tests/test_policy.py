"""The dialogue policy as a table: what was heard in which state, and the steps that follow."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from assistant.policy import plan
from assistant.taxonomy import load_taxonomy
from assistant.types.actions import VerifiedIdentity
from assistant.types.messages import (
    AwaitingChoice,
    AwaitingConfirmation,
    AwaitingSlot,
    AwaitingVerification,
    Dialogue,
    HumanAsked,
    IdentityProved,
    LockedOut,
    Session,
    Tapped,
)
from assistant.types.understanding import (
    Abstention,
    Alternative,
    PastTime,
    Prediction,
    RiskSignal,
    Slots,
    Understanding,
)
from assistant.types.value import CustomerId, IntentId, ProposalId, SessionId

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
TAXONOMY = load_taxonomy()
LABELS = {intent.zh: intent.id for intent in TAXONOMY.intents}
VERIFIED = VerifiedIdentity(
    customer_id=CustomerId("C0001"), level="code", verified_at=NOW, expires_at=NOW + timedelta(minutes=15)
)
CARD = AwaitingConfirmation(proposal_id=ProposalId("p1"))


def session(pending: Any = None, *, verified: bool = False, mode: str = "bot", **dialogue: Any) -> Session:
    return Session.model_validate(
        {
            "session_id": SessionId("s"),
            "locale": "zh-CN",
            "channel": "api",
            "mode": mode,
            "identity": VERIFIED if verified else None,
            "dialogue": Dialogue(pending=pending, **dialogue),
            "created_at": NOW,
        }
    )


def said(
    text: str, intent: str, act: str | None = "ask", abstained: str | None = None, risk: str | None = None, **slots: Any
) -> Understanding:
    others = tuple(Alternative(id=IntentId(name), confidence=0.3) for name in (intent, "bill_query", "repay_how"))
    prediction = Prediction.model_validate(
        {
            "intent": intent,
            "act": act,
            "confidence": 0.9,
            "abstained": abstained,
            "alternatives": [other.model_dump() for other in others],
        }
    )
    risks = (RiskSignal.model_validate({"kind": risk, "level": "high", "evidence": text, "rule": "r"}),) if risk else ()
    return Understanding(text=text, language="zh", prediction=prediction, slots=Slots(**slots), risks=risks)


def also(heard: Understanding, second: str) -> Understanding:
    prediction = heard.prediction.model_copy(update={"secondary": IntentId(second)})
    return heard.model_copy(update={"prediction": prediction})


def steps(state: Session, heard: Any) -> list[str]:
    route = lambda intent: TAXONOMY[intent].route or "fallback"  # noqa: E731
    return [step.kind for step in plan(state, heard, route, LABELS, NOW, 2).steps]


def planned(state: Session, heard: Any) -> Any:
    return plan(state, heard, lambda intent: TAXONOMY[intent].route or "fallback", LABELS, NOW, 2)


@pytest.mark.parametrize(
    ("state", "heard", "expected"),
    [
        (session(), said("你好", "greeting", None), ["say"]),
        (session(), said("提前还款要手续费吗", "early_repay", "ask"), ["answer"]),
        (session(), said("我要提前结清", "early_repay", "do"), ["verify"]),
        (session(verified=True), said("我要提前结清", "early_repay", "do"), ["propose"]),
        (session(verified=True), said("这个月要还多少", "bill_query", "status"), ["read"]),
        (session(), said("这个月要还多少", "bill_query", "status"), ["verify"]),
        (session(verified=True), said("花呗账单多少", "bill_query", "status", brand="花呗"), ["answer"]),
        (session(), said("帮我换手机号", "phone_change", "do"), ["answer"]),
        (session(), said("没钱还了", "hardship_plan", "report"), ["escalate"]),
        (session(), said("个人信息谁能看", "privacy_request", "ask"), ["answer", "escalate"]),
        (session(), said("征信记录错了", "credit_record", "report"), ["answer", "escalate"]),
        (session(), said("会上征信吗", "credit_record", "ask"), ["answer"]),
        (session(), said("转人工", "human_agent", "do"), ["escalate"]),
        (session(), also(said("要手续费吗，发票怎么开", "early_repay", "ask"), "certificate"), ["answer", "answer"]),
        (session(), also(said("要手续费吗，我要投诉", "early_repay", "ask"), "complaint"), ["answer", "escalate"]),
        (
            session(verified=True),
            also(said("账单多少 我没钱还", "bill_query"), "hardship_plan"),
            ["answer", "escalate"],
        ),
        (
            session(verified=True),
            also(said("结清，转人工", "early_repay", "do"), "human_agent"),
            ["answer", "escalate"],
        ),
        (session(), said("今天天气", "out_of_scope", None, "out_of_scope"), ["say"]),
        (session(), said("额度", "unclear", None, "unclear"), ["say"]),
        (session(), said("那个", "limit_query", "ask", "ambiguous"), ["clarify"]),
        (session(unknowns=1), said("那个", "limit_query", "ask", "low_confidence"), ["escalate"]),
        (session(), said("让我转到安全账户", "verify_official", "ask", risk="scam_victim"), ["warn", "escalate"]),
        (session(CARD, verified=True), said("不想活了", "unclear", None, "unclear", "self_harm"), ["warn", "escalate"]),
        (session(), said("滚", "unclear", None, "unclear", "abuse"), ["say"]),
        (session(), said("滚，账单多少", "bill_query", "status", risk="abuse"), ["verify"]),
        (session(CARD, verified=True), said("确认", "affirm", None), ["execute"]),
        (session(CARD, verified=True), said("确认。", "affirm", None), ["execute"]),
        (session(CARD, verified=True), said("嗯，应该可以吧", "affirm", None), ["say"]),
        (session(CARD, verified=True), said("算了", "deny", None), ["cancel"]),
        (session(CARD, verified=True), said("要手续费吗", "early_repay", "ask"), ["answer"]),
        (
            session(CARD, verified=True),
            said("不对，装修那笔", "out_of_scope", None, "out_of_scope", loan="x"),
            ["propose"],
        ),
        (session(CARD, verified=True), said("改成先还5000", "repay_how", "do", amount_fen=500_000), ["propose"]),
        (session(CARD, verified=True), said("先还5000行吗", "repay_how", "ask", amount_fen=500_000), ["answer"]),
        (session(verified=True), said("确认", "affirm", None), ["say"]),
        (session(mode="manual"), said("我要提前结清", "early_repay", "do"), ["pass"]),
        (session(mode="manual"), said("转到安全账户", "verify_official", "ask", risk="scam_victim"), ["pass"]),
        (session(), HumanAsked(), ["escalate"]),
        (session(), LockedOut(), ["escalate"]),
        (session(CARD), Tapped(choice="confirm", proposal_id=ProposalId("p1"), digest="d"), ["execute"]),
        (session(CARD), Tapped(choice="cancel", proposal_id=ProposalId("p1"), digest="d"), ["cancel"]),
        (session(), IdentityProved(identity=VERIFIED), ["say"]),
        (
            session(AwaitingVerification(intent=IntentId("bill_query")), verified=True),
            IdentityProved(identity=VERIFIED),
            ["read"],
        ),
        (
            session(AwaitingSlot(intent=IntentId("early_repay"), slot="loan"), verified=True),
            said("最大的那笔", "unclear", None, "unclear", loan="largest"),
            ["propose"],
        ),
        (
            session(AwaitingChoice(options=(IntentId("limit_restore"),), text="那个")),
            said(TAXONOMY["limit_restore"].zh, "unclear", None, "unclear"),
            ["answer"],
        ),
    ],
)
def test_plan(state: Session, heard: Any, expected: list[str]) -> None:
    assert steps(state, heard) == expected


def test_a_proposal_survives_a_digression() -> None:
    for heard in (
        said("要手续费吗", "early_repay", "ask"),
        said("天气", "out_of_scope", None, "out_of_scope"),
        said("那个", "limit_query", "ask", "ambiguous"),
    ):
        assert planned(session(CARD, verified=True), heard).dialogue.pending == CARD


def test_an_open_question_gives_way_to_a_new_request() -> None:
    state = session(AwaitingSlot(intent=IntentId("early_repay"), slot="loan"), verified=True)
    assert planned(state, said("怎么还款", "repay_how", "ask")).dialogue.pending is None


def test_a_follow_up_keeps_the_topic_and_carries_the_question_before() -> None:
    state = session(last_intent="early_repay", last_question="提前还款要手续费吗")
    step = planned(state, said("那利息呢", "unclear", None, "unclear")).steps[0]
    assert (step.intent, step.context, step.question) == ("early_repay", "提前还款要手续费吗", "那利息呢")


def test_a_danger_clears_what_was_being_arranged() -> None:
    heard = said("让我转到安全账户", "verify_official", "ask", risk="scam_victim")
    assert planned(session(CARD, verified=True), heard).dialogue.pending is None


def test_an_expired_identity_is_asked_for_again() -> None:
    stale = session(verified=True).model_copy(
        update={"identity": VERIFIED.model_copy(update={"expires_at": NOW - timedelta(seconds=1)})}
    )
    assert steps(stale, said("我的账单", "bill_query", "status")) == ["verify"]


@pytest.mark.parametrize("text", ["最长能延几天", "大概几天能到", "先息后本呢", "and when would that be", "周末有人吗"])
@pytest.mark.parametrize("abstained", ["unclear", "low_confidence", "ambiguous"])
def test_a_question_that_says_too_little_alone_leans_on_the_one_before(text: str, abstained: Abstention) -> None:
    state = session(last_intent="extension", last_question="这期能晚点还吗")
    step = planned(state, said(text, "unclear", None, abstained)).steps[0]
    assert (step.kind, step.intent, step.context) == ("answer", "extension", "这期能晚点还吗")


@pytest.mark.parametrize("text", ["啊", "我不懂", "嗯嗯 好吧"])
def test_what_asks_nothing_does_not_lean(text: str) -> None:
    state = session(last_intent="extension", last_question="这期能晚点还吗")
    assert steps(state, said(text, "unclear", None, "unclear")) == ["say"]


def test_a_second_question_of_one_topic_carries_the_first() -> None:
    state = session(last_intent="extension", last_question="这期能晚点还吗")
    assert planned(state, said("利息怎么算", "extension", "ask")).steps[0].context == "这期能晚点还吗"
    assert planned(state, said("利息怎么算", "interest_fee_query", "ask")).steps[0].context is None


def test_an_order_that_begins_like_a_follow_up_is_taken_by_itself() -> None:
    state = session(verified=True, last_intent="early_repay", last_question="提前还款要手续费吗")
    assert steps(state, said("那帮我提前还清吧", "early_repay", "do")) == ["propose"]


def test_the_past_time_of_a_question_goes_with_its_follow_up() -> None:
    then = PastTime(day=date(2025, 6, 30), of="event")
    first = planned(session(), said("去年六月提前还款手续费多少", "early_repay").model_copy(update={"past": then}))
    assert first.steps[0].past == then
    after = session().model_copy(update={"dialogue": first.dialogue})
    assert planned(after, said("那宽限期呢", "overdue_effect")).steps[0].past == then
    assert planned(after, said("怎么开通月付呀", "apply_how")).steps[0].past is None
