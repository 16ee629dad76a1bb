"""The answer suite counts what is said, and falls where the answers are wrong."""

from datetime import date

import pytest

from assistant.types.answers import Citation, Passage
from assistant.types.messages import Outcome, Reply
from assistant.types.value import DocumentId, MessageId, TraceId
from eval.answers_suite import AnswerCase, judge, score
from eval.cases import DataSource

PASSAGE = Passage(
    passage_id="fee@1#1",
    document_id=DocumentId("fee"),
    version="1",
    title="费用",
    section="收不收费",
    text="提前还款收1%的费用，最多24%。还款日之后3天内还清不算逾期。",
    products=(),
    audience="customer",
    language="zh-CN",
    effective_from=date(2026, 1, 1),
    effective_to=None,
    owner="产品部",
    intents=(),
    sources=(),
)
CITATION = Citation(
    document_id=PASSAGE.document_id,
    version=PASSAGE.version,
    title=PASSAGE.title,
    section=PASSAGE.section,
    quote="提前还款收1%的费用",
    effective_from=PASSAGE.effective_from,
    effective_to=None,
)
KEY = {("fee", "1", "收不收费"): PASSAGE.text}
SOURCE = DataSource(name="answers.jsonl", sha256="0" * 64, rows=1, ours=True)
ASKED = AnswerCase(question="要不要钱", answerable=True, facts=(("1%", "百分之一"), ("3天",)), must_not=("免费",))


def reply(text: str, outcome: Outcome = "answered", *, cited: bool = True) -> Reply:
    return Reply(
        message_id=MessageId("m"),
        text=text,
        locale="zh-CN",
        outcome=outcome,
        citations=(CITATION,) if cited else (),
        trace_id=TraceId("t"),
    )


@pytest.mark.parametrize(
    ("said", "met", "wrong", "unsupported"),
    [
        ("收1%，3 天内还清不算逾期。", 2, (), ()),
        ("收１％。", 1, (), ()),
        ("免费，3天内还清。", 1, ("免费",), ()),
        ("收2%，5天。", 0, (), ("2%", "5天")),
        ("收百分之一，三天内还清。", 1, (), ()),
    ],
)
def test_facts_forbidden_words_and_figures_without_ground_are_counted(
    said: str, met: int, wrong: tuple[str, ...], unsupported: tuple[str, ...]
) -> None:
    found = judge(ASKED, reply(said), KEY)
    assert (found.answered, found.facts_met, found.said_wrongly) == (True, met, wrong)
    assert sorted(found.unsupported) == sorted(unsupported)


@pytest.mark.parametrize("one", [reply("收1%。", cited=False), reply("已为您转人工，1%。", "escalated", cited=False)])
def test_only_a_reply_that_cites_what_it_says_is_an_answer(one: Reply) -> None:
    found = judge(ASKED, one, KEY)
    assert (found.answered, found.facts_met) == (False, 0)


def test_refusals_and_inventions_show_in_the_figures() -> None:
    unknown = AnswerCase(question="外币能还吗", answerable=False, kind="unanswerable")
    cases = [ASKED, ASKED, unknown, unknown]
    good = [
        reply("收1%，3天。"),
        reply("收1%，3天。"),
        reply("查不到", "escalated", cited=False),
        reply("查不到", "escalated", cited=False),
    ]
    bad = [
        reply("转人工", "escalated", cited=False),
        reply("免费，最多50%。"),
        reply("收1%。"),
        reply("查不到", "escalated", cited=False),
    ]
    right = score(cases, good, [PASSAGE], SOURCE, {}).metrics
    assert right == {
        "fact_recall": 1.0,
        "unsupported_numbers": 0.0,
        "must_not_violations": 0.0,
        "declined_recall": 1.0,
        "false_refusal": 0.0,
    }
    wrong = score(cases, bad, [PASSAGE], SOURCE, {}).metrics
    assert wrong == {
        "fact_recall": 0.0,
        "unsupported_numbers": 1.0,
        "must_not_violations": 1.0,
        "declined_recall": 0.5,
        "false_refusal": 0.5,
    }
