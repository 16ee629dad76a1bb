"""Days as people name them, read on a given day. A past day only where the words say so."""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from assistant.amounts import chinese_number
from assistant.calendar import add_months
from assistant.folding import caseless, fold, simplify
from assistant.types.value import Value

_N = r"([0-9]{1,3}|[一二两三四五六七八九十]{1,3})"
_D = r"([0-9]{1,2}|[一二三四五六七八九十]{1,3})"
_WEEKDAYS = "一二三四五六日"
_WEEKDAYS_EN = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS_EN = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_EN = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY_EN = r"(monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_COUNT_EN = r"([0-9]{1,3}|an?|one|two|three|four|five|six|seven|ten)"
_COUNTS_EN = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "ten": 10}
_RELATIVE = {
    "大前天": -3, "前天": -2, "昨天": -1, "昨日": -1, "昨晚": -1, "今天": 0, "今日": 0, "今晚": 0, "今早": 0, "当天": 0,
    "明天": 1, "明日": 1, "明早": 1, "明晚": 1, "后天": 2, "大后天": 3,
    "the day before yesterday": -2, "yesterday": -1, "today": 0, "tonight": 0, "tomorrow": 1,
    "the day after tomorrow": 2,
}  # fmt: skip
_STEPS = {
    "上上": -2,
    "上": -1,
    "last": -1,
    "这": 0,
    "本": 0,
    "当": 0,
    "this": 0,
    "the": 0,
    "下": 1,
    "next": 1,
    "下下": 2,
}
# Words that put a day without a year, or without a month, behind us.
_PAST = re.compile(
    r"(?:扣|还|借|付|转|收|买|打|到账|下单|逾期|办|开通|申请|退|存|充|签|发)(?:款)?(?:的|了|过)|的时候|那天|当时|已经"
)
_PAST_EN = re.compile(r"\b(?:paid|charged|was|were|borrowed|took|taken|deducted|did|made|signed|bought)\b")
_PAST_REACH = 10
_PAST_REACH_EN = 60


class Day(Value):
    """One named day, by character offsets."""

    start: int
    end: int
    date: date


_Read = Callable[[re.Match[str], date], date | None]


def find_dates(text: str, on: date) -> tuple[Day, ...]:
    """Named days from left to right, none inside another."""
    folded = caseless(simplify(fold(text)))
    found: list[Day] = []
    taken = bytearray(len(folded))
    for pattern, read in _RULES:
        for match in pattern.finditer(folded):
            day = None if any(taken[match.start() : match.end()]) else read(match, on)
            if day is not None:
                taken[match.start() : match.end()] = b"\1" * len(match[0])
                found.append(Day(start=match.start(), end=match.end(), date=day))
    return tuple(sorted(found, key=lambda day: day.start))


# --- readings ---------------------------------------------------------------------------------------------------------


def _number(text: str) -> int:
    return int(text) if text.isdigit() else (chinese_number(text) or 0)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _full(match: re.Match[str], on: date) -> date | None:
    del on
    return _day(int(match[1]), int(match[2]), int(match[3]))


def _month_day(match: re.Match[str], on: date) -> date | None:
    """M月D日, of the year that is named or else of the one the words point to."""
    year = {"去年": -1, "今年": 0, "明年": 1}.get(match[1] or "")
    month, day = _number(match[2]), _number(match[3])
    return _day(on.year + year, month, day) if year is not None else _nearest(match, on, month, day)


def _slashed(match: re.Match[str], on: date) -> date | None:
    return _nearest(match, on, int(match[1]), int(match[2]))


def _month_day_en(match: re.Match[str], on: date) -> date | None:
    month, day, year = match.group("month", "day", "year")
    number = _MONTHS_EN.index(month[:3]) + 1
    return _day(int(year), number, int(day)) if year else _nearest(match, on, number, int(day))


