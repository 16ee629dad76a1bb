"""The first entries of the sandbox bank: 50 fictional customers, the same for every file seeded on one day.

C0001 is the default customer: two open loans of different size and purpose, one open bill, a bound card, nothing late.
The others take the nine situations of `_SITUATIONS` in turn, C0002 the first, C0011 the first again. Dates are counted
from the day of seeding. Phones are 13800000001 to 13800000050.
"""

import random
import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

from assistant.calculations import schedule
from assistant.calendar import add_months, monthly_dates
from assistant.institution import Institution, TermLoan
from assistant.types.banking import RepaymentMethod
from assistant.types.understanding import Product
from assistant.types.value import Fen, Value

CUSTOMERS = 50
_SEED = 20_260_101


class _LoanPlan(Value):
    """A loan to be entered; `paid` instalments lie before the current due date."""

    product: Product = "cash_loan"
    purpose: str
    principal_fen: Fen
    term_months: int
    method: RepaymentMethod = "equal_instalment"
    rate: Decimal
    paid: int


class _Situation(Value):
    """What one customer has; `due_in` counts days from seeding to the due date of the current bill."""

    due_in: int
    loans: tuple[_LoanPlan, ...] = ()
    purchases: tuple[tuple[str, Fen], ...] = ()
    bill_paid_fen: Fen = 0


_DEFAULT = _Situation(
    due_in=12,
    loans=(
        _LoanPlan(purpose="装修", principal_fen=2_000_000, term_months=12, rate=Decimal("0.144"), paid=3),
        _LoanPlan(
            product="merchant_loan",
            purpose="手机",
            principal_fen=480_000,
            term_months=6,
            rate=Decimal("0.09"),
            paid=1,
        ),
    ),
    purchases=(("超市购物", 25_680), ("网上购物", 31_900)),
)
_NAMES = tuple(f"{surname}{title}" for title in ("女士", "先生") for surname in "王李张刘陈杨赵黄周吴")
_PURPOSES = ("装修", "家电", "旅行", "进修", "婚庆")
_SHOPS = ("超市购物", "网上购物", "餐饮", "加油", "日用百货")


def _amount(rng: random.Random, low: int, high: int) -> Fen:
    return rng.randrange(low, high) * 10_000


def _cash_loan(rng: random.Random, paid: int, method: RepaymentMethod = "equal_instalment") -> _LoanPlan:
    return _LoanPlan(
        purpose=rng.choice(_PURPOSES),
        principal_fen=_amount(rng, 30, 300),
        term_months=rng.choice((6, 12, 18)),
        method=method,
        rate=Decimal(rng.randrange(108, 235)) / 1000,
        paid=paid,
    )


def _purchases(rng: random.Random) -> tuple[tuple[str, Fen], ...]:
    return tuple((shop, rng.randrange(1_500, 60_000)) for shop in rng.sample(_SHOPS, 2))


def _one_loan(rng: random.Random) -> _Situation:
    loan = _cash_loan(rng, rng.randrange(1, 5))
    return _Situation(due_in=rng.randrange(4, 16), loans=(loan,), purchases=_purchases(rng))


def _overdue(rng: random.Random) -> _Situation:
    return _Situation(due_in=-rng.randrange(8, 21), loans=(_cash_loan(rng, 2),), purchases=_purchases(rng))


def _nothing(_: random.Random) -> _Situation:
    return _Situation(due_in=10)


def _settled(rng: random.Random) -> _Situation:
    loan = _cash_loan(rng, 0)
    return _Situation(due_in=8, loans=(loan.model_copy(update={"paid": loan.term_months}),))


def _first_period(rng: random.Random) -> _Situation:
    return _Situation(due_in=rng.randrange(10, 16), loans=(_cash_loan(rng, 0),))


def _interest_first(rng: random.Random) -> _Situation:
    return _Situation(due_in=rng.randrange(4, 16), loans=(_cash_loan(rng, 2, "interest_first"),))


def _equal_principal(rng: random.Random) -> _Situation:
    return _Situation(due_in=rng.randrange(4, 16), loans=(_cash_loan(rng, 3, "equal_principal"),))


def _free_of_interest(rng: random.Random) -> _Situation:
    loan = _LoanPlan(
        product="merchant_loan",
        purpose="家电",
        principal_fen=_amount(rng, 10, 60),
        term_months=12,
        rate=Decimal(0),
        paid=2,
    )
    return _Situation(due_in=rng.randrange(4, 16), loans=(loan,))


def _part_paid(rng: random.Random) -> _Situation:
    purchases = _purchases(rng)
    paid_fen = sum(amount for _, amount in purchases) // 3
    return _Situation(due_in=rng.randrange(4, 16), purchases=purchases, bill_paid_fen=paid_fen)


_SITUATIONS: tuple[Callable[[random.Random], _Situation], ...] = (
    _one_loan,
    _overdue,
    _nothing,
    _settled,
    _first_period,
    _interest_first,
    _equal_principal,
    _free_of_interest,
    _part_paid,
)


def fill(db: sqlite3.Connection, today: date, institution: Institution) -> None:
    """Enter the customers into empty tables, inside the caller's transaction."""
    rng = random.Random(_SEED)  # noqa: S311 - sample figures, not secrets
    for number in range(1, CUSTOMERS + 1):
        situation = _DEFAULT if number == 1 else _SITUATIONS[(number - 2) % len(_SITUATIONS)](rng)
        _enter(db, number, situation, today, institution)


