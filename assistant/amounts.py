"""Sums of money as people write them, in digits and in words, in both languages."""

import re
from collections.abc import Iterator
from decimal import Decimal

from assistant.folding import fold, simplify
from assistant.types.value import Fen, Value

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,10})(?:\.[0-9]{1,4})?"
_SCALES = {"百": 100, "千": 1_000, "k": 1_000, "万": 10_000, "w": 10_000, "亿": 100_000_000, "": 1}
_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2, "俩": 2, "〇": 0}
_UNITS = {"十": 10, "百": 100, "千": 1_000}
_HAN = "[零〇一二两三四五六七八九十百千万亿]"
_NOT_MONEY = (
    r"(?!\s?(?:[0-9%‰期个天次人笔号年月日家岁位步火点折遍]|分(?![0-9一二三四五六七八九十])|小时|多次|/|-[0-9]))"
)
_CURRENCY = r"(?:¥|RMB|CNY|人民币)"
_YUAN = r"(?:元|块钱|块|圆|yuan\b|rmb\b|cny\b)"
_START = r"(?<![0-9.A-Za-z_\[#])(?<![0-9],)"

_MARKED = re.compile(rf"(?i){_CURRENCY}\s?({_NUMBER})\s?([百千万亿]|[wk](?![a-z]))?")
_WITH_UNIT = re.compile(rf"(?i){_START}({_NUMBER})\s?([百千万亿wk])?([0-9])?\s?{_YUAN}(?:([0-9])(?![0-9])[毛角]?)?")
_SCALED = re.compile(rf"(?i){_START}({_NUMBER})\s?([千万亿]|[wk](?![a-z]))([0-9](?![0-9]))?{_NOT_MONEY}")
_SPELT = re.compile(
    rf"(?<!第)(?<!百分之)(?<!万分之)(?<!{_HAN})([零一二两三四五六七八九十]{_HAN}{{0,11}}){_YUAN}(?:([一二三四五六七八九])(?![十百千万]))?"
)
_SPELT_ROUND = re.compile(
    rf"(?<![第分])(?<!百分之)(?<!万分之)(?<!{_HAN})([一二两三四五六七八九十]{_HAN}{{0,4}}[百千万亿]{_HAN}{{0,8}})"
    rf"(?!{_HAN}){_NOT_MONEY}"
)
_SPOKEN = re.compile(
    r"(?:还款|[还借取提转扣付交存缴]|repay|borrow|pay|withdraw)"
    r"(?:[了个我先掉款出的给约大]|\s){0,3}"
    rf"({_NUMBER})(?![0-9.,]){_NOT_MONEY}"
)
_ALONE = re.compile(rf"^\s*({_NUMBER})\s*(?:吧|左右|就行|就好|可以吗)?\s*[。.!]?\s*$")
_ONES_EN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS_EN = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS_EN = {word: value for value, word in enumerate(_ONES_EN.split())} | {
    word: 10 * tens for tens, word in enumerate(_TENS_EN.split(), 2)
}
_WORD_EN = "|".join([*_WORDS_EN, "a"])
_SPELT_EN = re.compile(rf"(?i)\b({_WORD_EN})(?:[ -]({_WORD_EN}))? (hundred|thousand)\b(?! (?:days|times|people))")
_LEAST_BARE = 100
_MOST = 10**14


class Amount(Value):
    """One sum, by character offsets; `marked` where a currency stands with it."""

    start: int
    end: int
    fen: Fen
    marked: bool


def find_amounts(text: str) -> tuple[Amount, ...]:
    """Sums from left to right, none inside another. A bare number counts after a verb of paying, or alone."""
    found: list[Amount] = []
    taken = bytearray(len(text))
    for amount in _candidates(simplify(fold(text))):
        if not any(taken[amount.start : amount.end]):
            taken[amount.start : amount.end] = b"\1" * (amount.end - amount.start)
            found.append(amount)
    return tuple(sorted(found, key=lambda amount: amount.start))


def _candidates(text: str) -> Iterator[Amount]:
    for match in _MARKED.finditer(text):
        yield from _amount(match, _value(match[1], match[2]), marked=True)
    for match in _WITH_UNIT.finditer(text):
        cents = Decimal(match[4] or 0) / 10
        yield from _amount(match, _value(match[1], match[2], match[3]) + cents, marked=True)
    for pattern in (_SPELT, _SPELT_ROUND):
        for match in pattern.finditer(text):
            number = chinese_number(match[1])
            if number is not None:
                marked = pattern is _SPELT
                tenths = _DIGITS.get(match[2], 0) if marked else 0
                yield from _amount(match, Decimal(number) + Decimal(tenths) / 10, marked=marked)
    for match in _SCALED.finditer(text):
        yield from _amount(match, _value(match[1], match[2], match[3]), marked=False)
    for match in _SPELT_EN.finditer(text):
        yield from _amount(match, Decimal(_english(match)), marked=False)
    for pattern in (_SPOKEN, _ALONE):
        for match in pattern.finditer(text):
            value = _value(match[1], None)
            if value >= _LEAST_BARE:
                yield from _amount(match, value, marked=False)


def _amount(match: re.Match[str], yuan: Decimal, *, marked: bool) -> Iterator[Amount]:
    fen = yuan * 100
    if fen == fen.to_integral_value() and 0 <= fen < _MOST:
        yield Amount(start=match.start(), end=match.end(), fen=int(fen), marked=marked)


def _value(number: str, scale: str | None, next_digit: str | None = None) -> Decimal:
    """1.5 and w make 15,000; in 1w5 the digit counts thousands."""
    factor = _SCALES[(scale or "").lower()]
    return Decimal(number.replace(",", "")) * factor + Decimal(next_digit or 0) * factor / 10


def _english(match: re.Match[str]) -> int:
    parts = [1 if word.lower() == "a" else _WORDS_EN[word.lower()] for word in match.group(1, 2) if word]
    return sum(parts) * (100 if match[3].lower() == "hundred" else 1_000)


def chinese_number(text: str) -> int | None:
    """三千五 is 3,500 and 一千零五 is 1,005; None for what is no number, such as the range 三五千."""
    total = section = digit = 0
    pending = after_zero = False
    last_unit = 1
    for char in text:
        if char in "零〇":
            after_zero = True
        elif char in _DIGITS:
            if pending:
                return None
            digit, pending = _DIGITS[char], True
        elif char in _UNITS:
            section += (digit if pending else 1) * _UNITS[char]
            digit, pending, after_zero, last_unit = 0, False, False, _UNITS[char]
        elif char in "万亿":
            scale = _SCALES[char]
            total = (total + section + digit) * scale if scale > 10_000 else total + (section + digit) * scale
            section = digit = 0
            pending = after_zero = False
            last_unit = scale
        else:
            return None
    shorthand = last_unit // 10 if pending and not after_zero and last_unit >= 100 else 1
    return total + section + digit * shorthand
