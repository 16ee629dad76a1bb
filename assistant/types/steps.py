"""The steps a plan is made of: what the policy decides and the assistant carries out."""

from typing import Annotated, Literal

from pydantic import Field

from assistant.types.actions import ActionName
from assistant.types.cases import CaseReason
from assistant.types.messages import AwaitingVerification, Dialogue
from assistant.types.understanding import Act, Alternative, PastTime, Product, RiskKind, Slots
from assistant.types.value import IntentId, ProposalId, Value


class AnswerFromPolicy(Value):
    """Answer a question from the clauses in force."""

    kind: Literal["answer"] = "answer"
    question: str
    act: Act | None = None
    context: str | None = Field(None, description="The question before, where this one leans on it.")
    intent: IntentId
    likely: tuple[Alternative, ...] = Field((), description="What else it may be about; empty: the intent alone.")
    product: Product | None = None
    brand: str | None = None
    past: PastTime | None = None
    offer: ActionName | None = Field(None, description="The action to offer beside the answer.")
    first_help: bool = Field(False, description="A person follows; say nothing where no clause fits.")


class ReadBank(Value):
    """Show the verified customer their own figures."""

    kind: Literal["read"] = "read"
    action: Literal["limit_query", "bill_query"]


class ProposeEarlyRepay(Value):
    """Quote an early repayment and ask for confirmation, or for the missing slot."""

    kind: Literal["propose"] = "propose"
    slots: Slots


class Execute(Value):
    """Carry out the proposal whose digest the customer confirmed."""

    kind: Literal["execute"] = "execute"
    proposal_id: ProposalId
    digest: str | None = Field(None, description="None: confirmed in words, so the live proposal's own.")


class Cancel(Value):
    """Withdraw a proposal."""

    kind: Literal["cancel"] = "cancel"
    proposal_id: ProposalId
    digest: str | None = None


class AskVerification(Value):
    """Ask the customer to prove who they are."""

    kind: Literal["verify"] = "verify"
    pending: AwaitingVerification


class Clarify(Value):
    """Offer the likeliest intents."""

    kind: Literal["clarify"] = "clarify"
    options: tuple[IntentId, ...]
    text: str


class Say(Value):
    """One fixed text of the catalogue."""

    kind: Literal["say"] = "say"
    key: str
    outcome: Literal["social", "clarifying", "refused", "answered"] = "social"


class Warn(Value):
    """Interrupt with the first words for somebody in danger."""

    kind: Literal["warn"] = "warn"
    risk: RiskKind


class Escalate(Value):
    """Open a case, or raise the one that is open."""

    kind: Literal["escalate"] = "escalate"
    reason: CaseReason
    intent: IntentId | None = None
    act: Act | None = None
    help_key: str | None = Field(None, description="Catalogue text of first help, said before the hand-over.")


class PassToAgent(Value):
    """An agent has the wheel: the bot is silent."""

    kind: Literal["pass"] = "pass"


Step = Annotated[
    AnswerFromPolicy
    | ReadBank
    | ProposeEarlyRepay
    | Execute
    | Cancel
    | AskVerification
    | Clarify
    | Say
    | Warn
    | Escalate
    | PassToAgent,
    Field(discriminator="kind"),
]


class Plan(Value):
    """The steps of one turn, in order, and what the next turn must remember (steps may still set `pending`)."""

    steps: tuple[Step, ...] = Field(min_length=1)
    dialogue: Dialogue
