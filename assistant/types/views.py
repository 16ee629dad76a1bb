"""Allow-listed views: what leaves the process. A field that is not named here is not shown."""

from datetime import date
from typing import Literal

from pydantic import Field

from assistant.types.actions import Receipt
from assistant.types.banking import Customer
from assistant.types.cases import Agent, Case, CaseStatus, Priority
from assistant.types.messages import Mode, Reply
from assistant.types.understanding import RiskSignal
from assistant.types.value import CaseId, DocumentId, Instant, IntentId, Locale, MessageId, SessionId, Value


class CaseNews(Value):
    """What a customer is told of their case."""

    case_id: CaseId
    status: CaseStatus
    what: str
    priority: Priority
    agent_display_name: str | None
    mode: Mode


class PublicEvent(Value):
    """One event as the customer sees it; exactly the field of its `type` is set."""

    seq: int
    type: Literal["customer_message", "reply", "agent_message", "case"]
    at: Instant
    message_id: MessageId | None = None
    text: str | None = None
    reply: Reply | None = None
    agent_display_name: str | None = None
    case: CaseNews | None = None


class AgentEvent(Value):
    """One event as an agent sees it."""

    seq: int
    type: Literal[
        "customer_message", "reply", "agent_message", "case", "note", "risk", "action", "verified", "rated", "blocked"
    ]
    at: Instant
    text: str
    reply: Reply | None = None
    receipt: Receipt | None = None
    risks: tuple[RiskSignal, ...] = ()


class OpenedSession(Value):
    """The answer to a new session: the token is shown once."""

    session_id: SessionId
    session_token: str
    notice: str
    expires_at: Instant


class ProvedIdentity(Value):
    """The answer to a right code: the old token is void."""

    session_token: str
    expires_at: Instant
    reply: Reply


class AgentLogin(Value):
    """The answer to a login."""

    token: str
    agent: Agent
    expires_at: Instant


class CasePage(Value):
    """One page of the queue."""

    cases: tuple[Case, ...]
    next_cursor: CaseId | None


class CaseDetail(Value):
    """A case with its conversation."""

    case: Case
    locale: Locale
    mode: Mode
    customer: Customer | None
    verified: bool
    events: tuple[AgentEvent, ...]


class DeskSummary(Value):
    """Counts over the queue; times in seconds."""

    open: int
    claimed: int
    resolved: int
    overdue: int
    by_queue: dict[str, int]
    by_priority: dict[str, int]
    median_first_claim_seconds: float | None


class NearestSection(Value):
    """A section of a policy that comes near to an unanswered question."""

    document_id: DocumentId
    version: str
    title: str
    section: str


class Insight(Value):
    """Unanswered questions of one meaning, in masked words, and the outline of a policy that would answer them."""

    question: str = Field(description="The one in the middle of them.")
    count: int = Field(description="How often it was asked, in any of its wordings.")
    last_asked: Instant
    samples: tuple[str, ...] = Field(description="Other wordings, the most asked first; five at most.")
    intents: tuple[IntentId, ...] = Field(description="As predicted, the most frequent first.")
    nearest: tuple[NearestSection, ...] = Field(description="Of the documents in force now, the nearest first.")
    outline: str = Field(description="Markdown with front matter; its sections are to be written.")


class InsightPage(Value):
    """What the policies left unanswered since a day; `truncated` where older questions of it were left out."""

    since: date
    questions: int
    groups: int
    truncated: bool
    insights: tuple[Insight, ...]
