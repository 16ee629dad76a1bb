"""Days and hours as customers count them."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.calendar import (
    SHANGHAI,
    add_business_hours,
    add_days,
    add_months,
    add_working_days,
    format_day,
    instant_at,
    is_open,
    is_working_day,
    local_date,
    local_time,
    monthly_dates,
)

NINE, SIX = time(9), time(18)
repeatable = settings(derandomize=True, deadline=None)
first_second = datetime(2005, 1, 1, tzinfo=UTC)
instants = st.integers(0, 21 * 365 * 24 * 3600).map(lambda seconds: first_second + timedelta(seconds=seconds))
hours_of_a_week = st.integers(0, 60)


def shanghai(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def test_the_day_changes_at_midnight_in_shanghai() -> None:
    assert local_date(datetime(2026, 11, 22, 15, 59, tzinfo=UTC)) == date(2026, 11, 22)
    assert local_date(datetime(2026, 11, 22, 16, 0, tzinfo=UTC)) == date(2026, 11, 23)


def test_an_instant_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        local_date(datetime(2026, 11, 22))  # noqa: DTZ001 - the point of the test


@repeatable
@given(instants)
def test_local_day_and_time_lead_back_to_the_instant(instant: datetime) -> None:
    local = local_time(instant)
    assert instant_at(local.date(), local.time()) == instant


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 11, 23), True),  # Monday
        (date(2026, 11, 22), False),  # Sunday
        (date(2026, 10, 1), False),  # National Day, a Thursday
        (date(2026, 2, 14), True),  # a Saturday worked in exchange for the Spring Festival
        (date(2026, 2, 17), False),  # Spring Festival, a Tuesday
    ],
)
def test_holidays_are_off_and_make_up_days_are_on(day: date, works: bool) -> None:
    assert is_working_day(day) is works


def test_beyond_the_published_years_weekdays_work() -> None:
    assert is_working_day(date(2099, 10, 1))  # a Thursday
    assert not is_working_day(date(2099, 10, 3))


def test_working_days_skip_the_national_holiday() -> None:
    assert add_working_days(date(2026, 9, 30), 1) == date(2026, 10, 8)
    assert add_working_days(date(2026, 10, 8), 0) == date(2026, 10, 8)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-11-23T10:00", 4, "2026-11-23T14:00"),
        ("2026-11-23T17:00", 4, "2026-11-24T12:00"),
        ("2026-11-23T07:00", 1, "2026-11-23T10:00"),
        ("2026-11-23T18:00", 0, "2026-11-24T09:00"),
        ("2026-11-27T17:30", 1, "2026-11-30T09:30"),  # over a weekend
        ("2026-09-30T17:00", 2, "2026-10-08T10:00"),  # over the National Day holiday
        ("2026-02-13T17:00", 2, "2026-02-14T10:00"),  # into a worked Saturday
        ("2026-11-23T09:00", 9, "2026-11-23T18:00"),
        ("2026-11-23T10:00", Decimal("0.5"), "2026-11-23T10:30"),
    ],
)
def test_business_hours_run_only_while_the_office_is_open(start: str, hours: Decimal | int, end: str) -> None:
    assert add_business_hours(shanghai(start), hours, NINE, SIX) == shanghai(end)


def test_duty_hours_run_on_holidays_too() -> None:
    end = add_business_hours(shanghai("2026-10-01T21:45"), Decimal("0.5"), time(8), time(22), every_day=True)
    assert end == shanghai("2026-10-02T08:15")
    assert end.tzinfo is UTC


def test_negative_hours_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        add_business_hours(shanghai("2026-11-23T10:00"), -1, NINE, SIX)


@repeatable
@given(instants, hours_of_a_week, hours_of_a_week)
def test_business_hours_add_up(start: datetime, first: int, second: int) -> None:
    # The end of the first stretch may be a closing time; the second then begins at the next opening.
    once = add_business_hours(start, first + second, NINE, SIX)
    if second:
        assert add_business_hours(add_business_hours(start, first, NINE, SIX), second, NINE, SIX) == once
    assert is_working_day(local_date(once))
    assert NINE <= local_time(once).time() <= SIX


def test_the_door_opens_and_closes_on_time() -> None:
    assert is_open(shanghai("2026-11-23T09:00"), NINE, SIX)
    assert not is_open(shanghai("2026-11-23T18:00"), NINE, SIX)
    assert not is_open(shanghai("2026-10-01T10:00"), NINE, SIX)
    assert is_open(shanghai("2026-10-01T10:00"), NINE, SIX, every_day=True)


def test_a_legal_clock_does_not_count_its_first_day() -> None:
    assert add_days(shanghai("2026-11-23T00:30"), 15) == shanghai("2026-12-08T23:59:59")


def test_months_end_on_their_last_day() -> None:
    assert add_months(date(2027, 1, 31), 1) == date(2027, 2, 28)
    assert add_months(date(2026, 12, 5), 1) == date(2027, 1, 5)
    assert add_months(date(2026, 1, 5), -1) == date(2025, 12, 5)
    assert monthly_dates(date(2027, 1, 31), 3) == (date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31))


def test_days_are_written_in_both_languages() -> None:
    day = date(2026, 12, 5)
    assert format_day(day, "zh-CN") == "12月5日（周六）"
    assert format_day(day, "en") == "Sat 5 Dec"


def test_a_day_of_another_year_carries_its_year() -> None:
    day, today = date(2027, 1, 10), date(2026, 11, 23)
    assert format_day(day, "zh-CN", today=today) == "2027年1月10日（周日）"
    assert format_day(day, "en", today=today) == "Sun 10 Jan 2027"
    assert format_day(today, "zh-CN", today=today) == "11月23日（周一）"
