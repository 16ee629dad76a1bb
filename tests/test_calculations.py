"""Interest, schedules and early repayment, exact to the fen."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.calculations import (
    Instalment,
    Position,
    accrual,
    daily_interest,
    format_yuan,
    late_interest,
    repay_early,
    round_fen,
    schedule,
    settlement_day,
)
from assistant.calendar import add_months, monthly_dates
from assistant.errors import InvalidInput
from assistant.institution import load_institution
from assistant.types.banking import RepaymentMethod

INSTITUTION = load_institution(Path(__file__).resolve().parent.parent / "knowledge" / "institution.yaml")
EARLY, OVERDUE = INSTITUTION.early_repayment, INSTITUTION.overdue
SIGNED = date(2026, 8, 5)

repeatable = settings(derandomize=True, deadline=None)

methods = st.sampled_from(["equal_instalment", "equal_principal", "interest_first"])
rates = st.integers(0, 240).map(lambda permille: Decimal(permille) / 1000)
sums = st.integers(1, 20_000_000)
usual_sums = st.integers(50_000, 20_000_000)
terms = st.integers(1, 36)
first_gaps = st.integers(1, 45)


def a_plan(principal: int, rate: Decimal, method: RepaymentMethod, term: int, gap: int = 31) -> tuple[Instalment, ...]:
    return schedule(principal, rate, method, SIGNED, monthly_dates(SIGNED + timedelta(days=gap), term))


def a_loan(
    principal: int = 2_000_000,
    rate: Decimal = Decimal("0.144"),
    method: RepaymentMethod = "equal_instalment",
    term: int = 12,
    paid: int = 3,
) -> Position:
    lines = a_plan(principal, rate, method, term)
    return Position(
        annual_rate=rate,
        method=method,
        signed_on=SIGNED,
        first_due_on=lines[0].due_date,
        interest_paid_to=lines[paid - 1].due_date if paid else SIGNED,
        unpaid=lines[paid:],
    )


loans_on_time = st.builds(
    a_loan, principal=usual_sums, rate=rates, method=methods, term=st.integers(4, 24), paid=st.integers(0, 3)
)


def a_day_in_the_current_period(loan: Position, share: float) -> date:
    length = (loan.unpaid[0].due_date - loan.interest_paid_to).days
    return loan.interest_paid_to + timedelta(days=round(length * share))


# --- money ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fen", "text"),
    [(0, "¥0.00"), (5, "¥0.05"), (123_456, "¥1,234.56"), (20_000_000, "¥200,000.00"), (-150, "-¥1.50")],
)
def test_money_is_written_with_two_decimals(fen: int, text: str) -> None:
    assert format_yuan(fen) == text


def test_half_a_fen_is_rounded_up() -> None:
    assert [round_fen(Decimal(value)) for value in ("0.5", "1.5", "2.4999", "2.5")] == [1, 2, 2, 3]


def test_interest_is_actual_days_over_365() -> None:
    assert daily_interest(1_000_000, Decimal("0.146"), 10) == 4_000
    assert daily_interest(1_000_000, Decimal("0.146"), 365) == 146_000
    assert daily_interest(1_000_000, Decimal("0.146"), -3) == 0


def test_late_principal_bears_the_penalty_rate_from_the_due_date_once_grace_is_over() -> None:
    rate = Decimal("0.146")
    assert late_interest(1_000_000, rate, 3, OVERDUE) == daily_interest(1_000_000, rate, 3)
    assert late_interest(1_000_000, rate, 4, OVERDUE) == daily_interest(1_000_000, Decimal("0.219"), 4)


def test_the_penalty_rate_stays_under_the_all_in_cap() -> None:
    assert late_interest(1_000_000, Decimal("0.20"), 30, OVERDUE) == daily_interest(1_000_000, Decimal("0.24"), 30)


# --- schedules --------------------------------------------------------------------------------------------------------


@repeatable
@given(sums, rates, methods, terms, first_gaps)
def test_every_schedule_repays_the_loan_to_the_fen(
    principal: int, rate: Decimal, method: RepaymentMethod, term: int, gap: int
) -> None:
    lines = a_plan(principal, rate, method, term, gap)
    assert [line.number for line in lines] == list(range(1, term + 1))
    assert sum(line.principal_fen for line in lines) == principal
    assert all(line.principal_fen >= 0 and line.interest_fen >= 0 for line in lines)
    left, before = principal, SIGNED
    for line in lines:
        assert line.interest_fen == daily_interest(left, rate, (line.due_date - before).days)
        left, before = left - line.principal_fen, line.due_date
    assert left == 0
    assert sum(line.total_fen for line in lines) == principal + sum(line.interest_fen for line in lines)


@repeatable
@given(usual_sums, rates, st.integers(2, 24))
def test_equal_instalments_differ_only_in_the_last_which_takes_the_remainder(
    principal: int, rate: Decimal, term: int
) -> None:
    *usual, last = a_plan(principal, rate, "equal_instalment", term)
    assert len({line.total_fen for line in usual}) == 1
    # Each period rounds its interest and the level payment by at most half a fen; compounding adds little.
    assert abs(last.total_fen - usual[0].total_fen) <= 2 * term


@repeatable
@given(usual_sums, rates, st.integers(2, 24))
def test_equal_principal_differs_only_in_the_last_which_takes_the_remainder(
    principal: int, rate: Decimal, term: int
) -> None:
    *usual, last = a_plan(principal, rate, "equal_principal", term)
    assert len({line.principal_fen for line in usual}) == 1
    assert abs(last.principal_fen - usual[0].principal_fen) <= term


@repeatable
@given(sums, rates, terms)
def test_interest_first_repays_all_principal_at_the_end(principal: int, rate: Decimal, term: int) -> None:
    *usual, last = a_plan(principal, rate, "interest_first", term)
    assert last.principal_fen == principal
    assert not any(line.principal_fen for line in usual)


def test_a_known_schedule_by_hand() -> None:
    # ¥1,000.00 at 36.5 % a year is ¥1.00 a day on the full principal.
    lines = schedule(
        100_000, Decimal("0.365"), "equal_principal", date(2026, 1, 1), [date(2026, 1, 11), date(2026, 1, 21)]
    )
    assert [(line.principal_fen, line.interest_fen) for line in lines] == [(50_000, 1_000), (50_000, 500)]


@pytest.mark.parametrize("due_dates", [[], [SIGNED], [date(2026, 10, 5), date(2026, 9, 5)]])
def test_due_dates_that_do_not_rise_are_refused(due_dates: list[date]) -> None:
    with pytest.raises(InvalidInput, match="must rise"):
        schedule(100_000, Decimal("0.1"), "equal_instalment", SIGNED, due_dates)


def test_a_negative_sum_is_refused() -> None:
    with pytest.raises(InvalidInput, match="-1"):
        schedule(-1, Decimal("0.1"), "equal_instalment", SIGNED, [date(2026, 9, 5)])


# --- accrual ----------------------------------------------------------------------------------------------------------


def test_an_unpaid_loan_owes_billed_current_and_late_interest_apart() -> None:
    loan = a_loan()
    first = loan.unpaid[0]
    owed = accrual(loan, first.due_date + timedelta(days=10), OVERDUE)
    assert owed.billed_fen == first.interest_fen
    assert owed.current_fen == daily_interest(loan.outstanding_fen - first.principal_fen, loan.annual_rate, 10)
    assert owed.late_fen == daily_interest(first.principal_fen, Decimal("0.216"), 10)
    assert owed.total_fen == owed.billed_fen + owed.current_fen + owed.late_fen


@repeatable
@given(loans_on_time)
def test_interest_accrued_to_the_due_date_is_that_of_the_instalment(loan: Position) -> None:
    owed = accrual(loan, loan.unpaid[0].due_date, OVERDUE)
    assert owed.total_fen == loan.unpaid[0].interest_fen


# --- early repayment --------------------------------------------------------------------------------------------------


@repeatable
@given(loans_on_time, st.floats(0, 1))
def test_settling_pays_the_principal_and_the_interest_of_actual_days(loan: Position, share: float) -> None:
    day = a_day_in_the_current_period(loan, share)
    plan = repay_early(loan, None, day, EARLY, OVERDUE)
    days = (day - loan.interest_paid_to).days
    assert plan.principal_fen == loan.outstanding_fen
    assert plan.interest_fen == daily_interest(loan.outstanding_fen, loan.annual_rate, days)
    assert plan.remaining == ()
    assert plan.remaining_principal_fen == 0
    assert plan.total_fen == plan.principal_fen + plan.interest_fen + plan.fee_fen
    planned = sum(line.interest_fen for line in loan.unpaid)
    assert plan.interest_saved_fen == planned - plan.interest_fen


@repeatable
@given(loans_on_time, st.floats(0, 1), st.data())
def test_a_part_leaves_a_schedule_for_exactly_the_rest(loan: Position, share: float, data: st.DataObject) -> None:
    day = a_day_in_the_current_period(loan, share)
    if loan.outstanding_fen <= EARLY.min_partial_fen:
        return
    part = data.draw(st.integers(EARLY.min_partial_fen, loan.outstanding_fen - 1))
    plan = repay_early(loan, part, day, EARLY, OVERDUE)
    assert plan.remaining_principal_fen == loan.outstanding_fen - part
    assert [(line.number, line.due_date) for line in plan.remaining] == [
        (line.number, line.due_date) for line in loan.unpaid
    ]
    assert all(line.principal_fen >= 0 and line.interest_fen >= 0 for line in plan.remaining)
    saved = sum(line.interest_fen for line in loan.unpaid) - sum(line.interest_fen for line in plan.remaining)
    assert plan.interest_saved_fen == max(0, saved - plan.interest_fen)


@repeatable
@given(loans_on_time, st.floats(0, 1))
def test_a_part_and_then_the_rest_cost_what_settling_at_once_costs(loan: Position, share: float) -> None:
    day = a_day_in_the_current_period(loan, share)
    part = loan.outstanding_fen // 3
    if part < EARLY.min_partial_fen:
        return
    at_once = repay_early(loan, None, day, EARLY, OVERDUE)
    first = repay_early(loan, part, day, EARLY, OVERDUE)
    rest = repay_early(loan.model_copy(update={"unpaid": first.remaining}), None, day, EARLY, OVERDUE)
    # Interest and fee are rounded twice instead of once.
    assert abs(first.total_fen + rest.total_fen - at_once.total_fen) <= 4
    assert first.principal_fen + rest.principal_fen == at_once.principal_fen


def test_no_fee_once_the_first_due_date_has_come() -> None:
    loan = a_loan(paid=0)
    assert repay_early(loan, None, loan.first_due_on - timedelta(days=1), EARLY, OVERDUE).fee_fen > 0
    assert repay_early(loan, None, loan.first_due_on, EARLY, OVERDUE).fee_fen == 0


def test_the_first_period_fee_is_the_published_share_where_the_cap_leaves_room() -> None:
    cheap = a_loan(rate=Decimal("0.05"), paid=0)
    assert repay_early(cheap, None, SIGNED + timedelta(days=30), EARLY, OVERDUE).fee_fen == 20_000


@repeatable
@given(usual_sums, rates, st.integers(0, 30))
def test_interest_and_fee_together_never_exceed_the_all_in_cap(principal: int, rate: Decimal, days: int) -> None:
    loan = a_loan(principal=principal, rate=rate, paid=0)
    plan = repay_early(loan, None, SIGNED + timedelta(days=days), EARLY, OVERDUE)
    ceiling = principal * OVERDUE.all_in_annual_cap * days / 365
    assert plan.interest_fen <= ceiling + Decimal("0.5")
    assert plan.fee_fen == 0 or plan.interest_fen + plan.fee_fen <= ceiling


@pytest.mark.parametrize("part", [-1, 0, 9_999, 10**9])
def test_a_part_out_of_range_is_refused(part: int) -> None:
    with pytest.raises(InvalidInput, match=r"at least ¥100\.00"):
        repay_early(a_loan(), part, date(2026, 11, 23), EARLY, OVERDUE)


def test_a_part_equal_to_the_whole_is_refused_in_favour_of_settling() -> None:
    loan = a_loan()
    with pytest.raises(InvalidInput, match="settle the whole loan"):
        repay_early(loan, loan.outstanding_fen, date(2026, 11, 23), EARLY, OVERDUE)


def test_late_instalments_come_before_a_part_but_not_before_settling() -> None:
    loan = a_loan()
    day = loan.unpaid[0].due_date + timedelta(days=1)
    with pytest.raises(InvalidInput, match="late"):
        repay_early(loan, 100_000, day, EARLY, OVERDUE)
    plan = repay_early(loan, None, day, EARLY, OVERDUE)
    assert plan.interest_fen == accrual(loan, day, OVERDUE).total_fen
    assert plan.interest_saved_fen > 0


def test_settling_after_the_last_due_date_saves_nothing() -> None:
    loan = a_loan(paid=11)
    plan = repay_early(loan, None, add_months(loan.unpaid[-1].due_date, 2), EARLY, OVERDUE)
    assert plan.interest_saved_fen == 0


def test_requests_from_the_cut_off_on_are_settled_the_next_day() -> None:
    assert settlement_day(datetime(2026, 11, 23, 13, 59, tzinfo=UTC), EARLY) == date(2026, 11, 23)
    assert settlement_day(datetime(2026, 11, 23, 14, 0, tzinfo=UTC), EARLY) == date(2026, 11, 24)
    assert settlement_day(datetime(2026, 11, 23, 16, 0, tzinfo=UTC), EARLY) == date(2026, 11, 24)
