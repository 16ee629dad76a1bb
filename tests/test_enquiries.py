"""Which version of a policy answers: that of the day, of the time spoken of, of the loan's signing; real parts."""

from datetime import UTC, datetime

import pytest

from assistant.adapters.banking import SandboxBank
from assistant.answers import MAX_OPENING, reading_length
from assistant.compose import Application
from assistant.institution import load_institution
from assistant.settings import Settings
from assistant.types.messages import Reply
from tests.conftest import Composer
from tests.doubles import FixedClock, TimingOutBank
from tests.test_assistant import opened, verified


def asked(application: Application, *texts: str) -> Reply:
    session_id = opened(application)
    for number, text in enumerate(texts):
        reply = application.assistant.respond(session_id, text, f"m{number}")
    return reply


def cited(reply: Reply) -> list[str]:
    return [f"{one.document_id}@{one.version}" for one in reply.citations]


def test_a_question_about_then_is_answered_by_the_rule_of_then_with_todays_beside_it(application: Application) -> None:
    reply = asked(application, "去年六月提前还的款，那会儿扣的手续费是几个点")
    assert cited(reply) == ["early-repayment@2025.1", "early-repayment@2026.1"]
    assert reply.text.startswith("这是2025年1月1日至2025年12月31日适用的规定：")
    assert "2%" in reply.text
    assert "1%" not in reply.text
    assert "2026年1月1日起的规定：" in reply.details
    assert reply.citations[1].quote in reply.details


def test_a_follow_up_stays_in_the_time_that_was_spoken_of(application: Application) -> None:
    reply = asked(application, "去年六月提前还的款，那会儿扣的手续费是几个点", "那宽限期呢")
    assert cited(reply)[0] == "overdue@2025.1"
    assert "1天" in reply.text


def test_a_past_time_under_the_rule_in_force_changes_nothing(application: Application) -> None:
    reply = asked(application, "上个月提前还款要手续费吗")
    assert cited(reply) == ["early-repayment@2026.1"]
    assert "适用的规定" not in reply.text


def test_a_time_before_the_first_version_is_answered_by_todays(application: Application) -> None:
    assert cited(asked(application, "2019年提前还款收手续费吗")) == ["early-repayment@2026.1"]


def test_a_loan_keeps_the_terms_it_was_signed_under(application: Application) -> None:
    reply = asked(application, "我2025年3月签的随借，年化利率是多少")
    assert cited(reply) == ["pricing@2025.1", "pricing@2026.1"]
    assert "签订的借款适用的条款" in reply.text


def test_when_a_loan_was_signed_decides_nothing_about_how_things_are_handled(application: Application) -> None:
    assert cited(asked(application, "我2025年3月借的那笔，提前还款要手续费吗")) == ["early-repayment@2026.1"]


def test_terms_of_a_signing_that_no_version_covers_are_not_made_up(application: Application) -> None:
    reply = asked(application, "2019年借的那笔，年化利率是多少")
    assert cited(reply) == ["pricing@2026.1"]
    assert "更早签订的，按签订时的条款" in reply.details


def test_who_is_not_verified_is_told_from_when_the_terms_hold(application: Application) -> None:
    reply = asked(application, "年化利率是多少")
    assert cited(reply) == ["pricing@2026.1"]
    assert "以上适用于2026年1月1日起签订的借款" in reply.details


@pytest.fixture
def early(settings: Settings) -> tuple[FixedClock, SandboxBank]:
    """A bank whose loans were signed in 2025, and a clock that has gone on to 2026."""
    clock = FixedClock(datetime(2025, 12, 1, 2, 0, tzinfo=UTC))
    bank = SandboxBank(
        settings.data_dir / "bank.sqlite", clock, load_institution(settings.knowledge_dir / "institution.yaml")
    )
    assert bank.customer_by_phone("13800000001") is not None
    clock.set(datetime(2026, 1, 5, 2, 0, tzinfo=UTC))
    return clock, bank


def test_a_verified_customer_is_told_the_terms_of_the_own_loans(
    composed: Composer, early: tuple[FixedClock, SandboxBank]
) -> None:
    clock, bank = early
    application = composed(clock=clock, bank=bank)
    reply = application.assistant.respond(verified(application), "年化利率是多少", "m1")
    assert cited(reply)[0] == "pricing@2026.1"
    assert "pricing@2025.1" in cited(reply)
    assert "签订的云禾随借（装修）按签订时的条款" in reply.details
    assert "以上适用于" not in reply.details


def test_a_verified_customer_is_told_the_own_figures_beside_the_rule(application: Application) -> None:
    session_id = verified(application)
    fee = application.assistant.respond(session_id, "提前还款要手续费吗", "m1")
    assert "今天全部提前还清共需¥" in f"{fee.text}{fee.details}"
    rate = application.assistant.respond(session_id, "年化利率是多少", "m2")
    assert "年化利率（单利）14.4%" in f"{rate.text}{rate.details}"
    assert "今天全部提前还清" not in asked(application, "提前还款要手续费吗").details


def test_a_bank_that_is_down_takes_nothing_from_the_rule(
    composed: Composer, settings: Settings, clock: FixedClock
) -> None:
    real = SandboxBank(
        settings.data_dir / "bank.sqlite", clock, load_institution(settings.knowledge_dir / "institution.yaml")
    )
    bank = TimingOutBank(real)
    application = composed(clock=clock, bank=bank)
    session_id = verified(application)
    bank.down = True
    reply = application.assistant.respond(session_id, "年化利率是多少", "m1")
    assert reply.outcome == "answered"
    assert cited(reply) == ["pricing@2026.1"]


def test_what_is_read_before_anything_unfolds_stays_short(application: Application) -> None:
    session_id = verified(application)
    for number, text in enumerate(
        ("去年六月提前还款手续费多少", "年化利率是多少", "最低还款是多少", "宽限期几天", "提前还款有什么影响")
    ):
        reply = application.assistant.respond(session_id, text, f"m{number}")
        first = reply.text.split("。")[0]
        assert reading_length(reply.text) <= max(MAX_OPENING, reading_length(first) + 1), reply.text
