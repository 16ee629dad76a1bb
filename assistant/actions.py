"""The self-service catalogue: what can be done, on which terms, and how it is prepared, confirmed and executed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import ValidationError

from assistant.errors import DigestMismatch, InvalidInput, NotAllowed, ProposalNotLive
from assistant.ports import CoreBanking
from assistant.types.actions import (
    ActionName,
    ActionSpec,
    Confirmed,
    EarlyRepayArguments,
    Proposal,
    Receipt,
    VerifiedIdentity,
)
from assistant.types.banking import BankResult, Loan
from assistant.types.understanding import Slots
from assistant.types.value import CustomerId, Fen, Instant, IntentId, ProposalId, SessionId

ACTIONS: dict[ActionName, ActionSpec] = {
    spec.name: spec
    for spec in (
        ActionSpec(
            name="limit_query", intent=IntentId("limit_query"), changes_bank=False, verification="code", data_class="C2"
        ),
        ActionSpec(
            name="bill_query", intent=IntentId("bill_query"), changes_bank=False, verification="code", data_class="C2"
        ),
        ActionSpec(
            name="early_repay", intent=IntentId("early_repay"), changes_bank=True, verification="code", data_class="C2"
        ),
    )
}


# --- preparing: what is still missing is a value, not an exception ---------------------------------------------------


@dataclass(frozen=True)
class NothingOpen:
    """The customer has no loan to repay."""


@dataclass(frozen=True)
class NeedsLoan:
    """Several loans fit, or (`found` false) none of them fits what the customer said."""

    loans: tuple[Loan, ...]
    found: bool


@dataclass(frozen=True)
class NeedsAmount:
    """A part is to be repaid, and how much was not said or (`asked` set) cannot be repaid."""

    loan: Loan
    asked: Fen | None = None


Missing = NothingOpen | NeedsLoan | NeedsAmount


def prepare_early_repay(
    bank: CoreBanking, customer_id: CustomerId, slots: Slots
) -> tuple[EarlyRepayArguments, Loan] | Missing:
    """The bank's quote for what the slots describe, with its loan; or the one thing to ask next."""
    loans = bank.loans(customer_id)
    if not loans:
        return NothingOpen()
    matching = _matching(loans, slots.loan)
    if len(matching) != 1:
        return NeedsLoan(loans, found=bool(matching))
    loan = matching[0]
    amount = slots.amount_fen
    if slots.part == "part" and amount is None:
        return NeedsAmount(loan)
    whole = slots.part == "full" or amount is None or amount == loan.outstanding_fen
    try:
        quote = bank.quote_early_repayment(customer_id, loan.loan_id, None if whole else amount)
    except InvalidInput:
        return NeedsAmount(loan, asked=amount)
    return EarlyRepayArguments(quote=quote), loan


def _matching(loans: Sequence[Loan], pointer: str | None) -> tuple[Loan, ...]:
    """The loans that a pointer of `Slots.loan` can mean; all of them where nothing was pointed at."""
    if pointer is None:
        return tuple(loans)
    by_size = sorted(loans, key=lambda loan: loan.outstanding_fen)
    by_age = sorted(loans, key=lambda loan: loan.signed_on)
    extremes = {"smallest": by_size[0], "largest": by_size[-1], "oldest": by_age[0], "newest": by_age[-1]}
    if pointer in extremes:
        return (extremes[pointer],)
    if pointer.startswith("#") and pointer[1:].isdigit():
        place = int(pointer[1:]) - 1
        return (loans[place],) if 0 <= place < len(loans) else ()
    kind, _, value = pointer.partition(":")
    if kind == "id":
        return tuple(loan for loan in loans if loan.loan_id.lower() == value.lower())
    return tuple(loan for loan in loans if value and (value in loan.purpose or loan.purpose in value))


# --- proposing, confirming, executing ---------------------------------------------------------------------------------


def propose(
    proposal_id: ProposalId,
    session_id: SessionId,
    customer_id: CustomerId,
    arguments: EarlyRepayArguments,
    consequences: tuple[str, ...],
    now: Instant,
    minutes: int,
) -> Proposal:
    """A live proposal that lapses after `minutes`."""
    return Proposal(
        proposal_id=proposal_id,
        session_id=session_id,
        customer_id=customer_id,
        arguments=arguments,
        consequences=consequences,
        created_at=now,
        expires_at=now + timedelta(minutes=minutes),
    )


def confirm(proposal: Proposal, identity: VerifiedIdentity | None, digest: str, now: Instant) -> Confirmed:
    """The ticket for `execute`.

    Raises ProposalNotLive, DigestMismatch, or NotAllowed where the identity is missing, expired or another customer's.
    """
    if digest != proposal.digest:
        raise DigestMismatch(f"proposal {proposal.proposal_id}: the digest is not of the arguments shown")
    if proposal.status != "live":
        raise ProposalNotLive(f"proposal {proposal.proposal_id} is {proposal.status}")
    if now >= proposal.expires_at:
        raise ProposalNotLive(f"proposal {proposal.proposal_id} is expired")
    if identity is None:
        raise NotAllowed(f"proposal {proposal.proposal_id}: nobody is verified")
    try:
        return Confirmed(proposal=proposal, identity=identity, digest=digest, confirmed_at=now)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise NotAllowed(f"proposal {proposal.proposal_id}: {reason}") from error


def execute(confirmed: Confirmed, bank: CoreBanking) -> BankResult:
    """Do it, once under the proposal's idempotency key. Raises BankUnavailable, BankTimeout."""
    proposal = confirmed.proposal
    return bank.repay_early(proposal.idempotency_key, confirmed.identity.customer_id, proposal.arguments.quote)


def receipt(confirmed: Confirmed, result: BankResult | None, now: Instant, *, reached: bool = True) -> Receipt:
    """The bank's word as a receipt; without a result it is unknown, or failed where the bank was never reached."""
    proposal = confirmed.proposal
    quote = proposal.arguments.quote
    if result is None:
        return Receipt(
            receipt_id=f"R-{proposal.proposal_id}",
            action=proposal.arguments.action,
            status="unknown" if reached else "failed",
            facts={"loan_id": quote.loan_id, "total_fen": quote.total_fen},
            at=now,
        )
    facts: dict[str, str | int] = {"loan_id": quote.loan_id, "reference": result.reference}
    if result.status == "done":
        facts |= {
            "total_fen": result.total_fen,
            "remaining_principal_fen": result.remaining_principal_fen,
            "card_tail": quote.card_tail,
        }
    elif result.reason:
        facts["reason"] = result.reason
    return Receipt(
        receipt_id=f"R-{proposal.proposal_id}",
        action=proposal.arguments.action,
        status=result.status,
        facts=facts,
        at=result.at,
    )