def _enter(db: sqlite3.Connection, number: int, situation: _Situation, today: date, institution: Institution) -> None:
    customer_id = f"C{number:04d}"
    db.execute(
        "INSERT INTO customers VALUES (?, ?, ?)", (customer_id, _NAMES[(number - 1) % 20], f"1380000{number:04d}")
    )
    db.execute("INSERT INTO cards VALUES (?, ?, ?)", (customer_id, f"{number * 7919 % 10_000:04d}", "示例银行"))
    due_date = _due_date(today, situation.due_in)
    used: dict[Product, Fen] = {"pay_later": sum(amount for _, amount in situation.purchases) - situation.bill_paid_fen}
    for index, plan in enumerate(situation.loans, start=1):
        loan_id = f"L{number:04d}{index:02d}"
        outstanding = _enter_loan(db, loan_id, customer_id, plan, due_date, institution)
        used[plan.product] = used.get(plan.product, 0) + outstanding
    used.setdefault("cash_loan", 0)
    for product, used_fen in used.items():
        # A round line with room to spare, so that every customer has something available.
        total_fen = (used_fen // 1_000_000 + 2) * 1_000_000
        db.execute("INSERT INTO limits VALUES (?, ?, ?, ?)", (customer_id, product, total_fen, used_fen))
    _enter_bill(db, customer_id, situation, due_date, today, institution)


def _due_date(today: date, due_in: int) -> date:
    """Due days lie between 1 and 28; a later one moves away from today, so that late stays late."""
    day = today + timedelta(days=due_in)
    if day.day <= 28:
        return day
    return day.replace(day=28) if due_in < 0 else add_months(day.replace(day=1), 1)


def _enter_loan(
    db: sqlite3.Connection, loan_id: str, customer_id: str, plan: _LoanPlan, due_date: date, institution: Institution
) -> Fen:
    terms: TermLoan = institution.products.cash_loan
    if plan.product == "merchant_loan":
        terms = institution.products.merchant_loan
    # Another institution's ranges may be narrower than the sample's.
    rate = min(max(plan.rate, terms.annual_rate_min), terms.annual_rate_max)
    principal_fen = min(max(plan.principal_fen, terms.min_amount_fen), terms.max_amount_fen)
    due_dates = monthly_dates(add_months(due_date, -plan.paid), plan.term_months)
    signed_on = add_months(due_dates[0], -1)
    lines = schedule(principal_fen, rate, plan.method, signed_on, due_dates)
    outstanding_fen = sum(line.principal_fen for line in lines[plan.paid :])
    db.execute(
        "INSERT INTO loans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(loan_id, customer_id, plan.product, plan.purpose, signed_on.isoformat()),
            *(principal_fen, outstanding_fen, str(rate), plan.term_months, plan.method),
        ),
    )
    for line in lines:
        status = "paid" if line.number <= plan.paid else "due"
        db.execute(
            "INSERT INTO instalments VALUES (?, ?, ?, ?, ?, ?)",
            (loan_id, line.number, line.due_date.isoformat(), line.principal_fen, line.interest_fen, status),
        )
        if status == "paid":
            db.execute(
                "INSERT INTO payments (customer_id, loan_id, amount_fen, paid_on) VALUES (?, ?, ?, ?)",
                (customer_id, loan_id, line.total_fen, line.due_date.isoformat()),
            )
    return outstanding_fen


def _enter_bill(
    db: sqlite3.Connection,
    customer_id: str,
    situation: _Situation,
    due_date: date,
    today: date,
    institution: Institution,
) -> None:
    due = db.execute(
        "SELECT loan_id, number, product, purpose, term_months FROM instalments JOIN loans ON loans.id = loan_id"
        " WHERE customer_id = ? AND due_date = ? AND status = 'due' ORDER BY loan_id",
        (customer_id, due_date.isoformat()),
    ).fetchall()
    if not due and not situation.purchases:
        return
    bill_id = db.execute(
        "INSERT INTO bills (customer_id, period, due_date) VALUES (?, ?, ?)",
        (customer_id, f"{due_date:%Y-%m}", due_date.isoformat()),
    ).lastrowid
    pay_later = institution.products.name("pay_later", "zh-CN")
    items: list[tuple[str, Fen | None, str | None, int | None]] = [
        (f"{pay_later}·{shop}", amount, None, None) for shop, amount in situation.purchases
    ]
    for loan_id, number, product, purpose, term in due:
        name = institution.products.name(product, "zh-CN")
        items.append((f"{name}·{purpose} 第{number}/{term}期", None, loan_id, number))
    for position, item in enumerate(items, start=1):
        db.execute("INSERT INTO bill_items VALUES (?, ?, ?, ?, ?, ?)", (bill_id, position, *item))
    if situation.bill_paid_fen:
        db.execute(
            "INSERT INTO payments (customer_id, bill_id, amount_fen, paid_on) VALUES (?, ?, ?, ?)",
            (customer_id, bill_id, situation.bill_paid_fen, (today - timedelta(days=1)).isoformat()),
        )
