"""The exit check."""

import re
from datetime import date
from pathlib import Path

import pytest

from assistant import catalogue
from assistant.compliance import Evidence, check, load_rules

RULES = load_rules()
POLICIES = sorted((Path(__file__).resolve().parent.parent / "knowledge" / "policies").glob("*.md"))
NOTHING = Evidence()


def _broken(text: str, evidence: Evidence = NOTHING) -> set[str]:
    return {violation.rule for violation in check(text, evidence, RULES).violations}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("您放心，这笔一定通过", "promise.approval"),
        ("我们保证下款", "promise.approval"),
        ("走内部渠道包过", "promise.approval"),
        ("We guarantee approval", "promise.approval"),
        ("利息肯定能减免", "promise.relief"),
        ("您的延期肯定会批准", "promise.approval"),
        ("我帮您删除征信记录", "promise.credit_record"),
        ("I can remove your credit record", "promise.credit_record"),
        ("零风险，随便借", "promise.riskless"),
        ("再不还款后果自负", "threat"),
        ("如果不还，我们就联系您的家人和单位", "threat"),
        ("If you don't pay, we will call your employer", "threat"),
        ("没必要投诉", "complaint.discouraged"),
        ("投诉也没用", "complaint.discouraged"),
        ("先撤诉再说，撤销投诉才能给您减免", "complaint.discouraged"),
        ("换个手机号躲催收", "evasion"),
        ("收入填高一点就行", "evasion"),
        ("您的手机13800138000已登记", "personal_data"),
        ("卡号4111 1111 1111 1111", "personal_data"),
        ("您应还¥3,500.00", "figure.amount"),
        ("您欠三千五百元", "figure.amount"),
        ("年化利率36%", "figure.percentage"),
        ("12月7日扣款", "figure.date"),
        ("It is due on Dec 7", "figure.date"),
    ],
)
def test_what_may_not_be_said_is_blocked(text: str, rule: str) -> None:
    assert rule in _broken(text)
    assert not check(text, NOTHING, RULES).ok


@pytest.mark.parametrize(
    "text",
    [
        "审核不保证通过",
        "资料齐全也不一定能通过",
        "谁也不能保证减免",
        "没有人能删除真实的征信记录",
        "声称能修复征信记录的是骗子",
        "您可以拨打12378投诉",
        "不会因为投诉影响您的额度",
        "催收不得联系您的家人和单位",
        "危险时打110或120，反诈96110，心理援助12356，客服400-000-0000",
        "No one can guarantee that it is approved",
    ],
)
def test_what_may_be_said_passes(text: str) -> None:
    assert _broken(text) == set()


def test_figures_pass_on_the_evidence_of_a_bank_read() -> None:
    text = "本期还需还¥1,036.20，到期日12月5日（周六）。"
    assert _broken(text) == {"figure.amount", "figure.date"}
    grounds = Evidence(amounts_fen=frozenset({103_620}), dates=frozenset({date(2026, 12, 5)}))
    assert check(text, grounds, RULES).ok


def test_figures_pass_on_the_evidence_of_a_quoted_clause() -> None:
    clause = "示例：剩余本金10,000元，年化利率14.6%（单利），2026年1月1日起。"
    assert check("按年化14.6%计，本金1万元，1月1日起", Evidence(texts=(clause,)), RULES).ok
    assert _broken("按年化14.8%计", Evidence(texts=(clause,))) == {"figure.percentage"}


def test_a_date_of_the_wrong_year_is_unsupported() -> None:
    grounds = Evidence(dates=frozenset({date(2026, 12, 5)}))
    assert _broken("2027年12月5日", grounds) == {"figure.date"}
    assert _broken("2026年12月5日", grounds) == set()


def test_a_daily_rate_needs_the_annualised_rate_beside_it() -> None:
    clause = "日利率0.04%"
    assert _broken(clause, Evidence(texts=(clause,))) == {"price.not_annualised"}
    both = "日利率0.04%，年化利率（单利）14.6%"
    assert _broken(both, Evidence(texts=(both,))) == set()


def test_an_agents_words_are_flagged_and_pass() -> None:
    verdict = check("这笔一定通过", NOTHING, RULES, speaker="agent")
    assert verdict.ok
    assert [(violation.rule, violation.effect) for violation in verdict.violations] == [("promise.approval", "flag")]


def test_a_violation_names_the_words_and_the_reason() -> None:
    (violation,) = check("您好，投诉也没用。", NOTHING, RULES).violations
    assert violation.span == "投诉也没用"
    assert "complaint" in violation.reason


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_no_policy_sentence_is_blocked(path: Path) -> None:
    body = path.read_text(encoding="utf-8").split("---", 2)[2]
    for section in re.split(r"\n## ", body):
        evidence = Evidence(texts=(section,))
        for text in (section, *re.split(r"(?<=[。\n])", section)):
            # A short-term rate may stand in one sentence and its annualised rate in the next.
            rules = _broken(text, evidence) - ({"price.not_annualised"} if text is not section else set())
            assert rules == set(), text


def test_the_policies_are_there_to_be_checked() -> None:
    assert len(POLICIES) >= 25


def test_no_text_of_the_catalogue_is_blocked() -> None:
    texts = catalogue.load()
    for key in texts:
        for locale in catalogue.LOCALES:
            assert _broken(texts.template(key, locale)) == set(), key