def _nearest(match: re.Match[str], on: date, month: int, day: int) -> date | None:
    years = (on.year, on.year - 1) if _is_past(match) else (on.year, on.year + 1)
    days = [found for year in years if (found := _day(year, month, day)) is not None]
    fitting = [found for found in days if (found <= on if _is_past(match) else found >= on)]
    return fitting[0] if fitting else None


def _is_past(match: re.Match[str]) -> bool:
    text = match.string
    near = _PAST_EN.search(text, max(0, match.start() - _PAST_REACH_EN), match.end() + _PAST_REACH_EN)
    return near is not None or _PAST.search(text, match.end(), match.end() + _PAST_REACH) is not None


def _of_month(match: re.Match[str], on: date) -> date | None:
    first = add_months(on.replace(day=1), _STEPS[match["step"]])
    return _day(first.year, first.month, _number(match["day"]))


def _end_of_month(match: re.Match[str], on: date) -> date:
    return add_months(on.replace(day=1), _STEPS[match["step"] or "这"] + 1) - timedelta(days=1)


def _relative(match: re.Match[str], on: date) -> date:
    return on + timedelta(days=_RELATIVE[match[0]])


def _counted(match: re.Match[str], on: date) -> date | None:
    """N days, weeks or months from now, or ago."""
    count, unit = match["count"], match["unit"]
    number = _COUNTS_EN.get(count) or _number(count)
    sign = -1 if (match["back"] or "").strip() in ("前", "之前", "以前", "ago") else 1
    if unit in ("天", "日", "day"):
        return on + timedelta(days=sign * number)
    if unit in ("周", "星期", "个星期", "个礼拜", "礼拜", "week"):
        return on + timedelta(weeks=sign * number)
    return add_months(on, sign * number)


def _half_month(match: re.Match[str], on: date) -> date:
    del match
    return on + timedelta(days=15)


def _weekday(match: re.Match[str], on: date) -> date:
    name = match["name"].replace("天", "日")
    weekday = _WEEKDAYS.index(name) if name in _WEEKDAYS else _WEEKDAYS_EN.index(name[:3])
    monday = on - timedelta(days=on.weekday())
    if match["step"]:
        return monday + timedelta(weeks=_STEPS[match["step"]], days=weekday)
    return on + timedelta(days=(weekday - on.weekday()) % 7)


def _bare_day(match: re.Match[str], on: date) -> date | None:
    number = _number(match["day"])
    months = range(-1, -13, -1) if _is_past(match) else range(1, 13)
    for offset in (0, *months):
        first = add_months(on.replace(day=1), offset)
        day = _day(first.year, first.month, number)
        if day is not None and (day <= on if _is_past(match) else day >= on):
            return day
    return None


def _rules() -> Iterator[tuple[re.Pattern[str], _Read]]:
    def rule(pattern: str, read: _Read) -> tuple[re.Pattern[str], _Read]:
        return re.compile(pattern), read

    yield rule(r"(?<![0-9])(20[0-9]{2})\s?[-/.年]\s?([0-9]{1,2})\s?[-/.月]\s?([0-9]{1,2})(?![0-9])\s?[日号]?", _full)
    yield rule(rf"(去年|今年|明年)?的?(?<![0-9]){_D}月{_D}(?:[日号]|(?![0-9期天个笔]))", _month_day)
    yield rule(r"(?<![0-9/.])([0-9]{1,2})/([0-9]{1,2})(?![0-9/])", _slashed)
    yield rule(rf"(?P<step>上上|上|这|本|当|下下|下)个?月的?(?P<day>{_D})[日号]", _of_month)
    yield rule(r"(?P<step>上上|上|这|本|当|下下|下)?个?月[底末]", _end_of_month)
    yield rule(r"半个月(?:之|以)?后", _half_month)
    yield rule(
        rf"(?:再?过|等)?(?P<count>{_N})(?P<unit>天|日|周|个?星期|个?礼拜|个月)(?P<back>(?:之|以)?后|(?:之|以)前|前(?!还))",
        _counted,
    )
    yield rule(rf"(?:再?过|等)(?P<count>{_N})(?P<unit>天|周|个?星期|个?礼拜|个月)(?P<back>)", _counted)
    yield rule(
        r"大前天|大后天|前天|昨[天日晚]|今[天日晚早]|当天|明[天日早晚]|后天|the day before yesterday|"
        r"the day after tomorrow|\b(?:yesterday|today|tonight|tomorrow)\b",
        _relative,
    )
    yield rule(
        r"(?P<step>上上|上|这|本|下下|下)?(?:个)?(?<![一二两三四五六七八九十每几0-9])(?:周|星期|礼拜)(?P<name>[一二三四五六日天])(?!内)",
        _weekday,
    )
    yield rule(rf"(?<![第每0-9月尾])(?<!每月)(?<!每个月)(?P<day>{_D})[号日](?![码楼线店内间利息以卡])", _bare_day)
    yield from _english_rules(rule)


