"""The contract of ports.CoreBanking. Another adapter joins by adding its house to `HOUSES`."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from assistant.adapters.banking import SandboxBank
from assistant.calculations import daily_interest
from assistant.calendar import local_date
from assistant.errors import BankTimeout, BankUnavailable, InvalidInput, NotFound
from assistant.institution import load_institution
from assistant.ports import CoreBanking
from assistant.types.banking import EarlyRepaymentQuote
from assistant.types.value import CustomerId
from tests.doubles import FixedClock, TimingOutBank

INSTITUTION = load_institution(Path(__file__).resolve().parents[2] / "knowledge" / "institution.yaml")
DEFAULT, OTHER, OVERDUE, BARE, SETTLED, FIRST_PERIOD = (CustomerId(f"C000{number}") for number in range(1, 7))
PART_PAID = CustomerId("C0010")
NOBODY = CustomerId("C9999")
EVERYBODY = [CustomerId(f"C{number:04d}") for number in range(1, 51)]


class House(Protocol):
    """One adapter over one freshly seeded book, with the customers of the sandbox."""

    @property
    def clock(self) -> FixedClock: ...

    @property
    def bank(self) -> CoreBanking: ...

    def another(self) -> CoreBanking:
        """A second, independent adapter over the same book."""
        ...

    def reopen(self) -> CoreBanking:
        """The adapter as it is after a restart of the process."""
        ...

    def state(self, customer_id: CustomerId) -> dict[str, Any]:
        """The end state that `SandboxBank.state` describes."""
        ...

    def close(self) -> None: ...


class SandboxHouse:
    def __init__(self, folder: Path, clock: FixedClock | None = None) -> None:
        self.clock = clock or FixedClock()
        self._path = folder / "bank.sqlite"
        self._opened: list[SandboxBank] = []
        self.bank: SandboxBank = self.another()

    def another(self) -> SandboxBank:
        self._opened.append(SandboxBank(self._path, self.clock, INSTITUTION))
        return self._opened[-1]

    def reopen(self) -> SandboxBank:
        self.close()
        self.bank = self.another()
        return self.bank

    def state(self, customer_id: CustomerId) -> dict[str, Any]:
        return self.bank.state(customer_id)

    def close(self) -> None:
        for bank in self._opened:
            bank.close()


HOUSES: dict[str, Callable[[Path], House]] = {"sandbox": SandboxHouse}


@pytest.fixture(params=list(HOUSES))
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    house = HOUSES[request.param](tmp_path)
    yield house
    house.close()


@pytest.fixture
def bank(house: House) -> CoreBanking:
    return house.bank


def quote_of(
    bank: CoreBanking, customer_id: CustomerId, part: int | None = None, index: int = 0
) -> EarlyRepaymentQuote:
    return bank.quote_early_repayment(customer_id, bank.loans(customer_id)[index].loan_id, part)


# --- reads ------------------------------------------------------------------------------------------------------------


def test_a_number_leads_to_its_customer_who_is_shown_masked(bank: CoreBanking) -> None:
    assert bank.customer_by_phone("13800000001") == DEFAULT
    assert bank.customer_by_phone("13800000050") == "C0050"
    assert bank.customer_by_phone("13800000051") is None
    assert bank.customer(DEFAULT).masked_phone == "138****0001"


def test_the_default_customer_has_an_open_bill_two_loans_and_nothing_late(house: House) -> None:
    bill, loans = house.bank.bill(DEFAULT), house.bank.loans(DEFAULT)
    assert bill.due_fen > 0
    assert bill.overdue_days == 0
    assert bill.due_date > local_date(house.clock.now())
    assert len({(loan.purpose, loan.principal_fen, loan.status) for loan in loans}) == 2
    assert {loan.status for loan in loans} == {"open"}
    assert len(quote_of(house.bank, DEFAULT).card_tail) == 4


def test_an_unknown_customer_is_not_found(bank: CoreBanking) -> None:
    for read in (bank.customer, bank.limits, bank.bill, bank.loans):
        with pytest.raises(NotFound, match="C9999"):
            read(NOBODY)


@pytest.mark.parametrize("customer_id", EVERYBODY)
def test_the_figures_of_every_customer_agree_with_one_another(bank: CoreBanking, customer_id: CustomerId) -> None:
    loans, bill = bank.loans(customer_id), bank.bill(customer_id)
    for limit in bank.limits(customer_id):
        assert limit.available_fen == limit.total_fen - limit.used_fen >= 0
        owed = sum(loan.outstanding_fen for loan in loans if loan.product == limit.product)
        assert limit.product == "pay_later" or limit.used_fen == owed
    assert bill.total_fen == sum(item.amount_fen for item in bill.items)
    assert bill.due_fen == bill.total_fen - bill.paid_fen
    assert 0 <= bill.minimum_fen <= bill.due_fen
    assert bill.due_fen >= sum(loan.next_due_fen for loan in loans if loan.next_due_date == bill.due_date)
    for loan in loans:
        assert 0 < loan.outstanding_fen <= loan.principal_fen
        assert 0 <= loan.periods_paid < loan.term_months
        assert (loan.status == "overdue") == (bill.overdue_days > 0)
    assert list(loans) == sorted(loans, key=lambda loan: loan.signed_on)


def test_the_book_has_every_kind_of_customer(bank: CoreBanking) -> None:
    loans = [loan for customer_id in EVERYBODY for loan in bank.loans(customer_id)]
    assert {loan.method for loan in loans} == {"equal_instalment", "equal_principal", "interest_first"}
    assert {loan.product for loan in loans} == {"cash_loan", "merchant_loan"}
    assert {loan.status for loan in loans} == {"open", "overdue"}
    assert bank.bill(OVERDUE).overdue_days > INSTITUTION.overdue.grace_days
    assert bank.bill(PART_PAID).paid_fen > 0
    assert bank.loans(BARE) == bank.loans(SETTLED) == ()
    assert bank.bill(BARE).items == ()
    assert bank.bill(BARE).due_fen == 0


def test_interest_accrues_daily(house: House) -> None:
    before = house.bank.loans(DEFAULT)[0]
    house.clock.advance(days=1)
    after = house.bank.loans(DEFAULT)[0]
    one_day = daily_interest(before.outstanding_fen, before.annual_rate, 1)
    assert abs(after.accrued_interest_fen - before.accrued_interest_fen - one_day) <= 1
    assert after.as_of == house.clock.now()


def test_the_day_of_accrual_begins_at_midnight_in_shanghai(house: House) -> None:
    house.clock.set(datetime(2026, 11, 23, 15, 59, tzinfo=UTC))
    evening = house.bank.loans(DEFAULT)[0].accrued_interest_fen
    house.clock.advance(minutes=1)
    assert house.bank.loans(DEFAULT)[0].accrued_interest_fen > evening


def test_an_unpaid_bill_becomes_overdue_after_the_grace_days_with_late_interest(house: House) -> None:
    bill = house.bank.bill(DEFAULT)
    house.clock.advance(days=(bill.due_date - local_date(house.clock.now())).days + INSTITUTION.overdue.grace_days)
    in_grace = house.bank.bill(DEFAULT)
    assert in_grace.overdue_days == 0
    house.clock.advance(days=1)
    late = house.bank.bill(DEFAULT)
    assert late.overdue_days == INSTITUTION.overdue.grace_days + 1
    assert late.due_fen > in_grace.due_fen >= bill.due_fen
    assert {loan.status for loan in house.bank.loans(DEFAULT)} == {"overdue"}


# --- quotes -----------------------------------------------------------------------------------------------------------


def test_a_full_quote_is_principal_and_accrued_interest(bank: CoreBanking) -> None:
    loan = bank.loans(DEFAULT)[0]
    quote = bank.quote_early_repayment(DEFAULT, loan.loan_id, None)
    assert quote.principal_fen == loan.outstanding_fen
    assert quote.interest_fen == loan.accrued_interest_fen
    assert quote.fee_fen == quote.remaining_principal_fen == 0
    assert quote.total_fen == quote.principal_fen + quote.interest_fen + quote.fee_fen
    assert quote.interest_saved_fen > 0


def test_a_loan_in_its_first_period_bears_the_fee(bank: CoreBanking) -> None:
    assert quote_of(bank, FIRST_PERIOD).fee_fen > 0


def test_a_quote_after_the_cut_off_is_for_tomorrow(house: House) -> None:
    today = local_date(house.clock.now())
    house.clock.set(datetime(2026, 11, 23, 14, 0, tzinfo=UTC))
    assert quote_of(house.bank, DEFAULT).on == today + timedelta(days=1)


def test_another_customers_loan_is_not_found(bank: CoreBanking) -> None:
    quote = quote_of(bank, DEFAULT)
    with pytest.raises(NotFound):
        bank.quote_early_repayment(OTHER, quote.loan_id, None)
    with pytest.raises(NotFound):
        bank.repay_early("k", OTHER, quote)
    assert bank.result("k") is None


@pytest.mark.parametrize("part", [-100, 0, 9_999, 10**12])
def test_a_part_out_of_range_is_refused(bank: CoreBanking, part: int) -> None:
    with pytest.raises(InvalidInput, match="at least ¥100"):
        quote_of(bank, DEFAULT, part)


def test_a_part_of_all_that_is_outstanding_is_refused(bank: CoreBanking) -> None:
    with pytest.raises(InvalidInput, match="settle the whole loan"):
        quote_of(bank, DEFAULT, bank.loans(DEFAULT)[0].outstanding_fen)


def test_a_quote_changes_nothing(house: House) -> None:
    before = house.state(DEFAULT)
    quote_of(house.bank, DEFAULT)
    assert house.state(DEFAULT) == before


# --- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("customer_id", [c for c in EVERYBODY[:10] if c not in (BARE, SETTLED, PART_PAID)])
def test_a_settled_loan_is_gone_its_limit_is_back_and_its_instalment_is_off_the_bill(
    house: House, customer_id: CustomerId
) -> None:
    bank, before = house.bank, house.state(customer_id)
    loan = bank.loans(customer_id)[0]
    quote = quote_of(bank, customer_id)
    result = bank.repay_early("k", customer_id, quote)
    assert (result.key, result.status, result.reason) == ("k", "done", None)
    assert (result.total_fen, result.remaining_principal_fen) == (quote.total_fen, 0)
    assert result.reference
    after = house.state(customer_id)
    assert after["loans"][loan.loan_id] == {"outstanding_fen": 0, "status": "settled"}
    assert loan.loan_id not in {left.loan_id for left in bank.loans(customer_id)}
    assert after["limits"][loan.product] == before["limits"][loan.product] + quote.principal_fen
    assert after["payments"] == {"count": 1, "amounts_fen": [quote.total_fen]}
    assert before["bill"]["due_fen"] - after["bill"]["due_fen"] == loan.next_due_fen


def test_a_part_keeps_the_periods_and_lowers_the_instalments(house: House) -> None:
    bank = house.bank
    before, billed = bank.loans(DEFAULT)[0], bank.bill(DEFAULT).due_fen
    quote = quote_of(bank, DEFAULT, 500_000)
    result = bank.repay_early("k", DEFAULT, quote)
    after = bank.loans(DEFAULT)[0]
    assert result.status == "done"
    assert result.remaining_principal_fen == after.outstanding_fen == before.outstanding_fen - 500_000
    assert (after.next_due_date, after.periods_paid) == (before.next_due_date, before.periods_paid)
    assert after.next_due_fen < before.next_due_fen
    assert quote.interest_saved_fen > 0
    assert billed - bank.bill(DEFAULT).due_fen == before.next_due_fen - after.next_due_fen


def test_parts_and_the_rest_bring_the_principal_to_zero(house: House) -> None:
    bank = house.bank
    loan = bank.loans(DEFAULT)[0]
    for step in range(3):
        assert bank.repay_early(f"part {step}", DEFAULT, quote_of(bank, DEFAULT, 300_000)).status == "done"
        house.clock.advance(days=1)
    assert bank.repay_early("rest", DEFAULT, quote_of(bank, DEFAULT)).remaining_principal_fen == 0
    assert house.state(DEFAULT)["loans"][loan.loan_id]["outstanding_fen"] == 0
    assert house.state(DEFAULT)["payments"]["count"] == 4


def test_the_same_key_replays_the_same_result_for_ever(house: House) -> None:
    quote = quote_of(house.bank, DEFAULT)
    first = house.bank.repay_early("k", DEFAULT, quote)
    house.clock.advance(days=400)
    assert house.bank.repay_early("k", DEFAULT, quote) == first
    bank = house.reopen()
    assert bank.repay_early("k", DEFAULT, quote) == first
    assert bank.result("k") == first
    assert house.state(DEFAULT)["payments"]["count"] == 1


def test_a_refusal_replays_too(house: House) -> None:
    quote = quote_of(house.bank, DEFAULT)
    house.clock.advance(days=1)
    refused = house.bank.repay_early("k", DEFAULT, quote)
    house.clock.advance(days=-1)
    assert house.bank.repay_early("k", DEFAULT, quote) == refused
    assert house.bank.repay_early("another key", DEFAULT, quote).status == "done"


def test_a_key_of_another_order_is_refused_without_telling_its_result(house: House) -> None:
    bank = house.bank
    quote = quote_of(bank, DEFAULT)
    bank.repay_early("k", DEFAULT, quote)
    with pytest.raises(InvalidInput, match="another order"):
        bank.repay_early("k", DEFAULT, quote_of(bank, DEFAULT))
    with pytest.raises(InvalidInput, match="another order"):
        bank.repay_early("k", OTHER, quote)
    with pytest.raises(InvalidInput, match="another order"):
        bank.repay_early("k", OTHER, quote_of(bank, OTHER))
    assert house.state(OTHER)["payments"]["count"] == 0


def test_an_order_without_a_key_is_refused(bank: CoreBanking) -> None:
    with pytest.raises(InvalidInput, match="key"):
        bank.repay_early(" ", DEFAULT, quote_of(bank, DEFAULT))


def test_an_unknown_key_has_no_result(bank: CoreBanking) -> None:
    assert bank.result("never seen") is None


def test_a_quote_is_refused_the_next_day(house: House) -> None:
    before = house.state(DEFAULT)
    quote = quote_of(house.bank, DEFAULT)
    house.clock.advance(days=1)
    result = house.bank.repay_early("k", DEFAULT, quote)
    assert (result.status, result.reason, result.total_fen) == ("refused", "quote_changed", 0)
    assert result.remaining_principal_fen == quote.principal_fen
    after = house.state(DEFAULT)
    assert after["orders"] == {"refused": 1}
    assert {**after, "orders": {}} == before


def test_a_quote_made_before_the_cut_off_is_refused_after_it(house: House) -> None:
    quote = quote_of(house.bank, DEFAULT)
    house.clock.set(datetime(2026, 11, 23, 14, 0, tzinfo=UTC))
    assert house.bank.repay_early("k", DEFAULT, quote).reason == "quote_changed"


def test_a_quote_made_after_the_cut_off_holds_over_midnight(house: House) -> None:
    house.clock.set(datetime(2026, 11, 23, 15, 55, tzinfo=UTC))
    quote = quote_of(house.bank, DEFAULT)
    house.clock.advance(minutes=10)
    assert house.bank.repay_early("k", DEFAULT, quote).status == "done"


def test_a_quote_is_refused_after_another_order(bank: CoreBanking) -> None:
    full, part = quote_of(bank, DEFAULT), quote_of(bank, DEFAULT, 500_000)
    most = quote_of(bank, DEFAULT, full.principal_fen - 1)
    assert bank.repay_early("part", DEFAULT, part).status == "done"
    for key, stale in (("full", full), ("part again", part), ("most", most)):
        assert bank.repay_early(key, DEFAULT, stale).reason == "quote_changed"


def test_an_order_for_a_settled_loan_is_refused(bank: CoreBanking) -> None:
    quote = quote_of(bank, DEFAULT)
    bank.repay_early("first", DEFAULT, quote)
    again = bank.repay_early("second", DEFAULT, quote)
    assert (again.status, again.reason) == ("refused", "loan_settled")
    with pytest.raises(InvalidInput, match="settled"):
        bank.quote_early_repayment(DEFAULT, quote.loan_id, None)


@pytest.mark.parametrize(
    "forgery",
    [
        {"total_fen": 1},
        {"principal_fen": -5},
        {"interest_fen": 0},
        {"card_tail": "0000"},
        {"remaining_principal_fen": 7},
    ],
)
def test_a_quote_the_bank_did_not_make_is_refused(house: House, forgery: dict[str, Any]) -> None:
    forged = quote_of(house.bank, DEFAULT).model_copy(update=forgery)
    assert house.bank.repay_early("k", DEFAULT, forged).status == "refused"
    assert house.state(DEFAULT)["payments"]["count"] == 0


def test_references_are_unique(bank: CoreBanking) -> None:
    results = [bank.repay_early(f"{n}", DEFAULT, quote_of(bank, DEFAULT, 20_000)) for n in range(5)]
    assert len({result.reference for result in results}) == 5


# --- concurrency and failure ------------------------------------------------------------------------------------------


def test_twenty_threads_with_one_key_execute_once(house: House) -> None:
    quote = quote_of(house.bank, DEFAULT)
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda _: house.bank.repay_early("k", DEFAULT, quote), range(20)))
    assert len({result.model_dump_json() for result in results}) == 1
    assert results[0].status == "done"
    assert house.state(DEFAULT)["payments"]["count"] == 1


def test_two_adapters_over_one_book_execute_once(house: House) -> None:
    quote, banks = quote_of(house.bank, DEFAULT), [house.bank, house.another()]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: banks[n % 2].repay_early("k", DEFAULT, quote), range(16)))
    assert {result.status for result in results} == {"done"}
    assert house.state(DEFAULT)["payments"]["count"] == 1


def test_threads_with_keys_of_their_own_execute_one_of_the_equal_quotes(house: House) -> None:
    quote = quote_of(house.bank, DEFAULT, 500_000)
    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(lambda n: house.bank.repay_early(f"key {n}", DEFAULT, quote), range(12)))
    assert sorted(result.status for result in results) == ["done", *["refused"] * 11]
    assert house.state(DEFAULT)["payments"]["count"] == 1


def test_reads_during_orders_see_whole_states(house: House) -> None:
    loan_id = house.bank.loans(DEFAULT)[0].loan_id
    whole = house.state(DEFAULT)
    known = whole["limits"]["cash_loan"] + whole["loans"][loan_id]["outstanding_fen"]

    def work(number: int) -> bool:
        if number % 4 == 0:
            house.bank.repay_early(f"key {number}", DEFAULT, quote_of(house.bank, DEFAULT, 20_000))
        state = house.state(DEFAULT)
        return bool(state["limits"]["cash_loan"] + state["loans"][loan_id]["outstanding_fen"] == known)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(40)))


@pytest.mark.parametrize(("when", "payments"), [("before", 0), ("after", 1)])
def test_after_a_time_out_the_bank_knows_by_key_what_happened(house: House, when: Any, payments: int) -> None:
    line = TimingOutBank(house.bank, when)
    quote = quote_of(line, DEFAULT)
    with pytest.raises(BankTimeout):
        line.repay_early("k", DEFAULT, quote)
    assert house.state(DEFAULT)["payments"]["count"] == payments
    known = line.result("k")
    assert (known.status if known else None) == ("done" if payments else None)
    # Trying again with the same key is safe either way.
    assert line.repay_early("k", DEFAULT, quote).status == "done"
    assert house.state(DEFAULT)["payments"]["count"] == 1


def test_a_closed_bank_is_unavailable(house: House) -> None:
    house.close()
    with pytest.raises(BankUnavailable):
        house.bank.loans(DEFAULT)


# --- the sandbox alone ------------------------------------------------------------------------------------------------


def test_the_same_day_seeds_the_same_book(tmp_path: Path) -> None:
    houses = [SandboxHouse(tmp_path / name) for name in ("one", "two")]
    for customer_id in EVERYBODY:
        assert houses[0].bank.loans(customer_id) == houses[1].bank.loans(customer_id)
        assert houses[0].bank.bill(customer_id) == houses[1].bank.bill(customer_id)
        assert houses[0].bank.customer(customer_id) == houses[1].bank.customer(customer_id)
    for house in houses:
        house.close()


def test_the_default_customer_is_never_late_whatever_the_day_of_seeding(tmp_path: Path) -> None:
    for day in range(0, 800, 23):
        clock = FixedClock(datetime(2026, 1, 1, 4, tzinfo=UTC) + timedelta(days=day))
        house = SandboxHouse(tmp_path / str(day), clock)
        bill = house.bank.bill(DEFAULT)
        assert 9 <= (bill.due_date - local_date(clock.now())).days <= 16
        assert bill.due_date.day <= 28
        assert {loan.status for loan in house.bank.loans(DEFAULT)} == {"open"}
        assert house.bank.bill(OVERDUE).overdue_days > 0
        assert quote_of(house.bank, FIRST_PERIOD).fee_fen > 0
        house.close()


def test_several_adapters_may_create_the_book_at_once(tmp_path: Path) -> None:
    path, clock = tmp_path / "bank.sqlite", FixedClock()
    with ThreadPoolExecutor(6) as pool:
        banks = list(pool.map(lambda _: SandboxBank(path, clock, INSTITUTION), range(6)))
    assert len({bank.loans(DEFAULT) for bank in banks}) == 1
    for bank in banks:
        bank.close()


def test_a_book_locked_by_another_process_is_unavailable_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    bank = SandboxBank(path, FixedClock(), INSTITUTION, busy_seconds=0.05)
    quote = quote_of(bank, DEFAULT)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(BankUnavailable, match="nothing was written"):
        bank.repay_early("k", DEFAULT, quote)
    assert bank.loans(DEFAULT)
    blocker.execute("ROLLBACK")
    blocker.close()
    assert bank.repay_early("k", DEFAULT, quote).status == "done"
    bank.close()


@pytest.mark.parametrize("content", [b"this is not a database" * 100])
def test_a_file_that_is_no_book_is_unavailable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bank.sqlite"
    path.write_bytes(content)
    with pytest.raises(BankUnavailable, match="sandbox bank"):
        SandboxBank(path, FixedClock(), INSTITUTION)
    assert path.read_bytes() == content
