"""What the core bank says: facts about a customer, quotes and results of orders."""

from datetime import date
from decimal import Decimal
from typing import Literal

from assistant.types.understanding import Product
from assistant.types.value import CustomerId, Fen, Instant, Value

LoanStatus = Literal["open", "settled", "overdue"]
RepaymentMethod = Literal["equal_instalment", "equal_principal", "interest_first"]


class Customer(Value):
    """A customer as the assistant may see them: no document number, masked phone."""

    customer_id: CustomerId
    display_name: str
    masked_phone: str


class CreditLimit(Value):
    """The revolving line of one product."""

    product: Product
    total_fen: Fen
    used_fen: Fen
    available_fen: Fen
    as_of: Instant


class BillItem(Value):
    """One line of a bill."""

    description: str
    amount_fen: Fen


class Bill(Value):
    """What is due in one period, over all products; `due_fen` is what is still owed."""

    period: str
    due_date: date
    total_fen: Fen
    paid_fen: Fen
    due_fen: Fen
    minimum_fen: Fen
    items: tuple[BillItem, ...]
    overdue_days: int
    as_of: Instant


class Loan(Value):
    """One loan with its outstanding principal and the interest accrued to `as_of`."""

    loan_id: str
    product: Product
    purpose: str
    signed_on: date
    principal_fen: Fen
    outstanding_fen: Fen
    accrued_interest_fen: Fen
    annual_rate: Decimal
    term_months: int
    periods_paid: int
    next_due_date: date | None
    next_due_fen: Fen
    method: RepaymentMethod
    status: LoanStatus
    as_of: Instant


class EarlyRepaymentQuote(Value):
    """The price of settling on one day; the bank refuses an order whose figures have changed."""

    loan_id: str
    on: date
    principal_fen: Fen
    interest_fen: Fen
    fee_fen: Fen
    total_fen: Fen
    remaining_principal_fen: Fen
    interest_saved_fen: Fen
    card_tail: str


class BankResult(Value):
    """The bank's final word on one order, found again by its idempotency key."""

    key: str
    status: Literal["done", "refused"]
    reference: str
    reason: str | None = None
    total_fen: Fen = 0
    remaining_principal_fen: Fen = 0
    at: Instant
