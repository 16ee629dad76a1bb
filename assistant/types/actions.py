"""Self-service actions: what may be asked of the bank, and the proof that it may be done.

A change in the bank needs a `Confirmed`; a `Confirmed` cannot be built unless the digest the customer saw is that of
the arguments, the proposal is unexpired, and the identity is verified and of the same customer.
"""

import hashlib
from typing import Literal, Self

from pydantic import Field, model_validator

from assistant.types.banking import EarlyRepaymentQuote
from assistant.types.value import CustomerId, Instant, IntentId, ProposalId, SessionId, Value

ActionName = Literal["limit_query", "bill_query", "early_repay"]
VerificationLevel = Literal["none", "code"]
ProposalStatus = Literal["live", "confirmed", "cancelled", "superseded", "expired"]


class ActionSpec(Value):
    """The terms on which one action is offered."""

    name: ActionName
    intent: IntentId
    changes_bank: bool
    verification: VerificationLevel
    data_class: Literal["C1", "C2", "C3"] = Field(description="JR/T 0171 class of the fields it shows.")


class VerifiedIdentity(Value):
    """A customer who has just proved who they are, until `expires_at`."""

    customer_id: CustomerId
    level: VerificationLevel
    verified_at: Instant
    expires_at: Instant

    def holds(self, now: Instant) -> bool:
        """Whether the step-up is still good."""
        return now < self.expires_at


class EarlyRepayArguments(Value):
    """What exactly will be repaid: the bank's own quote."""

    action: Literal["early_repay"] = "early_repay"
    quote: EarlyRepaymentQuote


class Proposal(Value):
    """A change put to the customer; `digest` binds what was shown to what will be done."""

    proposal_id: ProposalId
    session_id: SessionId
    customer_id: CustomerId
    arguments: EarlyRepayArguments
    consequences: tuple[str, ...]
    created_at: Instant
    expires_at: Instant
    status: ProposalStatus = "live"

    @property
    def digest(self) -> str:
        """SHA-256 over who, what and until when, as lower-case hex."""
        bound = (self.proposal_id, self.customer_id, self.arguments.model_dump_json(), self.expires_at.isoformat())
        return hashlib.sha256("\n".join((*bound, *self.consequences)).encode()).hexdigest()

    @property
    def idempotency_key(self) -> str:
        """The key under which the bank executes this proposal, once for ever."""
        return f"{self.arguments.action}:{self.proposal_id}"


class Confirmed(Value):
    """The only ticket that `actions.execute` accepts."""

    proposal: Proposal
    identity: VerifiedIdentity
    digest: str
    confirmed_at: Instant

    @model_validator(mode="after")
    def _is_proof(self) -> Self:
        if self.digest != self.proposal.digest:
            raise ValueError("digest is not that of the proposal shown")
        if self.identity.customer_id != self.proposal.customer_id:
            raise ValueError("identity is not the proposal's customer")
        if not self.identity.holds(self.confirmed_at):
            raise ValueError("identity has expired")
        if self.confirmed_at >= self.proposal.expires_at:
            raise ValueError("proposal has expired")
        return self


ClaimState = Literal["claimed", "done", "refused", "failed", "unknown"]


class ActionClaim(Value):
    """The durable note, written before the bank is asked, that one action is about to run."""

    key: str
    session_id: SessionId
    confirmed: Confirmed
    state: ClaimState = "claimed"
    claimed_at: Instant


class Receipt(Value):
    """What became of an action. `unknown` is an honest state: the bank has not answered yet."""

    receipt_id: str
    action: ActionName
    status: Literal["done", "refused", "failed", "unknown"]
    facts: dict[str, str | int] = Field(default_factory=dict, description="Figures in fen, dates ISO, references.")
    at: Instant
