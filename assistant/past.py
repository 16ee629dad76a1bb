"""The past time a message speaks of: a question about then is answered by the rules of then."""

import re
from datetime import date, timedelta

from assistant.amounts import chinese_number
from assistant.calendar import add_months
from assistant.dates import find_dates
from assistant.folding import caseless, digits_from_chinese, fold, simplify
from assistant.types.understanding import PastTime

_MONTHS_EN = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_EN = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_YEARS_AGO = {"大前年": 3, "前年": 2, "去年": 1, "上一年": 1, "last year": 1, "the year before last": 2}
_PARTS = {"初": 1, "上半年": 6, "年中": 6, "下半年": 12, "底": 12, "末": 12}
"""Last month of a part of a year."""
_NUMBER = r"[0-9]{1,2}|[一二两三四五六七八九十]{1,3}"
_PERIOD = re.compile(
    r"(?:(?<![0-9])(?P<year>20[0-9]{2}|二[零〇][零〇一二三四五六七八九]{2}|2[0-9](?=年的?\s?[0-9一二三四五六七八九十]{1,3}月))\s?年|"
    r"(?P<ago>大前年|前年|去年|上一年))的?\s?"
    rf"(?:(?P<month>{_NUMBER})\s?月份?|(?P<part>上半年|下半年|年中|(?:年?[初底末]))(?!还|要|能))?"
)
_PERIOD_EN = re.compile(
    rf"\b(?:{_MONTH_EN},? (?:of )?)?(?:(?P<year>20[0-9]{{2}})|(?P<ago>last year|the year before last))\b"
)
_LAST_MONTH_EN = re.compile(rf"\blast {_MONTH_EN}\b")
_AGO = re.compile(rf"(?P<half>半)年(?:以|之)?前|(?<![0-9第])(?P<count>{_NUMBER})\s?年(?:以|之)?前(?!还)")
_AGO_EN = re.compile(r"\b(?P<count>[0-9]{1,2}|a|one|two|three|four|five) years? ago\b")
_COUNTS_EN = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
# The words of a loan's beginning, next to the time: 去年六月借的那笔. A question about such a loan is one about now.
_SIGNED = re.compile(
    r"^(?:[^,。?!\s]{0,6}?)(?:签|借|贷|下的?款|放的?款|分的?期|批)(?:了|过|下来|到)?(?:的|那|这|一笔|一单|[0-9一二两三四五六七八九十几]+(?:万|千|块|元|笔))"
)
_SIGNED_BEFORE = re.compile(r"(?:签|借|贷|下款|放款|合同|批)[^,。?!\s]{0,4}$")
_SIGNED_EN = re.compile(
    r"\b(?:sign(?:ed)?|took out|taken out|borrowed|got (?:my|the|a|this) loan|(?:loan|contract|plan|instal?ments?) "
    r"(?:is |was )?(?:from|of|in|since|dated|i (?:took|got|signed)))\b"
)
_REACH_EN = 40
# Who says now asks about now, whatever else is told.
_NOW = re.compile(r"现在|目前|如今|眼下|今年|今天|还能|以后|\b(?:now|today|currently|these days|still|nowadays)\b")


def past_time(text: str, today: date) -> PastTime | None:
    """The last day of the past time that is named; None where none is, or where the question is about now.

    `of` says whether it is the time of the loan's signing or of what is asked about.
    """
    folded = caseless(simplify(fold(text)))
    found = _period(folded, today)
    if found is None:
        return None
    start, end, day = found
    near = folded[max(0, start - _REACH_EN) : end + _REACH_EN]
    if _SIGNED.search(folded[end:]) or _SIGNED_BEFORE.search(folded[:start]) or _SIGNED_EN.search(near):
        return PastTime(day=day, of="signing")
    return None if _NOW.search(folded) else PastTime(day=day, of="event")


def _period(text: str, today: date) -> tuple[int, int, date] | None:
    """The first time before today: a day, a month, a part of a year, a year, or years ago."""
    for one in find_dates(text, today):
        if one.date < today:
            return one.start, one.end, one.date
    for pattern in (_PERIOD, _PERIOD_EN, _LAST_MONTH_EN):
        for match in pattern.finditer(text):
            day = _last_day(match, today)
            if day is not None and day < today:
                return match.start(), match.end(), day
    for pattern in (_AGO, _AGO_EN):
        if (ago := pattern.search(text)) is not None:
            return ago.start(), ago.end(), _ago(ago, today)
    return None


def _last_day(match: re.Match[str], today: date) -> date | None:
    """Of a named period; the part of it that lies behind us, where it has not ended."""
    named = match.groupdict()
    month = _month(named)
    if named.get("ago"):
        year = today.year - _YEARS_AGO[named["ago"]]
    elif named.get("year"):
        year = 2000 + int(digits_from_chinese(named["year"])) % 1000
    else:
        # Last June is the one behind us.
        year = today.year if (month or 12) < today.month else today.year - 1
    if month is not None and not 1 <= month <= 12:
        return None
    end = add_months(date(year, month or 12, 1), 1) - timedelta(days=1)
    begun = date(year, month or 1, 1) < today
    return min(end, today - timedelta(days=1)) if begun else None


def _month(named: dict[str, str | None]) -> int | None:
    if name := named.get("name"):
        return _MONTHS_EN.index(name[:3]) + 1
    if month := named.get("month"):
        return int(month) if month.isdigit() else chinese_number(month)
    if part := named.get("part"):
        return _PARTS[part.removeprefix("年") if part != "年中" else part]
    return None


def _ago(match: re.Match[str], today: date) -> date:
    named = match.groupdict()
    if named.get("half"):
        return add_months(today, -6)
    count = named["count"]
    years = int(count) if count.isdigit() else _COUNTS_EN.get(count) or chinese_number(count) or 0
    return add_months(today, -12 * years)
