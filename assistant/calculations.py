"""Interest, repayment schedules and the price of repaying early, exact to the fen.

Rules: actual days over 365; every posted amount is rounded half up to the fen, once; the last instalment takes the
remainder; interest never bears interest. Money is integer fen, rates are Decimal fractions of a year.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

from assistant.calendar import local_time
from assistant.errors import InvalidInput
from assistant.institution import EarlyRepaymentRules, OverdueRules
from assistant.types.banking import RepaymentMethod
from assistant.types.value import Fen, Value

DAYS_OF_YEAR = 365


class Instalment(Value):
    """One line of a repayment schedule."""

    number: int
    due_date: date
    principal_fen: Fen
    interest_fen: Fen

    @property
    def total_fen(self) -> Fen:
        """What is paid on the due date."""
        return self.principal_fen + self.interest_fen


class Position(Value):
    """Where an open loan stands: what is unpaid, in order, and the day up to which interest has been paid."""

    annual_rate: Decimal
    method: RepaymentMethod
    signed_on: date
    first_due_on: date
    interest_paid_to: date
    unpaid: tuple[Instalment, ...]

    @property
    def outstanding_fen(self) -> Fen:
        """Principal not yet repaid."""
        return sum(instalment.principal_fen for instalment in self.unpaid)

    def late(self, day: date) -> tuple[Instalment, ...]:
        """Instalments whose due date has passed on a day."""
        return tuple(instalment for instalment in self.unpaid if instalment.due_date < day)


class Accrual(Value):
    """Interest owed on one day, by kind."""

    current_fen: Fen
    """On principal not yet due, since the last due date."""
    billed_fen: Fen
    """Of instalments whose due date has passed."""
    late_fen: Fen
    """On principal whose due date has passed, since that date."""

    @property
    def total_fen(self) -> Fen:
        """All interest owed."""
        return self.current_fen + self.billed_fen + self.late_fen


class EarlyRepayment(Value):
    """What repaying early costs and what is left afterwards."""

    principal_fen: Fen
    interest_fen: Fen
    fee_fen: Fen
    interest_saved_fen: Fen
    remaining: tuple[Instalment, ...]

    @property
    def total_fen(self) -> Fen:
        """What is taken from the customer's card."""
        return self.principal_fen + self.interest_fen + self.fee_fen

    @property
    def remaining_principal_fen(self) -> Fen:
        """Principal left to the schedule."""
        return sum(instalment.principal_fen for instalment in self.remaining)


