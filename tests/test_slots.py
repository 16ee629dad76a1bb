"""What a message names."""

import json
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.amounts import chinese_number, find_amounts
from assistant.dates import find_dates, stated_dates
from assistant.glossary import Glossary, load_glossary
from assistant.slots import extract, language

ROOT = Path(__file__).resolve().parent.parent
MONDAY = date(2026, 11, 23)
GLOSSARY = load_glossary(ROOT / "knowledge" / "glossary.yaml")


def _rows() -> list[dict[str, object]]:
    lines = (ROOT / "eval" / "data" / "slots.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_slots_exam_is_passed_but_for_a_few() -> None:
    rows = _rows()
    assert len(rows) >= 120
    wrong = [
        row["text"]
        for row in rows
        if extract(str(row["text"]), date.fromisoformat(str(row["at"])), GLOSSARY).model_dump(
            mode="json", exclude_none=True
        )
        != row["slots"]
    ]
    assert len(wrong) <= 0.02 * len(rows), wrong


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("三千五", 3500),
        ("一万五", 15000),
        ("两百五", 250),
        ("一千零五", 1005),
        ("十二万三千四百", 123400),
        ("二十", 20),
    ],
)
def test_chinese_numbers_are_read_as_spoken(text: str, number: int) -> None:
    assert chinese_number(text) == number


def test_a_range_is_no_number() -> None:
    assert chinese_number("三五千") is None


@pytest.mark.parametrize(("text", "fen"), [("3块5", 350), ("八块八", 880), ("¥1,036.20", 103620), ("1w5", 1500000)])
def test_sums_are_read_to_the_fen(text: str, fen: int) -> None:
    assert [amount.fen for amount in find_amounts(text)] == [fen]


@pytest.mark.parametrize(
    "text", ["分12期", "第3笔", "打12378", "24%", "万分之五", "[PHONE_1]", "芝麻分七百多", "说了八百遍"]
)
def test_a_number_that_is_no_money_is_no_amount(text: str) -> None:
    assert find_amounts(text) == ()


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1月31日", date(2027, 1, 31)),
        ("11月5日扣的", date(2026, 11, 5)),
        ("11月5日", date(2027, 11, 5)),
        ("paid on Nov 5", date(2026, 11, 5)),
        ("Nov 5", date(2027, 11, 5)),
    ],
)
def test_a_day_lies_ahead_unless_the_words_put_it_behind(text: str, day: date) -> None:
    assert [found.date for found in find_dates(text, MONDAY)] == [day]


def test_a_day_that_does_not_exist_is_no_date() -> None:
    assert find_dates("2月30号还", MONDAY) == ()
    assert find_dates("下个月31号扣", date(2027, 1, 31)) == ()


def test_stated_dates_are_found_in_both_languages() -> None:
    found = stated_dates("2026年12月5日（周六）, 12月6日, 2026-12-07, Sat 5 Dec, Dec 6, 2027")
    assert [(day.year, day.month, day.day) for day in found] == [
        (2026, 12, 5),
        (None, 12, 6),
        (2026, 12, 7),
        (None, 12, 5),
        (2027, 12, 6),
    ]


def test_our_own_product_wins_over_another_companys() -> None:
    slots = extract("借呗和你们云禾随借哪个好", MONDAY, GLOSSARY)
    assert slots.product == "cash_loan"
    assert slots.brand is None


def test_nothing_is_guessed() -> None:
    slots = extract("你好，怎么还款", MONDAY, Glossary([]))
    assert slots.model_dump(exclude_none=True) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("怎么还款", "zh"),
        ("how do I repay", "en"),
        ("APP打不开", "zh"),
        ("Huabei怎么还", "zh"),
        ("what is 花呗", "en"),
        ("[PHONE_1]", "zh"),
        ("123", "zh"),
        ("借唄怎麼還", "zh"),
    ],
)
def test_the_language_is_the_one_most_words_are_in(text: str, expected: str) -> None:
    assert language(text) == expected


@pytest.mark.parametrize(
    "piece", ["1,", "一", "1", "1万", "还 ", "1月", "¥1", "上个月", "最大的", "Dec ", "in 3 ", "five "]
)
def test_reading_slots_takes_no_time_to_speak_of_on_hostile_text(piece: str) -> None:
    text = (piece * 2_000)[:2_000]
    started = time.perf_counter()
    extract(text, MONDAY, GLOSSARY)
    assert time.perf_counter() - started < 3


@settings(max_examples=200, deadline=None)
@given(
    st.text(
        alphabet=st.characters() | st.sampled_from("还借元万千百十一二三月号日周天后前年期0123456789¥%/-.,"),
        max_size=60,
    )
)
def test_any_text_can_be_read(text: str) -> None:
    extract(text, MONDAY, GLOSSARY)
