"""Doubles of the outside world that behave like the real thing, only on demand."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from assistant.errors import BankTimeout, BankUnavailable
from assistant.ports import CoreBanking
from assistant.types.banking import BankResult, Bill, CreditLimit, Customer, EarlyRepaymentQuote, Loan
from assistant.types.value import CustomerId, Fen


class FixedClock:
    """A clock that stands still until it is moved; Monday 23 November 2026, 10:00 in Shanghai unless told otherwise."""

    def __init__(self, now: datetime = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)) -> None:
        self.set(now)

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        return self._now

    def set(self, now: datetime) -> None:
        """Move to an aware instant."""
        if now.tzinfo is None:
            raise ValueError(f"{now.isoformat()} has no time zone")
        self._now = now.astimezone(UTC)

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move on by a duration."""
        self._now += timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


class TimingOutBank:
    """A real bank whose next `times` orders time out, before or after they were executed; `down` cuts every call."""

    def __init__(self, bank: CoreBanking, when: Literal["before", "after"] = "after", times: int = 1) -> None:
        self.bank = bank
        self.when = when
        self.times = times
        self.down = False
        self.orders = 0

    def _line(self) -> CoreBanking:
        if self.down:
            raise BankUnavailable("the line to the bank is cut")
        return self.bank

    def customer_by_phone(self, phone: str) -> CustomerId | None:
        return self._line().customer_by_phone(phone)

    def customer(self, customer_id: CustomerId) -> Customer:
        return self._line().customer(customer_id)

    def limits(self, customer_id: CustomerId) -> tuple[CreditLimit, ...]:
        return self._line().limits(customer_id)

    def bill(self, customer_id: CustomerId) -> Bill:
        return self._line().bill(customer_id)

    def loans(self, customer_id: CustomerId) -> tuple[Loan, ...]:
        return self._line().loans(customer_id)

    def quote_early_repayment(
        self, customer_id: CustomerId, loan_id: str, principal_fen: Fen | None
    ) -> EarlyRepaymentQuote:
        return self._line().quote_early_repayment(customer_id, loan_id, principal_fen)

    def repay_early(self, key: str, customer_id: CustomerId, quote: EarlyRepaymentQuote) -> BankResult:
        """Counts every attempt in `orders`, also those that time out."""
        self.orders += 1
        fails = self.times > 0
        self.times -= fails
        if fails and self.when == "before":
            raise BankTimeout("no answer; the order did not arrive")
        result = self._line().repay_early(key, customer_id, quote)
        if fails:
            raise BankTimeout("no answer; the order arrived")
        return result

    def result(self, key: str) -> BankResult | None:
        return self._line().result(key)
