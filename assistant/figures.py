"""Figures as texts state them: amounts, rates, spans, dates, times of day."""

import re
from collections.abc import Iterator
from decimal import Decimal

from assistant.amounts import chinese_number
from assistant.dates import stated_dates

_UNITS = {
    "%": "%", "个百分点": "%点", "‰": "‰", "元": "元", "块": "元", "yuan": "元", "cny": "元", "rmb": "元",
    "个工作日": "工作日", "工作日": "工作日", "working day": "工作日", "business day": "工作日",
    "天": "天", "日": "天", "day": "天", "个月": "月", "month": "月", "年": "年", "year": "年",
    "周": "周", "week": "周",
    "个小时": "小时", "小时": "小时", "hour": "小时", "分钟": "分钟", "minute": "分钟", "点": "点",
    "期": "期", "instalment": "期", "installment": "期", "period": "期", "次": "次", "time": "次", "倍": "倍",
    "笔": "笔", "张": "张", "岁": "岁", "号": "号", "条": "条", "种": "种", "分": "分",
}  # fmt: skip
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=lambda unit: -len(unit)))
_SCALE = {"百": 100, "千": 1_000, "万": 10_000, "亿": 100_000_000}
_QUANTITY = re.compile(
    rf"(?P<sign>[¥￥]|CNY|RMB)?\s?(?P<digits>[0-9]+(?:,[0-9]{{3}})*(?:\.[0-9]+)?)(?P<scale>[百千万亿])?\s?(?P<unit>{_UNIT})?",
    re.IGNORECASE,
)
_SPELT = re.compile(rf"(?P<percent>百分之)?(?P<spelt>[零〇一二两三四五六七八九十百千万]+)(?P<unit>{_UNIT})?")
_CLOCK = re.compile(r"(?<![0-9])([01]?[0-9]|2[0-4])[:：]([0-5][0-9])")
_LISTED = re.compile(r"\s?(?:[、,/~—–-]|至|到|和|或|to|or|and)\s?", re.IGNORECASE)
_NOT_SPELT = ("", "分", "点", "号")
"""十分, 两点 and the like are words; a numeral without a unit is part of one."""

Figure = tuple[Decimal | str, str]
"""A value and its unit."""


def figures(text: str) -> Iterator[tuple[str, Figure]]:
    """(as written, figure) of every quantity, date and time of day of a folded text.

    A figure is its value with its unit, however written: 三天 is 3 days, 百分之二十四 is 24%. A date is its month and
    day, and where the year stands beside it that date too.
    """
    rest = list(text)

    def take(start: int, end: int) -> str:
        written = text[start:end]
        rest[start:end] = " " * (end - start)
        return written.strip()

    for day in stated_dates(text):
        written = take(day.start, day.end)
        yield written, (f"{day.month}-{day.day}", "date")
        if day.year is not None:
            yield written, (f"{day.year}-{day.month}-{day.day}", "date")
    for match in _CLOCK.finditer("".join(rest)):
        yield take(*match.span()), (f"{int(match[1])}:{match[2]}", "clock")
    unit, begin = "", 0
    # From the right, for a list or range such as 3、6、9、12期 names its unit once, at the end.
    for match in reversed(list(_QUANTITY.finditer("".join(rest)))):
        value = Decimal(match["digits"].replace(",", "")) * _SCALE.get(match["scale"] or "", 1)
        own = "元" if match["sign"] else _UNITS.get((match["unit"] or "").lower(), "")
        unit = own or (unit if _LISTED.fullmatch(text, match.end(), begin) else "")
        begin = match.start()
        yield take(*match.span()), (value.normalize(), unit)
    for match in _SPELT.finditer("".join(rest)):
        number = chinese_number(match["spelt"])
        unit = "%" if match["percent"] else _UNITS.get(match["unit"] or "", "")
        # 一 is an article more often than a number.
        if number is not None and unit not in _NOT_SPELT and (number > 1 or match["percent"]):
            yield match[0], (Decimal(number).normalize(), unit)
