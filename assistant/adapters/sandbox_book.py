"""The sandbox bank's tables, and the rows of its loans read and written as values."""

import sqlite3
from datetime import date
from decimal import Decimal

from assistant.calculations import EarlyRepayment, Instalment, Position
from assistant.errors import NotFound
from assistant.types.understanding import Product
from assistant.types.value import CustomerId, Value

SCHEMA = """
CREATE TABLE book (seeded_on TEXT NOT NULL);
CREATE TABLE customers (id TEXT PRIMARY KEY, display_name TEXT NOT NULL, phone TEXT NOT NULL UNIQUE);
CREATE TABLE cards (customer_id TEXT PRIMARY KEY REFERENCES customers, tail TEXT NOT NULL, bank_name TEXT NOT NULL);
CREATE TABLE limits (
    customer_id TEXT NOT NULL REFERENCES customers, product TEXT NOT NULL,
    total_fen INTEGER NOT NULL CHECK (total_fen >= 0),
    used_fen INTEGER NOT NULL CHECK (used_fen BETWEEN 0 AND total_fen),
    PRIMARY KEY (customer_id, product));
CREATE TABLE loans (
    id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers, product TEXT NOT NULL, purpose TEXT NOT NULL,
    signed_on TEXT NOT NULL, principal_fen INTEGER NOT NULL CHECK (principal_fen > 0),
    outstanding_fen INTEGER NOT NULL CHECK (outstanding_fen BETWEEN 0 AND principal_fen),
    annual_rate TEXT NOT NULL, term_months INTEGER NOT NULL, method TEXT NOT NULL);
CREATE INDEX loans_by_customer ON loans (customer_id, signed_on, id);
CREATE TABLE instalments (
    loan_id TEXT NOT NULL REFERENCES loans, number INTEGER NOT NULL, due_date TEXT NOT NULL,
    principal_fen INTEGER NOT NULL CHECK (principal_fen >= 0), interest_fen INTEGER NOT NULL CHECK (interest_fen >= 0),
    status TEXT NOT NULL CHECK (status IN ('due', 'paid', 'settled')),
    PRIMARY KEY (loan_id, number));
CREATE TABLE bills (
    id INTEGER PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers,
    period TEXT NOT NULL, due_date TEXT NOT NULL,
    UNIQUE (customer_id, period));
CREATE TABLE bill_items (
    bill_id INTEGER NOT NULL REFERENCES bills, position INTEGER NOT NULL, description TEXT NOT NULL,
    amount_fen INTEGER, loan_id TEXT, number INTEGER,
    PRIMARY KEY (bill_id, position), FOREIGN KEY (loan_id, number) REFERENCES instalments,
    CHECK ((amount_fen IS NULL) = (loan_id IS NOT NULL)));
CREATE TABLE payments (
    id INTEGER PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers, loan_id TEXT REFERENCES loans,
    bill_id INTEGER REFERENCES bills, order_key TEXT REFERENCES orders (key),
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0), paid_on TEXT NOT NULL);
CREATE INDEX payments_by_customer ON payments (customer_id);
CREATE INDEX payments_by_bill ON payments (bill_id);
CREATE TABLE orders (
    sequence INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, customer_id TEXT NOT NULL REFERENCES customers,
    quote TEXT NOT NULL, result TEXT NOT NULL);
"""


class OpenLoan(Value):
    """A loan's row read together with its unpaid instalments."""

    loan_id: str
    product: Product
    position: Position


def create(db: sqlite3.Connection, today: date) -> bool:
    """Create the tables where there are none, inside the caller's transaction; whether it did."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'book'").fetchone():
        return False
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            db.execute(statement)
    db.execute("INSERT INTO book VALUES (?)", (today.isoformat(),))
    return True


def customer(db: sqlite3.Connection, customer_id: CustomerId) -> sqlite3.Row:
    """The customer's row. Raises NotFound."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM customers WHERE id = ?", (customer_id,)).fetchone()
    if row is None:
        raise NotFound(f"no customer {customer_id}")
    return row


def open_loan(db: sqlite3.Connection, customer_id: CustomerId, loan_id: str) -> OpenLoan | None:
    """None where the loan is settled. Raises NotFound where it is not this customer's."""
    row = db.execute("SELECT * FROM loans WHERE id = ? AND customer_id = ?", (loan_id, customer_id)).fetchone()
    if row is None:
        raise NotFound(f"customer {customer_id} has no loan {loan_id}")
    if row["outstanding_fen"] == 0:
        return None
    return OpenLoan(loan_id=loan_id, product=row["product"], position=position(db, row))


