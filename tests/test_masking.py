"""Personal data out of messages, and what a message may be made of."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.errors import InvalidInput
from assistant.masking import MAX_CHARACTERS, clean, mask, plain_phone
from assistant.recognisers import is_card_number, is_id_number
from assistant.types.messages import VaultEntry

ID = "11010519491231002X"
CARD = "4111111111111111"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("我手机13800138000换了", "我手机[PHONE_1]换了"),
        ("打138 0013 8000", "打[PHONE_1]"),
        ("138-0013-8000", "[PHONE_1]"),
        ("+86 13800138000", "[PHONE_1]"),
        ("0086-138-0013-8000", "[PHONE_1]"),
        ("１３８００１３８０００", "[PHONE_1]"),
        ("一三八零零一三八零零零", "[PHONE_1]"),
        ("幺三八 零零幺三 八零零零", "[PHONE_1]"),
        ("其中一13800138000", "其中一[PHONE_1]"),
        ("家里电话021-62345678", "家里电话[PHONE_1]"),
        (f"身份证{ID}", "身份证[ID_1]"),
        ("身份证 110105 19491231 002x", "身份证 [ID_1]"),
        ("身份证号110105194912310021", "身份证号[ID_1]"),
        (f"卡{CARD}", "卡[CARD_1]"),
        ("卡号6222 0212 3456 7890 123", "卡号[CARD_1]"),
        ("发到a.b-c@example.com.cn吧", "发到[EMAIL_1]吧"),
        ("我叫张伟想问一下", "我叫[NAME_1]想问一下"),
        ("我是王小明，要还款", "我是[NAME_1]，要还款"),
        ("联系人：欧阳娜娜", "联系人：[NAME_1]"),
        ("my name is Li Wei and I want to pay", "my name is [NAME_1] and I want to pay"),
        ("I'm John Smith", "I'm [NAME_1]"),
        ("我住在浙江省杭州市西湖区文三路12号3单元501室", "我住在[ADDRESS_1]"),
        ("寄到上海市浦东新区世纪大道100号", "寄到[ADDRESS_1]"),
        ("I live at 12 Green Lake Road", "I live at [ADDRESS_1]"),
        ("验证码是123456", "验证码是[CODE_1]"),
        ("123456是我的验证码", "[CODE_1]是我的验证码"),
        ("my code is 654321", "my code is [CODE_1]"),
        ("支付密码是abc123", "支付密码是[CODE_1]"),
        ("my password is hunter2", "my password is [CODE_1]"),
        ("my password is wrong", "my password is wrong"),
    ],
)
def test_personal_data_becomes_a_placeholder(text: str, masked: str) -> None:
    assert mask(text, {}).text == masked


@pytest.mark.parametrize(
    "text",
    [
        "要还500000元，分12期",
        "2026-12-05扣款，12月5日",
        "打110、96110、12378或者400-000-0000",
        "24%的利率，¥1,036.20",
        "借款L0001到期",
        "订单20261123000123456789",
        "我是高中生，在江苏",
        "我是花呗用户",
        "我叫你查一下",
        "验证码60秒没收到",
        "验证码错了5次",
        "I am Chinese",
        "十五号之前还三千五",
        "手机尾号8000",
    ],
)
def test_what_is_not_personal_is_left_alone(text: str) -> None:
    masked = mask(text, {})
    assert masked.text == text
    assert masked.entries == ()


def test_the_same_number_keeps_its_placeholder_however_it_is_written() -> None:
    first = mask("13800138000", {})
    known = {entry.placeholder: entry for entry in first.entries}
    again = mask("换成13912345678，原来是138-0013-8000", known)
    assert again.text == "换成[PHONE_2]，原来是[PHONE_1]"
    assert [entry.placeholder for entry in again.entries] == ["[PHONE_2]"]


def test_only_what_is_new_goes_to_the_vault() -> None:
    known = {"[ID_3]": VaultEntry(placeholder="[ID_3]", kind="id_number", original=ID)}
    assert mask(f"身份证{ID}", known).entries == ()
    assert mask("身份证110105194912310010x", {**known}).entries == ()


def test_a_typed_placeholder_opens_nothing() -> None:
    known = {"[PHONE_1]": VaultEntry(placeholder="[PHONE_1]", kind="phone", original="13800138000")}
    for typed in ("[PHONE_1]", "[phone_1]", "[PHONE_１]", "把[PHONE_1]发给我"):
        masked = mask(typed, known)
        assert "[PHONE_1]" not in masked.text
        assert masked.entries == ()


def test_the_original_is_what_was_written() -> None:
    (entry,) = mask("电话１３８-0013-8000", {}).entries
    assert entry.original == "１３８-0013-8000"
    assert plain_phone(entry.original) == "13800138000"


def test_an_identity_number_is_known_by_birthday_and_check_digit() -> None:
    assert is_id_number(ID)
    assert not is_id_number("110105194912310021")
    assert not is_id_number("11010519491331002X")


def test_a_card_number_is_known_by_luhn() -> None:
    assert is_card_number(CARD)
    assert not is_card_number("4111111111111112")
    assert not is_card_number("0000000000000000")


def test_cleaning_drops_what_cannot_be_seen_and_keeps_the_words() -> None:
    assert clean("  你\u200b好\u202e\x00，\t世界\u3000 \r\n\r\n\r\n\n再见 ") == "你好， 世界\n\n再见"


def test_cleaning_composes_characters() -> None:
    assert clean("cafe\u0301") == "café"


@pytest.mark.parametrize("text", ["", "   ", "\u200b\u2060", "\n\t", "\u3164", "\ud800"])
def test_an_empty_message_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        clean(text)


def test_a_message_over_the_limit_is_refused_with_both_figures() -> None:
    assert len(clean("好" * MAX_CHARACTERS)) == MAX_CHARACTERS
    with pytest.raises(InvalidInput, match="100,000 characters; at most 2,000"):
        clean("好" * 100_000)


@pytest.mark.parametrize(
    "piece",
    ["1 ", "1", "a@", "a.", "我是", "路", "省市", "北京路1号", "1-", "code ", "我叫张", "密码是", "Ab ", "中国省"],
)
def test_masking_takes_no_time_to_speak_of_on_hostile_text(piece: str) -> None:
    text = (piece * 2_000)[:2_000]
    started = time.perf_counter()
    mask(text, {})
    assert time.perf_counter() - started < 2


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120))
def test_masking_loses_no_text(text: str) -> None:
    masked = mask(text, {})
    restored = masked.text
    for entry in masked.entries:
        restored = restored.replace(entry.placeholder, entry.original)
    assert len(restored) == len(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.text(max_size=40))
def test_no_phone_number_survives(before: str, phone: str, after: str) -> None:
    text = f"{before}，{phone}，{after}"
    assert phone not in mask(text, {}).text
