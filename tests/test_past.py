"""Which past time a message speaks of, and whether it is that of a loan's signing."""

from datetime import date

import pytest

from assistant.past import past_time
from assistant.types.understanding import PastTime

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("text", "day", "of"),
    [
        ("去年六月把随借提前清了 那会儿扣的费是几个点", "2025-06-30", "event"),
        ("2025年3月5日扣了两次是为什么", "2025-03-05", "event"),
        ("25年5月份的账单最低还多少", "2025-05-31", "event"),
        ("二零二五年的利率是多少", "2025-12-31", "event"),
        ("前年延期最多几天", "2024-12-31", "event"),
        ("去年上半年分期几个点", "2025-06-30", "event"),
        ("去年年初宽限几天", "2025-01-31", "event"),
        ("两年前宽限期是几天", "2024-11-25", "event"),
        ("半年前提额要多久", "2026-05-25", "event"),
        ("昨天还的款怎么没到账", "2026-11-24", "event"),
        ("how long was the grace period in July 2025", "2025-07-31", "event"),
        ("was there a fee for paying off early last year", "2025-12-31", "event"),
        ("why did they charge 2% last March", "2026-03-31", "event"),
        ("two years ago the limit was higher, why", "2024-11-25", "event"),
        ("我2025年3月签的合同利率会变吗", "2025-03-31", "signing"),
        ("去年六月借的那笔 现在提前还要手续费不", "2025-06-30", "signing"),
        ("前年借了两万的利息怎么算", "2024-12-31", "signing"),
        ("合同是2025年8月的，利率按哪个", "2025-08-31", "signing"),
        ("does the rate change for the loan I took out in March 2025", "2025-03-31", "signing"),
    ],
)
def test_a_past_time_is_read_with_its_last_day(text: str, day: str, of: str) -> None:
    assert past_time(text, TODAY) == PastTime(day=date.fromisoformat(day), of=of)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "最低还款多少",
        "我要分3年还",
        "下个月5号还款",
        "2027年利率会变吗",
        "我去年逾期过，现在还能提额吗",
        "去年收2%，今年还收吗",
        "I was late last year, can I still borrow now",
        "12期和24期哪个划算",
        "还款日是每月25号",
    ],
)
def test_a_question_about_now_or_later_has_none(text: str) -> None:
    assert past_time(text, TODAY) is None


def test_of_a_year_that_has_not_ended_only_the_part_behind_us_counts() -> None:
    found = past_time("2026年宽限期有几天", TODAY)
    assert found is not None
    assert found.day == date(2026, 11, 24)
