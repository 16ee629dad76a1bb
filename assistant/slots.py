"""What a message names: sums, days, terms, products, brands, loans, phone, whole or part. Nothing is guessed."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Literal, Protocol

from assistant.amounts import chinese_number, find_amounts
from assistant.dates import find_dates
from assistant.folding import caseless, fold, simplify
from assistant.types.understanding import Language, Product, Slots

_N = r"([0-9]{1,3}|[一二两三四五六七八九十]{1,3})"
_NOT_A_TERM = r"(?<!最近)(?<!过去)(?<!逾期)(?<!拖欠)(?<!提前)(?<![近了前上下这本第每后快晚0-9])"
_STILL_A_TERM = r"(?!之?后|以后|之?前|以前|内|没|未|了|度|利率|化|费)"
_TERMS_ZH = (
    (re.compile(rf"{_NOT_A_TERM}{_N}个?期(?!内|间|账单)"), 1),
    (re.compile(rf"{_NOT_A_TERM}{_N}个月{_STILL_A_TERM}"), 1),
    (re.compile(rf"{_NOT_A_TERM}{_N}年(?!半|[0-9]|[一二三四五六七八九十]月){_STILL_A_TERM}"), 12),
)
_YEARS_AND_A_HALF = re.compile(rf"{_NOT_A_TERM}{_N}年半{_STILL_A_TERM}")
_HALF_A_YEAR = re.compile(rf"{_NOT_A_TERM}半年{_STILL_A_TERM}|\bhalf a year\b")
_NUMBERS_EN = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen"
)
_COUNTS_EN = {word: value for value, word in enumerate(_NUMBERS_EN.split(), 1)} | {"twenty-four": 24}
_COUNT_EN = rf"([0-9]{{1,3}}|{'|'.join(sorted(_COUNTS_EN, key=len, reverse=True))})"
_NOT_A_TERM_EN = r"(?<!in )(?<!last )(?<!past )"
_MONTHS_EN = r"(?:equal |monthly )?(?:months?|instal+ments?)\b(?! (?:ago|later|late|from))"
_TERMS_EN = (
    (re.compile(rf"{_NOT_A_TERM_EN}\b{_COUNT_EN}[- ]{_MONTHS_EN}"), 1),
    (re.compile(rf"{_NOT_A_TERM_EN}\b{_COUNT_EN}[- ]years?\b(?! (?:ago|later|from|old))"), 12),
)
_A_YEAR = re.compile(r"\b(?:over|for|within) (?:a|one) year\b")
_LONGEST_TERM = 360

_PURPOSES = {
    "装修": "装修|renovation|decoration",
    "手机": "手机|phone",
    "家电": "家电|电器|appliance",
    "旅行": "旅行|旅游|travel|trip|holiday",
    "进修": "进修|培训|学习|study|training",
    "婚庆": "婚庆|结婚|wedding",
    "教育": "教育|学费|education|tuition",
    "医疗": "医疗|看病|medical",
    "购车": "购车|买车|car",
    "电脑": "电脑|laptop|computer",
    "家具": "家具|furniture",
    "租房": "租房|房租|rent",
}
_THAT_LOAN = r"(?:的|用的|借的)?(?:那|这)?(?:一)?(?:笔|个贷款|次)"
_LOAN_ID = re.compile(r"(?<![A-Za-z0-9])[Ll][0-9]{3,10}(?![0-9A-Za-z])")
_PURPOSE = tuple(
    (purpose, re.compile(rf"(?:{words})(?:{_THAT_LOAN}|贷款|的?借款|的?贷)|\b(?:{words}) (?:loan|one)\b"))
    for purpose, words in _PURPOSES.items()
)
_ORDINAL = re.compile(rf"第{_N}(?:笔|个(?:贷款|借款)?$|个借款|个贷款)")
_ORDINAL_EN = re.compile(r"\b(?:the )?(first|second|third|fourth|fifth) (?:loan|one)\b")
_ORDINALS_EN = ("first", "second", "third", "fourth", "fifth")
_ONE = r"(?:的)?(?:那|这)?(?:一)?笔"
_POINTERS = tuple(
    (pointer, re.compile(pattern))
    for pointer, pattern in (
        (
            "newest",
            rf"(?:最近|刚刚?|上个?月|最新|新)借?{_ONE}|(?:最近|刚刚?|上个?月|才)借的|最后(?:那)?(?:一)?笔|最新(?:的)?借款|"
            r"\b(?:newest|latest|most recent|last) (?:loan|one)\b",
        ),
        ("oldest", rf"最早|最先借|第一次借的|最老{_ONE}|\b(?:oldest|earliest) (?:loan|one)\b"),
        (
            "largest",
            rf"(?:最大|最多|金额大|大一点|大额|较大|数额大|最高){_ONE}|(?<![最多])大{_ONE}|大的[那个]|"
            r"\b(?:largest|biggest|bigger|larger) (?:loan|one)\b",
        ),
        (
            "smallest",
            rf"(?:最小|最少|金额小|小一点|小额|较小|数额小){_ONE}|小{_ONE}|小的[那个]|"
            r"\b(?:smallest|smaller) (?:loan|one)\b",
        ),
    )
)

_FULL = re.compile(
    r"全部(?:还|结|清|提前)|全还(?![不有])|全额(?:还|结)|全都?还(?:掉|清|了|完|上)|一次性(?:全部|全)?(?:还|结)|一次(?:还|结)(?:清|完|掉)|"
    r"(?:还|结|付)清|都还(?:了|掉|完)|结了吧|还完|^全部[。.!]?$|"
    r"\b(?:settle|pay(?:ing)? (?:it |them |this |that )?(?:all )?off|in full|full amount|repay all|everything)\b"
)
_NOT_FULL = re.compile(
    r"(?:不|没|未|别)(?:想|要|用|是|能|打算|需要)?(?:全部|全|一次性|一次)?(?:还|结|付)?清?(?:全部|还清|结清|付清|还完|还)|"
    r"(?:还|结|付)清(?:了|过|的|后|之后|以后|证明|多久|没)|(?:刚|已经?|早就?|以)(?:全部|都|全)?还(?:清|完|了)|"
    r"还完(?:了|后|以后|之后|的|才|是|可以|再|这)|(?:全部|都|全)还(?:完|清)?了(?:为什么|怎么|还|,)"
)
_PART = re.compile(
    r"一部分|部分还|还部分|还一[点些半]|先还[点些]|先还一|还一半|\b(?:part of|partial(?:ly)?|some of|half of)\b"
)
_SOME = re.compile(r"先还|提前还|先付|\b(?:early|ahead of time)\b|\brepay .{0,12}of\b")
_REPAYING = re.compile(r"还|付|\b(?:re)?pay")

_PHONE = re.compile(r"\[PHONE_[0-9]+\]")
_PLACEHOLDER = re.compile(r"\[[A-Z]+_[0-9]+\]")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")


class Mention(Protocol):
    """A product word: whose product, and which of ours it corresponds to."""

    @property
    def product(self) -> Product: ...
    @property
    def brand(self) -> str | None: ...


class Glossary(Protocol):
    """Knows the product words."""

    def mentions(self, text: str) -> Sequence[Mention]:
        """Product words from left to right."""
        ...


def extract(text: str, on: date, glossary: Glossary) -> Slots:
    """The slots of a masked message read on an Asia/Shanghai day; of several sums, days or terms the first."""
    amounts, days = find_amounts(text), find_dates(text, on)
    plain = caseless(simplify(fold(text)))
    phones = _PHONE.findall(text)
    product, brand = _product(glossary.mentions(text))
    return Slots(
        amount_fen=amounts[0].fen if amounts else None,
        date=days[0].date if days else None,
        term_months=_term(plain),
        product=product,
        brand=brand,
        loan=_loan(plain),
        phone=phones[-1] if phones else None,
        part=_part(plain, bool(amounts)),
    )


def language(text: str) -> Language:
    """Chinese unless Latin words outweigh Chinese characters."""
    plain = _PLACEHOLDER.sub(" ", text)
    words, han = len(_LATIN.findall(plain)), len(_HAN.findall(plain))
    return "en" if words > han or (words == han and words > 1) else "zh"


def _product(mentions: Sequence[Mention]) -> tuple[Product | None, str | None]:
    """Our own product where it is named at all, otherwise the first."""
    ours = [mention for mention in mentions if mention.brand is None]
    chosen = next(iter(ours or mentions), None)
    return (chosen.product, chosen.brand) if chosen else (None, None)


def _term(text: str) -> int | None:
    found: list[tuple[int, int]] = []
    if half := _HALF_A_YEAR.search(text):
        found.append((half.start(), 6))
    if year := _A_YEAR.search(text):
        found.append((year.start(), 12))
    for match in _YEARS_AND_A_HALF.finditer(text):
        found.append((match.start(), 12 * _number(match[1]) + 6))
    for pattern, months in _TERMS_ZH:
        found += [(match.start(), months * _number(match[1])) for match in pattern.finditer(text)]
    for pattern, months in _TERMS_EN:
        found += [(match.start(), months * _number(match[1])) for match in pattern.finditer(text)]
    # One instalment is the current one, not a term.
    fitting = sorted((start, months) for start, months in found if 1 < months <= _LONGEST_TERM)
    return fitting[0][1] if fitting else None


def _number(text: str) -> int:
    if text.isdigit():
        return int(text)
    return _COUNTS_EN.get(text) or chinese_number(text) or 0


def _loan(text: str) -> str | None:
    if match := _LOAN_ID.search(text):
        return f"id:{match[0].upper()}"
    for purpose, pattern in _PURPOSE:
        if pattern.search(text):
            return f"purpose:{purpose}"
    if match := _ORDINAL.search(text):
        return f"#{_number(match[1])}"
    if match := _ORDINAL_EN.search(text):
        return f"#{_ORDINALS_EN.index(match[1]) + 1}"
    return next((pointer for pointer, pattern in _POINTERS if pattern.search(text)), None)


def _part(text: str, has_amount: bool) -> Literal["full", "part"] | None:
    if _PART.search(text):
        return "part"
    if _FULL.search(text) and not _NOT_FULL.search(text):
        return "full"
    return "part" if has_amount and _SOME.search(text) and _REPAYING.search(text) else None