def round_fen(amount: Decimal) -> Fen:
    """The nearest fen, half a fen up."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def format_yuan(fen: Fen) -> str:
    """`¥1,234.56`."""
    sign = "-" if fen < 0 else ""
    yuan, rest = divmod(abs(fen), 100)
    return f"{sign}¥{yuan:,}.{rest:02d}"


def daily_interest(principal_fen: Fen, annual_rate: Decimal, days: int) -> Fen:
    """Simple interest for actual days over 365; nothing for a day that has not begun."""
    return round_fen(principal_fen * annual_rate * max(days, 0) / DAYS_OF_YEAR)


def late_interest(principal_fen: Fen, annual_rate: Decimal, days_late: int, rules: OverdueRules) -> Fen:
    """Interest on principal that was due `days_late` days ago.

    Within the grace days at the contract rate; after them at the penalty rate, from the due date on, never above the
    all-in cap.
    """
    rate = annual_rate
    if days_late > rules.grace_days:
        rate = min(annual_rate * rules.penalty_multiplier, rules.all_in_annual_cap)
    return daily_interest(principal_fen, rate, days_late)


def schedule(
    principal_fen: Fen,
    annual_rate: Decimal,
    method: RepaymentMethod,
    start: date,
    due_dates: Sequence[date],
    *,
    first_number: int = 1,
) -> tuple[Instalment, ...]:
    """The plan by which a sum lent on `start` is repaid on the due dates; interest of each period by its actual days.

    Raises InvalidInput for a sum or rate below zero, or for due dates that do not rise from `start`.
    """
    days = _period_days(start, due_dates)
    if principal_fen < 0 or annual_rate < 0:
        raise InvalidInput(f"principal {principal_fen} and rate {annual_rate} must not be negative")
    share = round_fen(Decimal(principal_fen) / len(days))
    level = _level_payment(principal_fen, annual_rate, days)
    left = principal_fen
    lines: list[Instalment] = []
    for index, due_date in enumerate(due_dates):
        interest_fen = daily_interest(left, annual_rate, days[index])
        if index == len(days) - 1:
            part = left
        elif method == "equal_instalment":
            # A long first period can cost more than the level payment: interest is paid, principal never grows.
            part = min(left, max(0, level - interest_fen))
        elif method == "equal_principal":
            part = min(left, share)
        else:
            part = 0
        left -= part
        number = first_number + index
        lines.append(Instalment(number=number, due_date=due_date, principal_fen=part, interest_fen=interest_fen))
    return tuple(lines)


def _period_days(start: date, due_dates: Sequence[date]) -> tuple[int, ...]:
    days = tuple((due - before).days for before, due in zip((start, *due_dates), due_dates, strict=False))
    if not days or min(days) <= 0:
        raise InvalidInput(f"due dates must rise from {start.isoformat()}: {[day.isoformat() for day in due_dates]}")
    return days


def _level_payment(principal_fen: Fen, annual_rate: Decimal, days: Sequence[int]) -> Fen:
    """The equal instalment whose present value, period by period, is the principal."""
    factor = Decimal(1)
    present_value = Decimal(0)
    for period in days:
        factor /= 1 + annual_rate * period / DAYS_OF_YEAR
        present_value += factor
    return round_fen(principal_fen / present_value)


def accrual(position: Position, day: date, rules: OverdueRules) -> Accrual:
    """Interest owed on a day if nothing is paid before."""
    late = position.late(day)
    since = late[-1].due_date if late else position.interest_paid_to
    not_due = position.outstanding_fen - sum(instalment.principal_fen for instalment in late)
    return Accrual(
        current_fen=daily_interest(not_due, position.annual_rate, (day - since).days),
        billed_fen=sum(instalment.interest_fen for instalment in late),
        late_fen=sum(
            late_interest(instalment.principal_fen, position.annual_rate, (day - instalment.due_date).days, rules)
            for instalment in late
        ),
    )


def settlement_day(now: datetime, rules: EarlyRepaymentRules) -> date:
    """The Asia/Shanghai day on which a request made now is settled: today, or tomorrow from the cut-off on."""
    moment = local_time(now)
    return moment.date() + timedelta(days=int(moment.time() >= rules.cutoff))


def repay_early(
    position: Position, principal_fen: Fen | None, day: date, early: EarlyRepaymentRules, overdue: OverdueRules
) -> EarlyRepayment:
    """The price on a day of repaying this much principal, or all of it for None.

    A part bears interest for its own actual days; the rest goes on over the same due dates. Raises InvalidInput for
    an amount out of range and for a part of a loan with late instalments, which come first.
    """
    if principal_fen is None:
        return _settle(position, day, early, overdue)
    outstanding = position.outstanding_fen
    if not early.min_partial_fen <= principal_fen < outstanding:
        raise InvalidInput(
            f"a part must be at least {format_yuan(early.min_partial_fen)} and less than the outstanding"
            f" {format_yuan(outstanding)}, not {format_yuan(principal_fen)}; settle the whole loan instead"
        )
    if position.late(day):
        raise InvalidInput("instalments are late: they are paid first, or the whole loan is settled")
    remaining = schedule(
        outstanding - principal_fen,
        position.annual_rate,
        position.method,
        position.interest_paid_to,
        [instalment.due_date for instalment in position.unpaid],
        first_number=position.unpaid[0].number,
    )
    interest_fen = daily_interest(principal_fen, position.annual_rate, (day - position.interest_paid_to).days)
    saved = _interest(position.unpaid) - interest_fen - _interest(remaining)
    return EarlyRepayment(
        principal_fen=principal_fen,
        interest_fen=interest_fen,
        fee_fen=_fee(position, principal_fen, day, early, overdue),
        interest_saved_fen=max(0, saved),
        remaining=remaining,
    )


def _settle(position: Position, day: date, early: EarlyRepaymentRules, overdue: OverdueRules) -> EarlyRepayment:
    owed = accrual(position, day, overdue)
    not_due = [instalment for instalment in position.unpaid if instalment.due_date >= day]
    return EarlyRepayment(
        principal_fen=position.outstanding_fen,
        interest_fen=owed.total_fen,
        fee_fen=_fee(position, position.outstanding_fen, day, early, overdue),
        interest_saved_fen=max(0, _interest(not_due) - owed.current_fen),
        remaining=(),
    )


def _interest(instalments: Sequence[Instalment]) -> Fen:
    return sum(instalment.interest_fen for instalment in instalments)


def _fee(position: Position, principal_fen: Fen, day: date, early: EarlyRepaymentRules, overdue: OverdueRules) -> Fen:
    """The fee by the rule, cut so that interest and fee on this principal stay under the all-in cap."""
    rate = early.fee_rate_first_period if day < position.first_due_on else early.fee_rate_after
    days = max((day - position.signed_on).days, 0)
    ceiling = principal_fen * overdue.all_in_annual_cap * days / DAYS_OF_YEAR
    room = int(ceiling.quantize(Decimal(1), rounding=ROUND_FLOOR)) - daily_interest(
        principal_fen, position.annual_rate, days
    )
    return max(0, min(round_fen(principal_fen * rate), room))