def _english_rules(
    rule: Callable[[str, _Read], tuple[re.Pattern[str], _Read]],
) -> Iterator[tuple[re.Pattern[str], _Read]]:
    month = f"(?P<month>{_MONTH_EN})"
    number = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
    year = r"(?:,? (?P<year>20[0-9]{2}))?"
    yield rule(rf"\b{month} {number}\b{year}", _month_day_en)
    yield rule(rf"\b{number} (?:of )?{month}(?![a-z]){year}", _month_day_en)
    yield rule(rf"\b(?P<step>next|this|last) month on the {number}\b", _of_month)
    yield rule(rf"\bthe {number} of (?P<step>next|this|last) month\b", _of_month)
    yield rule(r"\bend of (?P<step>the|this|next|last) month\b", _end_of_month)
    yield rule(rf"\bin (?P<count>{_COUNT_EN}) (?P<unit>day|week|month)s?\b(?P<back>)", _counted)
    yield rule(rf"\b(?P<count>{_COUNT_EN}) (?P<unit>day|week|month)s?(?P<back> ago| from now)\b", _counted)
    yield rule(rf"\b(?:(?P<step>next|this|last) )?(?P<name>{_WEEKDAY_EN})\b", _weekday)
    yield rule(r"\b(?:on|by|before|after|until) the (?P<day>[0-9]{1,2})(?:st|nd|rd|th)\b", _bare_day)


_RULES = tuple(_rules())


# --- for the exit check -----------------------------------------------------------------------------------------------


class Stated(Value):
    """A day written out with its month, by character offsets; the year where it is written too."""

    start: int
    end: int
    year: int | None
    month: int
    day: int

    def is_on(self, day: date) -> bool:
        """Whether this is that day, the year counting only where it is written."""
        return (self.month, self.day) == (day.month, day.day) and self.year in (None, day.year)


_STATED_EN = "(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_STATED = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:(?P<year>20[0-9]{2})[-/.年])?(?<![0-9])(?P<month>[0-9]{1,2})月(?P<day>[0-9]{1,2})[日号]",
        r"(?<![0-9])(?P<year>20[0-9]{2})[-/.](?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})(?![0-9])",
        rf"\b{_STATED_EN} (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?\b(?:, (?P<year>20[0-9]{{2}}))?",
        rf"\b(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)? {_STATED_EN}\b(?:,? (?P<year>20[0-9]{{2}}))?",
    )
)


def stated_dates(text: str) -> tuple[Stated, ...]:
    """Every day that a text states with its month, in either language; nothing relative."""
    found: list[Stated] = []
    for pattern in _STATED:
        for match in pattern.finditer(fold(text)):
            month = match["month"]
            number = int(month) if month.isdigit() else _MONTHS_EN.index(month.lower()) + 1
            year = int(match["year"]) if match["year"] else None
            found.append(Stated(start=match.start(), end=match.end(), year=year, month=number, day=int(match["day"])))
    return tuple(sorted(found, key=lambda stated: stated.start))
