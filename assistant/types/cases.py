"""Cases: what a human agent works on."""

from typing import Literal

from pydantic import Field

from assistant.types.understanding import RiskSignal
from assistant.types.value import AgentName, CaseId, CustomerId, Instant, IntentId, SessionId, Value

CaseStatus = Literal["open", "claimed", "resolved"]
Priority = Literal["low", "normal", "high", "urgent"]
Queue = Literal["repayment", "hardship", "fraud", "complaint", "privacy", "general"]
CaseReason = Literal[
    "customer_asked",
    "human_route",
    "risk",
    "unanswered",
    "not_understood",
    "verification_failed",
    "bank_down",
    "action_unknown",
    "exit_check",
]
Role = Literal["agent", "supervisor", "admin"]


class Case(Value):
    """One piece of work for a person; `version` guards every write."""

    case_id: CaseId
    session_id: SessionId
    customer_id: CustomerId | None
    status: CaseStatus = "open"
    reason: CaseReason
    intent: IntentId | None
    risks: tuple[RiskSignal, ...] = ()
    priority: Priority
    queue: Queue
    summary: str
    suggested_reply: str = ""
    assignee: AgentName | None = None
    disposition: str | None = None
    opened_at: Instant
    due_at: Instant
    regulatory_due_at: Instant | None = Field(None, description="Complaint or dispute clock, where a rule sets one.")
    closed_at: Instant | None = None
    version: int = 1


class Agent(Value):
    """A person who answers customers."""

    name: AgentName
    display_name: str
    role: Role
    active: bool = True
