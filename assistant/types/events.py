"""Events: one stream a session, read by the live view, the audit, the console and the evaluation."""

from typing import Annotated, Literal

from pydantic import Field

from assistant.types.actions import ActionClaim, Receipt
from assistant.types.cases import CaseStatus, Priority
from assistant.types.messages import Mode, Reply, Turn
from assistant.types.understanding import Act, Arbitration, Product, RiskSignal
from assistant.types.value import (
    AgentName,
    CaseId,
    CustomerId,
    DocumentId,
    Instant,
    IntentId,
    Locale,
    MessageId,
    SessionId,
    TraceId,
    Value,
)

Source = Literal["customer", "assistant", "agent", "system"]


class Versions(Value):
    """What a decision rested on, so that it can be replayed."""

    model: str
    prompts: str
    policy: str
    rules: str
    taxonomy: str


class SessionOpened(Value):
    kind: Literal["session_opened"] = "session_opened"
    notice: str


class TurnAccepted(Value):
    kind: Literal["turn_accepted"] = "turn_accepted"
    turn: Turn


class ReplySent(Value):
    kind: Literal["reply_sent"] = "reply_sent"
    reply: Reply


class ActionClaimed(Value):
    kind: Literal["action_claimed"] = "action_claimed"
    claim: ActionClaim


class ActionFinished(Value):
    kind: Literal["action_finished"] = "action_finished"
    key: str
    receipt: Receipt


class IdentityVerified(Value):
    kind: Literal["identity_verified"] = "identity_verified"
    customer_id: CustomerId


class CodeSent(Value):
    """A code was asked for; known and unknown numbers look alike here too."""

    kind: Literal["code_sent"] = "code_sent"


class RisksSeen(Value):
    kind: Literal["risks_seen"] = "risks_seen"
    risks: tuple[RiskSignal, ...]


class IntentArbitrated(Value):
    """A chat model was asked what an unsure message wants; `intent` is what the turn then went by."""

    kind: Literal["intent_arbitrated"] = "intent_arbitrated"
    arbitration: Arbitration
    intent: IntentId


class QuestionUnanswered(Value):
    """The policies have no clause in force for a question; what the search rested on is kept for editors."""

    kind: Literal["question_unanswered"] = "question_unanswered"
    text: str = Field(description="The masked question.")
    context: str | None = Field(None, description="The question before, where this one leans on it.")
    intent: IntentId
    act: Act | None = None
    product: Product | None = None
    locale: Locale
    nearest: tuple[DocumentId, ...] = ()


class CaseChanged(Value):
    kind: Literal["case_changed"] = "case_changed"
    case_id: CaseId
    status: CaseStatus
    priority: Priority
    assignee: AgentName | None = None
    agent_display_name: str | None = None
    mode: Mode
    what: Literal["opened", "claimed", "released", "transferred", "resolved", "handed_back", "relabelled", "raised"]
    intent: IntentId | None = Field(None, description="What the case was about from then on, where an agent moved it.")


class AgentSaid(Value):
    kind: Literal["agent_said"] = "agent_said"
    message_id: MessageId
    case_id: CaseId
    agent_display_name: str
    text: str


class NoteTaken(Value):
    """For agents only."""

    kind: Literal["note_taken"] = "note_taken"
    case_id: CaseId
    agent: AgentName
    text: str


class Rated(Value):
    kind: Literal["rated"] = "rated"
    message_id: MessageId | None
    rating: Literal["up", "down"] | int
    comment: str = ""


class ReplyBlocked(Value):
    """The exit check stopped a draft; the customer got something else."""

    kind: Literal["reply_blocked"] = "reply_blocked"
    rule: str
    draft: str


class DataViewed(Value):
    """A member of staff looked at a customer's conversation."""

    kind: Literal["data_viewed"] = "data_viewed"
    agent: AgentName
    what: str


EventBody = Annotated[
    SessionOpened
    | TurnAccepted
    | ReplySent
    | ActionClaimed
    | ActionFinished
    | IdentityVerified
    | CodeSent
    | RisksSeen
    | IntentArbitrated
    | QuestionUnanswered
    | CaseChanged
    | AgentSaid
    | NoteTaken
    | Rated
    | ReplyBlocked
    | DataViewed,
    Field(discriminator="kind"),
]


class EventDraft(Value):
    """An event before the store gives it its place in the stream."""

    source: Source
    trace_id: TraceId
    at: Instant
    body: EventBody
    versions: Versions | None = None


class Event(Value):
    """An event in its place: `seq` counts from 1 in each session without gaps."""

    session_id: SessionId
    seq: int
    source: Source
    trace_id: TraceId
    at: Instant
    body: EventBody
    versions: Versions | None = None
