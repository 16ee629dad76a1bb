"""Messages in and replies out, and the session that holds them together."""

from typing import Annotated, Any, Literal

from pydantic import Field

from assistant.types.actions import Proposal, Receipt, VerifiedIdentity
from assistant.types.answers import Citation
from assistant.types.cases import Priority
from assistant.types.understanding import Abstention, Act, Alternative, PastTime, RiskKind, RiskLevel, Slots
from assistant.types.value import (
    CaseId,
    CustomerId,
    Instant,
    IntentId,
    Locale,
    MessageId,
    ProposalId,
    SessionId,
    TraceId,
    TurnId,
    Value,
)

Outcome = Literal[
    "answered",
    "action_done",
    "action_declined",
    "awaiting_verification",
    "awaiting_confirmation",
    "awaiting_slot",
    "clarifying",
    "escalated",
    "warned",
    "refused",
    "social",
    "with_agent",
    "degraded",
]
Mode = Literal["bot", "manual"]
Channel = Literal["web", "api", "terminal", "evaluation"]


class VaultEntry(Value):
    """A piece of personal data taken out of a message, under the placeholder that stands for it."""

    placeholder: str
    kind: Literal["phone", "id_number", "bank_card", "email", "name", "address", "code"]
    original: str


class Masked(Value):
    """A message fit for every station: placeholders where personal data stood."""

    text: str
    entries: tuple[VaultEntry, ...] = ()


# --- what starts a turn -----------------------------------------------------------------------------------------------


class Said(Value):
    """The customer wrote something (already masked)."""

    kind: Literal["said"] = "said"
    text: str


class Tapped(Value):
    """The customer pressed confirm or cancel on a proposal card."""

    kind: Literal["tapped"] = "tapped"
    choice: Literal["confirm", "cancel"]
    proposal_id: ProposalId
    digest: str


class IdentityProved(Value):
    """The one-time code was right."""

    kind: Literal["identity_proved"] = "identity_proved"
    identity: VerifiedIdentity


class HumanAsked(Value):
    """The customer pressed the button for a person."""

    kind: Literal["human_asked"] = "human_asked"


class LockedOut(Value):
    """Verification failed too often."""

    kind: Literal["locked_out"] = "locked_out"


TurnInput = Annotated[Said | Tapped | IdentityProved | HumanAsked | LockedOut, Field(discriminator="kind")]


class Turn(Value):
    """An accepted input: the first durable point. Without a reply it is open, and the reconciler finishes it."""

    turn_id: TurnId
    session_id: SessionId
    client_message_id: str = Field(description="The caller's idempotency key, unique in the session.")
    input: TurnInput
    trace_id: TraceId
    accepted_at: Instant


# --- dialogue state ---------------------------------------------------------------------------------------------------


class AwaitingVerification(Value):
    """The customer must prove who they are before this intent is served."""

    kind: Literal["verification"] = "verification"
    intent: IntentId
    slots: Slots = Slots()


class AwaitingSlot(Value):
    """One question is open."""

    kind: Literal["slot"] = "slot"
    intent: IntentId
    slot: Literal["loan", "amount"]
    slots: Slots = Slots()


class AwaitingConfirmation(Value):
    """One live proposal."""

    kind: Literal["confirmation"] = "confirmation"
    proposal_id: ProposalId


class AwaitingChoice(Value):
    """The customer was asked which of these they meant."""

    kind: Literal["choice"] = "choice"
    options: tuple[IntentId, ...]
    text: str = Field(description="The masked message that was ambiguous.")


Pending = Annotated[
    AwaitingVerification | AwaitingSlot | AwaitingConfirmation | AwaitingChoice, Field(discriminator="kind")
]


class Dialogue(Value):
    """What the next plan must remember of the turns before."""

    pending: Pending | None = None
    last_intent: IntentId | None = None
    last_question: str | None = Field(None, description="Masked text of the last question answered, for follow-ups.")
    last_past: PastTime | None = Field(None, description="The past time it spoke of, for follow-ups.")
    unknowns: int = Field(0, description="Turns in a row that were not understood or not answered.")
    warned: tuple[RiskKind, ...] = ()


class Session(Value):
    """One conversation; `version` rises with every committed turn."""

    session_id: SessionId
    locale: Locale
    channel: Channel
    mode: Mode = "bot"
    identity: VerifiedIdentity | None = None
    dialogue: Dialogue = Dialogue()
    case_id: CaseId | None = Field(None, description="The open case, if any.")
    created_at: Instant
    version: int = 0

    def customer(self, now: Instant) -> CustomerId | None:
        """The verified customer, while the step-up holds."""
        return self.identity.customer_id if self.identity and self.identity.holds(now) else None


# --- the public reply (contracts.md) ----------------------------------------------------------------------------------


class IntentView(Value):
    """The prediction as the API shows it."""

    id: IntentId
    act: Act | None
    confidence: float
    secondary: IntentId | None = None
    abstained: Abstention | None = None
    alternatives: tuple[Alternative, ...] = ()


class RiskView(Value):
    """A risk signal as the API shows it."""

    kind: RiskKind
    level: RiskLevel
    evidence: str


class ProposalView(Value):
    """A proposal as the customer sees it."""

    proposal_id: ProposalId
    digest: str
    action: str
    arguments: dict[str, Any]
    consequences: tuple[str, ...]
    expires_at: Instant

    @classmethod
    def of(cls, proposal: Proposal) -> "ProposalView":
        """The allow-listed face of a proposal."""
        return cls(
            proposal_id=proposal.proposal_id,
            digest=proposal.digest,
            action=proposal.arguments.action,
            arguments=proposal.arguments.model_dump(mode="json", exclude={"action"}),
            consequences=proposal.consequences,
            expires_at=proposal.expires_at,
        )


class CaseView(Value):
    """A case as the customer sees it."""

    case_id: CaseId
    priority: Priority
    queue_position: int | None


class Choice(Value):
    """A quick reply: `message` is sent as the customer's own when tapped."""

    label: str
    message: str


class Reply(Value):
    """What the customer gets for one turn."""

    message_id: MessageId
    seq: int = 0
    text: str
    details: str = ""
    ai_generated: bool = True
    locale: Locale
    outcome: Outcome
    intent: IntentView | None = None
    risks: tuple[RiskView, ...] = ()
    citations: tuple[Citation, ...] = ()
    proposal: ProposalView | None = None
    receipt: Receipt | None = None
    case: CaseView | None = None
    choices: tuple[Choice, ...] = ()
    trace_id: TraceId
