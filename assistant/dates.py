"""Days as people name them, read on a given day. A past day only where the words say so."""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from assistant.amounts import chinese_number
from assistant.calendar import add_months
from assistant.folding import caseless, digits_from_chinese, fold, simplify
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
_ONES_TH = "first second third fourth fifth sixth seventh eighth ninth"
_TEENS_TH = (
    "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_ORDINALS_EN = {word: value for value, word in enumerate(f"{_ONES_TH} {_TEENS_TH}".split(), 1)} | {
    **{f"twenty-{word}": 20 + value for value, word in enumerate(_ONES_TH.split(), 1)},
    "thirtieth": 30,
    "thirty-first": 31,
}
_WEEKDAY_EN = r"(monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_NUMBERS_EN = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
_COUNTS_EN = {word: value for value, word in enumerate(_NUMBERS_EN.split(), 1)} | {"a": 1, "an": 1, "twenty": 20}
_COUNT_EN = rf"([0-9]{{1,3}}|{'|'.join(sorted(_COUNTS_EN, key=len, reverse=True))})"
# The longer before the shorter that they hold; with spoken, regional and mistyped forms.
_RELATIVE = {
    "大前[天日]": -3,
    "大后[天日儿]": 3,
    r"前天|(?<![提之以目此])前[日儿](?![期子])|\b(?:the )?day before yesterday\b": -2,
    r"后天|后[日儿](?![期子])|\b(?:the )?day after tom+or+ow\b": 2,
    r"昨[天日晚夜儿个]|\b(?:yesterday|last night)\b": -1,
    r"明[天早晚]|(?<!赶)明[日儿](?![期子])|(?<!报)名天(?!数)|\b(?:tom+or+ow|tmrw?)\b": 1,
    r"今[天日晚早夜晨儿]|今个(?!月)|\b(?:(?<!from )today|tonight|this (?:morning|afternoon|evening))\b": 0,
}
# Holidays of one day; of the longer ones the customer must say which day.
_HOLIDAYS = {
    r"元旦(?!期间|前后|放?假|小长假|活动)|\bnew year's day\b": (1, 1),
    r"(?:劳动节|五一)(?:当天|那天|当日)": (5, 1),
    r"(?:国庆节?|十一)(?:当天|那天|当日)|\bnational day\b": (10, 1),
    r"双(?:十一|11)(?:当天|那天|当日)": (11, 11),
    r"双(?:十二|12)(?:当天|那天|当日)": (12, 12),
    r"圣诞节?(?:当天|那天|当日)|\bchristmas day\b": (12, 25),
}
# What names no one day although it holds words that do.
_NO_DAY = (
    r"每(?:个|到)?(?:月|周|星期|礼拜)的?(?:[0-9]{1,2}[号日]|[一二三四五六七八九十]{1,3}[号日]|[一二三四五六日天底末]|最后一天)|"
    r"(?:农历|阴历|旧历|腊月|正月)(?:[0-9一二三四五六七八九十]{1,3}月)?[初廿]?[0-9一二三四五六七八九十]{1,3}[号日]?|"
    r"[以之今往然明]后[天日]|今明[两二]?天|\b(?:every|each) [a-z]{3,9}day\b"
)
_STEPS = {
    "前": -2,
    "上上": -2,
    "上": -1,
    "去": -1,
    "last": -1,
    "这": 0,
    "本": 0,
    "当": 0,
    "今": 0,
    "this": 0,
    "the": 0,
    "下": 1,
    "明": 1,
    "next": 1,
    "下下": 2,
    "后": 2,
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
            if any(taken[match.start() : match.end()]):
                continue
            # What proves to be no day is taken too, lest a part of it be read as another.
            taken[match.start() : match.end()] = b"\1" * len(match[0])
            day = read(match, on)
            if day is not None:
                found.append(Day(start=match.start(), end=match.end(), date=day))
    return tuple(sorted(found, key=lambda day: day.start))


# --- readings ---------------------------------------------------------------------------------------------------------


def _number(text: str) -> int:
    if text.isdigit():
        return int(text)
    return _COUNTS_EN.get(text) or _ORDINALS_EN.get(text) or chinese_number(text) or 0


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _no_day(match: re.Match[str], on: date) -> None:
    del match, on


def _full(match: re.Match[str], on: date) -> date | None:
    del on
    # 26年 is 2026年.
    return _day(2000 + int(digits_from_chinese(match[1])) % 1000, _number(match[2]), _number(match[3]))


def _month_day(match: re.Match[str], on: date) -> date | None:
    """M月D日, of the year that is named or else of the one the words point to."""
    month, day = _number(match["month"]), _number(match["day"])
    return _day(_year(match, on), month, day) if match["year"] else _nearest(match, on, month, day)


def _year(match: re.Match[str], on: date) -> int:
    return on.year + _STEPS[match["year"][0]]


def _end_of_named_month(match: re.Match[str], on: date) -> date | None:
    month = match["month"]
    number = _MONTHS_EN.index(month[:3]) + 1 if month[:3] in _MONTHS_EN else _number(month)
    if not 1 <= number <= 12:
        return None
    if match["year"]:
        return _last_day(_year(match, on), number)
    past = _is_past(match)
    near, far = _last_day(on.year, number), _last_day(on.year + (-1 if past else 1), number)
    return near if (near <= on if past else near >= on) else far


def _last_day(year: int, month: int) -> date:
    return add_months(date(year, month, 1), 1) - timedelta(days=1)


def _holiday(month: int, day: int) -> _Read:
    return lambda match, on: _nearest(match, on, month, day)


def _month_day_en(match: re.Match[str], on: date) -> date | None:
    month, day, year = match.group("month", "day", "year")
    number = _MONTHS_EN.index(month[:3]) + 1
    return _day(int(year), number, _number(day)) if year else _nearest(match, on, number, _number(day))


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


def _relative(days: int) -> _Read:
    def read(match: re.Match[str], on: date) -> date:
        del match
        return on + timedelta(days=days)

    return read


def _counted(match: re.Match[str], on: date) -> date | None:
    """N days, weeks or months from now, or ago; 两三天 is no number of days."""
    unit, number = match["unit"], _number(match["count"])
    if not number:
        return None
    sign = -1 if (match["back"] or "").strip() in ("前", "之前", "以前", "ago") else 1
    if unit in ("天", "日", "day"):
        return on + timedelta(days=sign * number)
    if unit in ("周", "星期", "个星期", "个礼拜", "礼拜", "week"):
        return on + timedelta(weeks=sign * number)
    return add_months(on, sign * number)


def _half(match: re.Match[str], on: date) -> date:
    return add_months(on, 6) if match["unit"] == "年" else on + timedelta(days=15)


def _weekday(match: re.Match[str], on: date) -> date:
    name = match["name"].replace("天", "日")
    if name.isdigit():
        weekday = int(name) - 1
    else:
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

    yield rule(_NO_DAY, _no_day)
    year = r"(20[0-9]{2}|[23][0-9]|二[零〇][零〇一二三四五六七八九]{2})"
    yield rule(rf"(?<![0-9]){year}\s?年\s?{_D}\s?月\s?{_D}(?![0-9])\s?[日号]?", _full)
    yield rule(r"(?<![0-9])(20[0-9]{2})\s?[-/.]\s?([0-9]{1,2})\s?[-/.]\s?([0-9]{1,2})(?![0-9])", _full)
    month = rf"(?:(?P<year>[前去今明后]年)的?)?(?<![0-9])(?P<month>{_D})\s?月份?"
    yield rule(rf"{month}(?:月?[底末]|的?最后一[天日])", _end_of_named_month)
    yield rule(rf"{month}的?\s?(?P<day>{_D})(?:\s?[日号]|(?![0-9期天个笔次元块百千万]))", _month_day)
    yield rule(r"(?<![0-9/.还])(?P<year>)(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})(?![0-9/])", _month_day)
    step = "(?P<step>上上|上|这|本|当|下下|下)"
    yield rule(rf"{step}[个各]?月份?的?\s?(?P<day>{_D})\s?[日号]", _of_month)
    yield rule(rf"{step}?[个各]?月(?:月?[底末]|的?最后一[天日])", _end_of_month)
    yield rule(r"(?<![个一])半(?:个?月|(?P<unit>年))(?:之|以)?后", _half)
    # Days counted from an event, as in 逾期三天后, are not counted from today.
    event = r"(?<![期账清款请闭销了第])(?<!款日)(?<!单日)(?<!期日)"
    count = rf"{event}(?<![0-9一二两三四五六七八九十几])(?P<count>{_N})"
    after, before = r"(?P<back>(?:之|以)?后)", r"(?P<back>(?:之|以)前|前(?!还(?![的了过款])))"
    yield rule(rf"(?:再?过|等)?{count}(?P<unit>天|日|周|个?星期|个?礼拜|个月){after}", _counted)
    yield rule(rf"{count}(?P<unit>天|周|个?星期|个?礼拜|个月){before}", _counted)
    ahead = r"(?![了还]*[没未都])(?!了)(?P<back>)"
    yield rule(rf"(?:再?过|等)(?P<count>{_N})(?P<unit>天|周|个?星期|个?礼拜|个月){ahead}", _counted)
    for words, (number, day) in _HOLIDAYS.items():
        yield rule(words, _holiday(number, day))
    for words, days in _RELATIVE.items():
        yield rule(words, _relative(days))
    yield rule(
        r"(?:(?P<step>上上|上|这|本|下下|下)个?|(?<![一二两三四五六七八九十每几个半]))(?:周|星期|礼拜)"
        r"(?P<name>[一二三四五六日天1-6])(?![内次个天号期年月0-9])",
        _weekday,
    )
    yield rule(
        rf"(?<![第每0-9月尾周初廿卅])(?<!月 )(?P<day>{_D})(?:\s?号(?![码楼线店间卡窗员客位门桌院机房车柜仓文令组])|"
        r"日(?![内间利息均游历报志常本免无年体])|好(?=扣|还|之?前|以前|到|能))(?![以之]?内)",
        _bare_day,
    )
    yield from _english_rules(rule)


def _english_rules(
    rule: Callable[[str, _Read], tuple[re.Pattern[str], _Read]],
) -> Iterator[tuple[re.Pattern[str], _Read]]:
    month = f"(?P<month>{_MONTH_EN})"
    ordinal = "|".join(sorted(_ORDINALS_EN, key=len, reverse=True))
    number = rf"(?P<day>[0-9]{{1,2}}(?=(?:st|nd|rd|th)?\b)|{ordinal})(?:st|nd|rd|th)?"
    year = r"(?:,? (?P<year>20[0-9]{2}))?"
    step = "(?P<step>the|next|this|last)"
    no_thing = r"(?! (?:loan|one|bill|of|time|instal|payment|period|month|day|week|year|party|floor))"
    yield rule(rf"\b(?:end|last day) of {month}(?![a-z])(?P<year>)", _end_of_named_month)
    yield rule(rf"\b{month} (?:the )?{number}\b{year}", _month_day_en)
    yield rule(rf"\b{number} (?:of )?{month}(?![a-z]){year}", _month_day_en)
    yield rule(rf"\b{step} month on the {number}\b", _of_month)
    yield rule(rf"\bthe {number} of {step} month\b", _of_month)
    yield rule(rf"\b(?:(?:end|last day) of (?:{step} )?month|month[- ]end)\b", _end_of_month)
    yield rule(rf"\bin (?P<count>{_COUNT_EN}) (?P<unit>day|week|month)s?\b(?P<back>)", _counted)
    yield rule(rf"\b(?P<count>{_COUNT_EN}) (?P<unit>day|week|month)s?(?P<back> ago| from (?:now|today))\b", _counted)
    yield rule(rf"\b(?:(?P<step>next|this|last) )?(?P<name>{_WEEKDAY_EN})\b", _weekday)
    yield rule(
        r"\b(?:(?P<step>next|this|last)|on|by|before|until) (?P<name>mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)\b", _weekday
    )
    yield rule(rf"\b(?:on|by|before|after|until) the {number}\b{no_thing}", _bare_day)
    yield rule(rf"\bthe (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)\b{no_thing}", _bare_day)


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
