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


@pytest.mark.parametrize(("name", "share"), [("slots.jsonl", 0.01), ("slots_exam.jsonl", 0.03)])
def test_the_slot_files_are_passed_but_for_a_few(name: str, share: float) -> None:
    lines = (ROOT / "eval" / "data" / name).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) >= 300
    wrong = [
        row["text"]
        for row in rows
        if extract(str(row["text"]), date.fromisoformat(str(row["at"])), GLOSSARY).model_dump(
            mode="json", exclude_none=True
        )
        != row["slots"]
    ]
    assert len(wrong) <= share * len(rows), wrong


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


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("3块5", 350),
        ("八块八", 880),
        ("¥1,036.20", 103620),
        ("1w5", 1500000),
        ("3元5角2分", 352),
        ("两块零五分", 205),
        ("多收了3毛5", 35),
        ("叁仟伍佰元整", 350000),
        ("￥1,299", 129900),
        ("退了99.9", 9990),
        ("2万3千5能批吗", 2350000),
        ("借两万三年", 2000000),
        ("借5千6期", 500000),
        ("借三千一共还多少", 300000),
        ("5000块六个月", 500000),
        ("8000分12期", 800000),
        ("borrow 12 thousand", 1200000),
        ("two hundred and fifty yuan", 25000),
    ],
)
def test_sums_are_read_to_the_fen(text: str, fen: int) -> None:
    assert [amount.fen for amount in find_amounts(text)] == [fen]


@pytest.mark.parametrize(
    "text",
    [
        *("分12期", "第3笔", "打12378", "24%", "万分之五", "[PHONE_1]", "芝麻分七百多", "说了八百遍"),
        *("两笔一块还", "一分钱都没收到", "三千多块", "几十块", "借500美元", "一百八十天", "a hundred times"),
    ],
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
        ("昨儿扣的", date(2026, 11, 22)),
        ("2月最后一天", date(2027, 2, 28)),
        ("四天前还的", date(2026, 11, 19)),
        ("后年3月2号", date(2028, 3, 2)),
        ("28年1月9号", date(2028, 1, 9)),
        ("下個禮拜三", date(2026, 12, 2)),
        ("圣诞节当天", date(2026, 12, 25)),
        ("the fifth of next month", date(2026, 12, 5)),
    ],
)
def test_a_day_lies_ahead_unless_the_words_put_it_behind(text: str, day: date) -> None:
    assert [found.date for found in find_dates(text, MONDAY)] == [day]


@pytest.mark.parametrize(
    "text",
    ["每月15号", "以后天天打电话", "逾期三天后", "明后天", "两三天后", "当天到账吗", "农历八月十五", "every Friday"],
)
def test_words_that_name_no_one_day_are_no_date(text: str) -> None:
    assert find_dates(text, MONDAY) == ()


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("账单4000元，我想先还1000", {"amount_fen": 100000, "part": "part"}),
        ("不是6000，是9000元", {"amount_fen": 900000}),
        ("2000 yuan instead of 4000 yuan", {"amount_fen": 200000}),
        ("还款日从8号改到18号", {"date": date(2026, 12, 18)}),
        ("周四不行，周五吧", {"date": date(2026, 11, 27)}),
        ("别分12期，分3期", {"term_months": 3}),
        ("不是花呗，是借呗", {"product": "cash_loan", "brand": "借呗"}),
    ],
)
def test_of_several_values_the_one_that_is_put_right_or_wished_for_is_meant(
    text: str, expected: dict[str, object]
) -> None:
    assert extract(text, MONDAY, GLOSSARY).model_dump(exclude_none=True) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("1000至2000元", "借三千到五千", "3~5万", "借6000或9000", "扣了300，账单才200"),
        *("5号还是15号", "周一到周五", "6期和12期", "3、6、12期", "two to three thousand"),
    ],
)
def test_ranges_and_alternatives_name_no_value(text: str) -> None:
    assert extract(text, MONDAY, GLOSSARY).model_dump(exclude_none=True) == {}


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("花呗分了12期", 12),
        ("只借一个月", 1),
        ("1.5年", 18),
        ("24 monthly payments", 24),
        ("split it into 9", 9),
        ("一个月还多少", None),
        ("注册满半年", None),
        ("还剩5期", None),
        ("两年的老客户", None),
        ("一年级", None),
        ("member for 2 years", None),
    ],
)
def test_how_long_something_has_lasted_is_no_term(text: str, months: int | None) -> None:
    assert extract(text, MONDAY, GLOSSARY).term_months == months


@pytest.mark.parametrize(
    ("text", "brand"),
    [
        ("哪有钱花", None),
        ("我的有钱花逾期了", "有钱花"),
        ("周末再还呗", None),
        ("注销还呗", "还呗"),
        ("给我打个电话呗", None),
        ("话呗怎么还", "花呗"),
        ("在网上贷款被骗", None),
        ("沒有花唄", "花呗"),
    ],
)
def test_an_everyday_phrase_names_no_product(text: str, brand: str | None) -> None:
    slots = extract(text, MONDAY, GLOSSARY)
    assert (slots.brand, slots.product is None) == (brand, brand is None)


@pytest.mark.parametrize(
    ("text", "product"),
    [
        ("两个月付清", None),
        ("帮我开个月付", "pay_later"),
        ("支持随借随还吗", None),
        ("隨借怎麼開", "cash_loan"),
        ("I will pay later", None),
        ("how does pay later work", "pay_later"),
    ],
)
def test_our_own_words_are_products_only_where_they_are_meant(text: str, product: str | None) -> None:
    assert extract(text, MONDAY, GLOSSARY).product == product


@pytest.mark.parametrize(
    ("text", "loan"),
    [
        ("最早什么时候放款", None),
        ("我想新借一笔", None),
        ("最近一笔扣款", None),
        ("最後借的那筆", "newest"),
        ("the 2nd loan", "#2"),
    ],
)
def test_a_loan_is_pointed_at_as_a_loan(text: str, loan: str | None) -> None:
    assert extract(text, MONDAY, GLOSSARY).loan == loan


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("整笔还清", "full"),
        ("能不能全部还清", "full"),
        ("没说要全部还", None),
        ("钱都还上了额度咋没回来", None),
        ("还四分之一", "part"),
        ("repay the whole loan", "full"),
        ("is everything ok", None),
    ],
)
def test_whole_and_part_of_a_debt(text: str, part: str | None) -> None:
    assert extract(text, MONDAY, GLOSSARY).part == part


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
    "piece",
    [
        "1,",
        "一",
        "1",
        "1万",
        "还 ",
        "1月",
        "¥1",
        "上个月",
        "最大的",
        "Dec ",
        "in 3 ",
        "five ",
        "不要",
        "和1元",
        "改成6期",
    ],
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
