"""The institution that the assistant speaks for: names, products, calculation rules, service times and retention.

Read once from `knowledge/institution.yaml`. Keys that no model here names are left to their own readers.
"""

from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from assistant.errors import ConfigurationError
from assistant.types.banking import RepaymentMethod
from assistant.types.cases import Priority
from assistant.types.understanding import Product
from assistant.types.value import Fen, Locale, Value

AllocationPart = Literal["fee", "penalty_interest", "interest", "principal"]


def _as_text(value: object) -> object:
    # YAML reads an unquoted 0.146 as a binary float and an unquoted 09:00 as a number in base 60.
    if not isinstance(value, str):
        raise ValueError("write it as a quoted string")
    return value


Rate = Annotated[Decimal, BeforeValidator(_as_text), Field(ge=0, le=1)]
"""A decimal fraction; 0.146 is 14.6 %."""
Factor = Annotated[Decimal, BeforeValidator(_as_text), Field(ge=1)]
LocalTime = Annotated[time, BeforeValidator(_as_text)]
Count = Annotated[int, Field(strict=True, gt=0)]
Amount = Annotated[Fen, Field(strict=True, gt=0)]
Terms = Annotated[tuple[Count, ...], Field(min_length=1)]


class _Section(Value):
    """A part of the file; other readers may keep their own keys in it."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Bilingual(_Section):
    """One text in Chinese and in English."""

    zh: str = Field(alias="zh-CN", min_length=1)
    en: str = Field(min_length=1)

    def of(self, locale: Locale) -> str:
        """The text in one language."""
        return self.zh if locale == "zh-CN" else self.en


class Hours(_Section):
    """Opening hours of a day, Asia/Shanghai."""

    open: LocalTime
    close: LocalTime

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.open >= self.close:
            raise ValueError("open must be before close")
        return self


class PayLater(_Section):
    """The revolving product: buy now, pay on the due date."""

    name: Bilingual
    bill_day: Annotated[int, Field(strict=True, ge=1, le=28)]
    due_day: Annotated[int, Field(strict=True, ge=1, le=28)]
    minimum_payment_rate: Rate
    revolving_annual_rate: Rate
    instalment_terms: Terms
    instalment_annual_rate: Rate


class TermLoan(_Section):
    """A product that lends one sum for a fixed number of months."""

    name: Bilingual
    min_amount_fen: Amount
    max_amount_fen: Amount
    annual_rate_min: Rate
    annual_rate_max: Rate
    terms_months: Terms
    methods: Annotated[tuple[RepaymentMethod, ...], Field(min_length=1)] = ("equal_instalment",)

    @model_validator(mode="after")
    def _ranges_hold(self) -> Self:
        if self.min_amount_fen > self.max_amount_fen:
            raise ValueError("min_amount_fen is above max_amount_fen")
        if self.annual_rate_min > self.annual_rate_max:
            raise ValueError("annual_rate_min is above annual_rate_max")
        return self


class Products(_Section):
    """What the institution offers."""

    pay_later: PayLater
    cash_loan: TermLoan
    merchant_loan: TermLoan

    def name(self, product: Product, locale: Locale) -> str:
        """The product's name as customers know it."""
        terms: PayLater | TermLoan = getattr(self, product)
        return terms.name.of(locale)


class CalculationRules(_Section):
    """How money is counted. A rule without an implementation is refused at start."""

    day_count: Literal["actual/365"]
    rounding: Literal["half_up"]
    last_instalment: Literal["takes_the_remainder"]
    allocation_order: tuple[AllocationPart, ...]

    @model_validator(mode="after")
    def _allocates_everything(self) -> Self:
        if sorted(self.allocation_order) != ["fee", "interest", "penalty_interest", "principal"]:
            raise ValueError("allocation_order must name fee, penalty_interest, interest and principal once each")
        return self


class EarlyRepaymentRules(_Section):
    """What repaying before the plan costs, and until when a request counts for the same day."""

    fee_rate_first_period: Rate
    fee_rate_after: Rate
    cutoff: LocalTime
    min_partial_fen: Amount = 10_000


class OverdueRules(_Section):
    """What being late costs; `all_in_annual_cap` bounds interest, penalty and fees together."""

    grace_days: Annotated[int, Field(strict=True, ge=0)]
    penalty_multiplier: Factor
    all_in_annual_cap: Rate


class ExtensionRules(_Section):
    """How far and how often one bill may be put off."""

    max_days: Count
    times_per_year: Count


class DueDateChangeRules(_Section):
    """Which days of the month may become the due day, and how often."""

    days: tuple[Count, Count]
    times_per_year: Count


class HardshipRules(_Section):
    """The longest plan for a customer in difficulty."""

    max_months: Count


class VerificationRules(_Section):
    """One-time codes: form, lifetime and limits."""

    code_digits: Count
    code_minutes: Count
    step_up_minutes: Count
    max_wrong: Count
    lock_minutes: Count
    codes_per_day: Count


class ComplaintDays(_Section):
    """Calendar days to decide a complaint."""

    decision: Count
    complex: Count
    extended: Count


class RetentionYears(_Section):
    """How long records are kept after the relationship ends."""

    transactions: Count
    conversations: Count
    audit: Count


class Institution(_Section):
    """Everything the assistant knows about the institution as such."""

    sample: bool
    name: Bilingual
    short_name: Bilingual
    app: Bilingual
    hotline: str
    timezone: Literal["Asia/Shanghai"]
    business_hours: Hours
    agent_on_duty: Hours
    products: Products
    calculation: CalculationRules
    early_repayment: EarlyRepaymentRules
    overdue: OverdueRules
    extension: ExtensionRules
    due_date_change: DueDateChangeRules
    hardship: HardshipRules
    verification: VerificationRules
    proposal_minutes: Count
    due_time_hours: dict[Priority, Annotated[Decimal, Field(gt=0)]]
    complaint_days: ComplaintDays
    credit_dispute_days: Count
    retention_years: RetentionYears

    @model_validator(mode="after")
    def _every_priority_has_a_due_time(self) -> Self:
        if set(self.due_time_hours) != {"low", "normal", "high", "urgent"}:
            raise ValueError("due_time_hours must name low, normal, high and urgent")
        return self


def load_institution(path: Path) -> Institution:
    """Read and check the file. Raises ConfigurationError naming every key that does not fit."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the institution file {path}: {error.strerror}; see knowledge/institution.yaml"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} is not UTF-8 YAML: {error}") from error
    try:
        return Institution.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors())
        raise ConfigurationError(f"{path}: {faults}") from error
