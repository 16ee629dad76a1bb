"""Days and hours as customers count them: Asia/Shanghai dates, Chinese working days, opening hours, legal clocks.

Public holidays and make-up workdays come from the `chinesecalendar` package, which knows the years the State Council
has published. Outside them Monday to Friday count as working days and holidays are not known: upgrade the package when
a new year is announced, usually in November.
"""

import calendar as months
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import chinese_calendar

from assistant.types.value import Locale

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""China has had one offset and no summer time since 1991, so no time-zone database is needed."""

_WEEKDAYS_ZH = "一二三四五六日"
_WEEKDAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def local_time(instant: datetime) -> datetime:
    """An aware instant on the Asia/Shanghai clock."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return instant.astimezone(SHANGHAI)


def local_date(instant: datetime) -> date:
    """The Asia/Shanghai day of an aware instant."""
    return local_time(instant).date()


def instant_at(day: date, clock_time: time) -> datetime:
    """The UTC instant at which Asia/Shanghai clocks show this day and time."""
    return datetime.combine(day, clock_time, SHANGHAI).astimezone(UTC)


def is_working_day(day: date) -> bool:
    """Whether offices work: holidays off, make-up weekends on; weekdays only beyond the published years."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5


def add_working_days(day: date, count: int) -> date:
    """The working day that is `count` working days after a day, which itself does not count."""
    while count > 0:
        day += timedelta(days=1)
        count -= is_working_day(day)
    return day


def add_business_hours(
    start: datetime, hours: Decimal | float, open: time, close: time, *, every_day: bool = False
) -> datetime:
    """The UTC instant at which this many opening hours have passed since `start`.

    Only working days count, unless `every_day`. Started outside opening hours, the clock waits for the next opening.
    """
    if hours < 0:
        raise ValueError(f"hours must not be negative: {hours}")
    left = timedelta(seconds=float(Decimal(str(hours)) * 3600))
    moment = local_time(start)
    day = moment.date()
    while True:
        begin = max(moment, datetime.combine(day, open, SHANGHAI))
        end = datetime.combine(day, close, SHANGHAI)
        if begin < end and (every_day or is_working_day(day)):
            if left <= end - begin:
                return (begin + left).astimezone(UTC)
            left -= end - begin
        day += timedelta(days=1)


def is_open(instant: datetime, open: time, close: time, *, every_day: bool = False) -> bool:
    """Whether an instant lies within opening hours."""
    moment = local_time(instant)
    return open <= moment.time() < close and (every_day or is_working_day(moment.date()))


def add_days(start: datetime, days: int) -> datetime:
    """The last second of a legal clock that runs in calendar days; the day of `start` does not count.

    A last day that is a holiday is not moved to the next working day: the institution keeps the earlier date.
    """
    return instant_at(local_date(start) + timedelta(days=days), time(23, 59, 59))


def add_months(day: date, count: int) -> date:
    """The same day of another month, or that month's last day; `count` may be negative."""
    index = day.year * 12 + day.month - 1 + count
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, months.monthrange(year, month + 1)[1]))


def monthly_dates(first: date, count: int) -> tuple[date, ...]:
    """`count` due dates a month apart, each on the day of the first or its month's last day."""
    return tuple(add_months(first, step) for step in range(count))


def format_day(day: date, locale: Locale, *, today: date | None = None) -> str:
    """A date as customers read it: `12月5日（周六）`, `Sat 5 Dec`.

    With `today` given, a day of another year carries its year.
    """
    dated = today is not None and today.year != day.year
    if locale == "zh-CN":
        year = f"{day.year}年" if dated else ""
        return f"{year}{day.month}月{day.day}日（周{_WEEKDAYS_ZH[day.weekday()]}）"
    year = f" {day.year}" if dated else ""
    return f"{_WEEKDAYS_EN[day.weekday()]} {day.day} {_MONTHS_EN[day.month - 1]}{year}"
