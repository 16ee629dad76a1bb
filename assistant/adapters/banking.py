"""The sandbox core bank: a complete little ledger in its own SQLite file, seeded at first use."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from assistant import calculations
from assistant.adapters import sandbox_book, sandbox_customers
from assistant.adapters.sandbox_book import OpenLoan
from assistant.calculations import EarlyRepayment, Position
from assistant.calendar import local_date
from assistant.errors import BankTimeout, BankUnavailable, InvalidInput
from assistant.institution import Institution
from assistant.ports import Clock
from assistant.types.banking import (
    BankResult,
    Bill,
    BillItem,
    CreditLimit,
    Customer,
    EarlyRepaymentQuote,
    Loan,
    LoanStatus,
)
from assistant.types.value import CustomerId, Fen

QUOTE_CHANGED = "quote_changed"
LOAN_SETTLED = "loan_settled"


class SandboxBank:
    """CoreBanking on SQLite for demonstrations and tests; interest accrues to the clock's Asia/Shanghai day.

    Safe for several threads (one connection under a lock) and several processes (WAL, immediate write transactions).
    Nobody pays the bills of the sandbox: once the clock passes a due date, the bill and its loans are late. Remove the
    file to begin again. A refused order has the reason `quote_changed` or `loan_settled`. A file held by another
    process for longer than `busy_seconds` raises BankUnavailable.
    """

    def __init__(self, path: Path, clock: Clock, institution: Institution, *, busy_seconds: float = 5.0) -> None:
        self._clock = clock
        self._institution = institution
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise BankUnavailable(f"cannot open the sandbox bank at {path}: {error}") from error
        try:
            self._open(path)
        except BankUnavailable:
            self._db.close()
            raise

    def _open(self, path: Path) -> None:
        try:
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            # An order must survive a power cut once the customer has been told that it is done.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error as error:
            raise BankUnavailable(f"cannot open the sandbox bank at {path}: {error}") from error
        with self._transaction("IMMEDIATE") as db:
            today = local_date(self._clock.now())
            if sandbox_book.create(db, today):
                sandbox_customers.fill(db, today, self._institution)

    def close(self) -> None:
        """Close the file; every later call raises BankUnavailable."""
        with self._lock:
            self._db.close()

    # --- reads --------------------------------------------------------------------------------------------------------

    def customer_by_phone(self, phone: str) -> CustomerId | None:
        """Whose number this is."""
        with self._transaction() as db:
            row = db.execute("SELECT id FROM customers WHERE phone = ?", (phone,)).fetchone()
        return CustomerId(row["id"]) if row else None

    def customer(self, customer_id: CustomerId) -> Customer:
        """Raises NotFound."""
        with self._transaction() as db:
            row = sandbox_book.customer(db, customer_id)
        masked = f"{row['phone'][:3]}****{row['phone'][-4:]}"
        return Customer(customer_id=customer_id, display_name=row["display_name"], masked_phone=masked)

    def limits(self, customer_id: CustomerId) -> tuple[CreditLimit, ...]:
        """The lines of every product the customer holds. Raises NotFound."""
        with self._transaction() as db:
            sandbox_book.customer(db, customer_id)
            rows = sandbox_book.limits(db, customer_id)
        now = self._clock.now()
        return tuple(CreditLimit(**row, as_of=now) for row in map(dict, rows))

    def bill(self, customer_id: CustomerId) -> Bill:
        """The bill of the current period; one without items where nothing is due. Raises NotFound."""
        with self._transaction() as db:
            sandbox_book.customer(db, customer_id)
            return self._bill(db, customer_id, self._clock.now())

    def loans(self, customer_id: CustomerId) -> tuple[Loan, ...]:
        """Loans not settled, oldest first, interest accrued to now. Raises NotFound."""
        now = self._clock.now()
        with self._transaction() as db:
            sandbox_book.customer(db, customer_id)
            rows = db.execute(
                "SELECT * FROM loans WHERE customer_id = ? AND outstanding_fen > 0 ORDER BY signed_on, id",
                (customer_id,),
            ).fetchall()
            return tuple(self._loan(row, sandbox_book.position(db, row), now) for row in rows)

    def quote_early_repayment(
        self, customer_id: CustomerId, loan_id: str, principal_fen: Fen | None
    ) -> EarlyRepaymentQuote:
        """The price of repaying this much principal, or all of it for None, if ordered before the next cut-off.

        Raises NotFound for a loan that is not the customer's; InvalidInput for an amount out of range or a loan that
        is settled.
        """
        with self._transaction() as db:
            loan = sandbox_book.open_loan(db, customer_id, loan_id)
            if loan is None:
                raise InvalidInput(f"loan {loan_id} is settled")
            tail = sandbox_book.card_tail(db, customer_id)
        quote, _ = self._quote(loan, principal_fen, tail, self._clock.now())
        return quote

    def result(self, key: str) -> BankResult | None:
        """What became of an order; None: the bank has never seen the key."""
        with self._transaction() as db:
            row = db.execute("SELECT result FROM orders WHERE key = ?", (key,)).fetchone()
        return BankResult.model_validate_json(row["result"]) if row else None

    # --- the order ----------------------------------------------------------------------------------------------------

    def repay_early(self, key: str, customer_id: CustomerId, quote: EarlyRepaymentQuote) -> BankResult:
        """Execute the quote once under `key`, in one transaction; the same key returns the same result for ever.

        Refused where the day's figures are no longer those of the quote. Raises NotFound for a loan that is not the
        customer's; InvalidInput for a key that was used for another order; BankTimeout where the outcome is unknown.
        """
        if not key.strip():
            raise InvalidInput("an order needs an idempotency key")
        with self._transaction("IMMEDIATE") as db:
            seen = db.execute("SELECT customer_id, quote, result FROM orders WHERE key = ?", (key,)).fetchone()
            if seen is None:
                return self._execute(db, key, customer_id, quote)
            if seen["customer_id"] != customer_id or EarlyRepaymentQuote.model_validate_json(seen["quote"]) != quote:
                raise InvalidInput(f"key {key} was used for another order")
            return BankResult.model_validate_json(seen["result"])

    def _execute(
        self, db: sqlite3.Connection, key: str, customer_id: CustomerId, quote: EarlyRepaymentQuote
    ) -> BankResult:
        # Read under the write lock: an order that waited past the cut-off or midnight is judged by the later day.
        now = self._clock.now()
        loan = sandbox_book.open_loan(db, customer_id, quote.loan_id)
        outstanding_fen = loan.position.outstanding_fen if loan else 0
        plan, reason = None, LOAN_SETTLED
        if loan is not None:
            plan, reason = self._still_good(loan, quote, sandbox_book.card_tail(db, customer_id), now), QUOTE_CHANGED
        sequence = sandbox_book.next_order(db)
        result = BankResult(
            key=key,
            status="done" if plan else "refused",
            reference=f"ER{local_date(now):%Y%m%d}{sequence:06d}",
            reason=None if plan else reason,
            total_fen=plan.total_fen if plan else 0,
            remaining_principal_fen=plan.remaining_principal_fen if plan else outstanding_fen,
            at=now,
        )
        db.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
            (sequence, key, customer_id, quote.model_dump_json(), result.model_dump_json()),
        )
        if plan is not None and loan is not None:
            sandbox_book.post(db, key, customer_id, loan, plan, quote.on)
        return result

    def _still_good(
        self, loan: OpenLoan, quote: EarlyRepaymentQuote, card_tail: str, now: datetime
    ) -> EarlyRepayment | None:
        """The repayment to post, or None where a quote made now would differ from the one confirmed."""
        part = quote.principal_fen if quote.remaining_principal_fen else None
        try:
            fresh, plan = self._quote(loan, part, card_tail, now)
        except InvalidInput:
            # The amount was in range when it was quoted: the loan has changed since.
            return None
        return plan if fresh == quote else None

    def _quote(
        self, loan: OpenLoan, principal_fen: Fen | None, card_tail: str, now: datetime
    ) -> tuple[EarlyRepaymentQuote, EarlyRepayment]:
        early, overdue = self._institution.early_repayment, self._institution.overdue
        day = calculations.settlement_day(now, early)
        plan = calculations.repay_early(loan.position, principal_fen, day, early, overdue)
        quote = EarlyRepaymentQuote(
            loan_id=loan.loan_id,
            on=day,
            principal_fen=plan.principal_fen,
            interest_fen=plan.interest_fen,
            fee_fen=plan.fee_fen,
            total_fen=plan.total_fen,
            remaining_principal_fen=plan.remaining_principal_fen,
            interest_saved_fen=plan.interest_saved_fen,
            card_tail=card_tail,
        )
        return quote, plan

    # --- views of rows ------------------------------------------------------------------------------------------------

    def _loan(self, row: sqlite3.Row, position: Position, now: datetime) -> Loan:
        today = local_date(now)
        owed = calculations.accrual(position, today, self._institution.overdue)
        late = position.late(today)
        late_fen = sum(instalment.total_fen for instalment in late) + owed.late_fen
        return Loan(
            loan_id=row["id"],
            product=row["product"],
            purpose=row["purpose"],
            signed_on=position.signed_on,
            principal_fen=row["principal_fen"],
            outstanding_fen=row["outstanding_fen"],
            accrued_interest_fen=owed.total_fen,
            annual_rate=position.annual_rate,
            term_months=row["term_months"],
            periods_paid=row["term_months"] - len(position.unpaid),
            next_due_date=position.unpaid[0].due_date,
            next_due_fen=late_fen if late else position.unpaid[0].total_fen,
            method=row["method"],
            status=self._status(position, today),
            as_of=now,
        )

    def _status(self, position: Position, today: date) -> LoanStatus:
        if not position.unpaid:
            return "settled"
        return "overdue" if self._overdue_days(position.unpaid[0].due_date, today) else "open"

    def _overdue_days(self, due_date: date, today: date) -> int:
        """Days since the due date once the grace days are over, else 0."""
        days = (today - due_date).days
        return days if days > self._institution.overdue.grace_days else 0

    def _bill(self, db: sqlite3.Connection, customer_id: CustomerId, now: datetime) -> Bill:
        today = local_date(now)
        head = sandbox_book.latest_bill(db, customer_id)
        if head is None:
            return _empty_bill(today, now)
        due_date = date.fromisoformat(head["due_date"])
        lines = sandbox_book.bill_lines(db, head["id"])
        paid_fen = head["paid_fen"]
        purchases_fen = sum(line["amount_fen"] for line in lines if line["loan_id"] is None)
        standing_fen = max(0, purchases_fen - paid_fen)
        items = [BillItem(description=line["description"], amount_fen=line["amount_fen"]) for line in lines]
        late_fen = self._late_on_bill(lines, standing_fen, (today - due_date).days)
        if late_fen:
            items.append(BillItem(description="逾期利息", amount_fen=late_fen))
        total_fen = sum(item.amount_fen for item in items)
        due_fen = max(0, total_fen - paid_fen)
        # Only purchases may stand over: instalments and late interest belong to the minimum in full.
        share = calculations.round_fen(purchases_fen * self._institution.products.pay_later.minimum_payment_rate)
        return Bill(
            period=head["period"],
            due_date=due_date,
            total_fen=total_fen,
            paid_fen=paid_fen,
            due_fen=due_fen,
            minimum_fen=due_fen - standing_fen + max(0, share - paid_fen),
            items=tuple(items),
            overdue_days=self._overdue_days(due_date, today) if due_fen else 0,
            as_of=now,
        )

    def _late_on_bill(self, lines: Sequence[sqlite3.Row], standing_fen: Fen, days: int) -> Fen:
        """Interest for lateness: per instalment at its loan's rate, on purchases only once the grace days are over."""
        rules = self._institution.overdue
        late_fen = sum(
            calculations.late_interest(line["principal_fen"], Decimal(line["annual_rate"]), days, rules)
            for line in lines
            if line["loan_id"] is not None
        )
        if days > rules.grace_days:
            rate = self._institution.products.pay_later.revolving_annual_rate
            late_fen += calculations.late_interest(standing_fen, rate, days, rules)
        return late_fen

    # --- evaluation ---------------------------------------------------------------------------------------------------

    def state(self, customer_id: CustomerId) -> dict[str, Any]:
        """For evaluation only, not part of the port: a customer's end state as plain JSON. Raises NotFound.

        `loans`: loan_id → outstanding_fen, status, settled ones included; `payments`: count and amounts_fen of the
        payments that orders made, not of the seeded history; `bill`: due_fen; `limits`: product → available_fen;
        `orders`: status → count.
        """
        now = self._clock.now()
        with self._transaction() as db:
            sandbox_book.customer(db, customer_id)
            limits = {row["product"]: row["available_fen"] for row in sandbox_book.limits(db, customer_id)}
            loans = {
                row["id"]: {
                    "outstanding_fen": row["outstanding_fen"],
                    "status": self._status(sandbox_book.position(db, row), local_date(now)),
                }
                for row in db.execute(
                    "SELECT * FROM loans WHERE customer_id = ? ORDER BY id", (customer_id,)
                ).fetchall()
            }
            payments = db.execute(
                "SELECT amount_fen FROM payments WHERE customer_id = ? AND order_key IS NOT NULL ORDER BY id",
                (customer_id,),
            ).fetchall()
            orders = db.execute(
                "SELECT json_extract(result, '$.status') AS status, COUNT(*) AS count FROM orders WHERE customer_id = ?"
                " GROUP BY 1 ORDER BY 1",
                (customer_id,),
            ).fetchall()
            due_fen = self._bill(db, customer_id, now).due_fen
        return {
            "loans": loans,
            "payments": {"count": len(payments), "amounts_fen": [row["amount_fen"] for row in payments]},
            "bill": {"due_fen": due_fen},
            "limits": limits,
            "orders": {row["status"]: row["count"] for row in orders},
        }

    # --- transactions -------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"] = "DEFERRED") -> Iterator[sqlite3.Connection]:
        """One consistent view, or (IMMEDIATE) one change that happens as a whole."""
        with self._lock:
            try:
                self._db.execute(f"BEGIN {kind}")
            except sqlite3.Error as error:
                raise BankUnavailable(f"sandbox bank: {error}; nothing was written") from error
            try:
                yield self._db
            except sqlite3.Error as error:
                self._roll_back()
                raise BankUnavailable(f"sandbox bank: {error}; nothing was written") from error
            except BaseException:
                self._roll_back()
                raise
            try:
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                unknown = BankTimeout if kind == "IMMEDIATE" else BankUnavailable
                raise unknown(f"sandbox bank: {error}; ask by key what became of an order") from error

    def _roll_back(self) -> None:
        # Some failures (a full disk, for one) have already ended the transaction.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _empty_bill(today: date, now: datetime) -> Bill:
    return Bill(
        period=f"{today:%Y-%m}",
        due_date=today,
        total_fen=0,
        paid_fen=0,
        due_fen=0,
        minimum_fen=0,
        items=(),
        overdue_days=0,
        as_of=now,
    )