def position(db: sqlite3.Connection, loan: sqlite3.Row) -> Position:
    """Where the loan of a row stands."""
    lines = db.execute(
        "SELECT number, due_date, principal_fen, interest_fen, status FROM instalments"
        " WHERE loan_id = ? ORDER BY number",
        (loan["id"],),
    ).fetchall()
    signed_on = date.fromisoformat(loan["signed_on"])
    paid_to = [date.fromisoformat(line["due_date"]) for line in lines if line["status"] == "paid"]
    return Position(
        annual_rate=Decimal(loan["annual_rate"]),
        method=loan["method"],
        signed_on=signed_on,
        first_due_on=date.fromisoformat(lines[0]["due_date"]),
        interest_paid_to=max(paid_to, default=signed_on),
        unpaid=tuple(
            Instalment(
                number=line["number"],
                due_date=date.fromisoformat(line["due_date"]),
                principal_fen=line["principal_fen"],
                interest_fen=line["interest_fen"],
            )
            for line in lines
            if line["status"] == "due"
        ),
    )


def card_tail(db: sqlite3.Connection, customer_id: CustomerId) -> str:
    """The last digits of the card that payments are taken from."""
    return str(db.execute("SELECT tail FROM cards WHERE customer_id = ?", (customer_id,)).fetchone()["tail"])


def limits(db: sqlite3.Connection, customer_id: CustomerId) -> list[sqlite3.Row]:
    """Product, total, used and available fen of each line."""
    return db.execute(
        "SELECT product, total_fen, used_fen, total_fen - used_fen AS available_fen"
        " FROM limits WHERE customer_id = ? ORDER BY rowid",
        (customer_id,),
    ).fetchall()


def latest_bill(db: sqlite3.Connection, customer_id: CustomerId) -> sqlite3.Row | None:
    """Id, period, due date and what has been paid of the customer's last bill."""
    row: sqlite3.Row | None = db.execute(
        "SELECT id, period, due_date,"
        " (SELECT COALESCE(SUM(amount_fen), 0) FROM payments WHERE bill_id = bills.id) AS paid_fen"
        " FROM bills WHERE customer_id = ? ORDER BY due_date DESC LIMIT 1",
        (customer_id,),
    ).fetchone()
    return row


def bill_lines(db: sqlite3.Connection, bill_id: int) -> list[sqlite3.Row]:
    """Purchases and instalments of a bill; an instalment stands as its schedule says now, until it is settled."""
    return db.execute(
        "SELECT description, item.loan_id, loans.annual_rate, line.principal_fen,"
        " COALESCE(item.amount_fen, line.principal_fen + line.interest_fen) AS amount_fen"
        " FROM bill_items AS item"
        " LEFT JOIN instalments AS line ON line.loan_id = item.loan_id AND line.number = item.number"
        " LEFT JOIN loans ON loans.id = item.loan_id"
        " WHERE bill_id = ? AND (item.loan_id IS NULL OR line.status = 'due') ORDER BY position",
        (bill_id,),
    ).fetchall()


def next_order(db: sqlite3.Connection) -> int:
    """The number of the next order, inside a write transaction."""
    return int(db.execute("SELECT COALESCE(MAX(sequence), 0) + 1 FROM orders").fetchone()[0])


def post(
    db: sqlite3.Connection, key: str, customer_id: CustomerId, loan: OpenLoan, plan: EarlyRepayment, day: date
) -> None:
    """Write what the order changes: schedule, outstanding principal, limit, payment."""
    if plan.remaining:
        db.executemany(
            "UPDATE instalments SET principal_fen = ?, interest_fen = ? WHERE loan_id = ? AND number = ?",
            [(line.principal_fen, line.interest_fen, loan.loan_id, line.number) for line in plan.remaining],
        )
    else:
        db.execute("UPDATE instalments SET status = 'settled' WHERE loan_id = ? AND status = 'due'", (loan.loan_id,))
    db.execute("UPDATE loans SET outstanding_fen = ? WHERE id = ?", (plan.remaining_principal_fen, loan.loan_id))
    db.execute(
        "UPDATE limits SET used_fen = MAX(0, used_fen - ?) WHERE customer_id = ? AND product = ?",
        (plan.principal_fen, customer_id, loan.product),
    )
    db.execute(
        "INSERT INTO payments (customer_id, loan_id, order_key, amount_fen, paid_on) VALUES (?, ?, ?, ?, ?)",
        (customer_id, loan.loan_id, key, plan.total_fen, day.isoformat()),
    )
