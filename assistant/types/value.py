"""The value every other type is built on, and the identifiers."""

from typing import Annotated, Literal, NewType

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

SessionId = NewType("SessionId", str)
MessageId = NewType("MessageId", str)
TurnId = NewType("TurnId", str)
TraceId = NewType("TraceId", str)
CustomerId = NewType("CustomerId", str)
ProposalId = NewType("ProposalId", str)
CaseId = NewType("CaseId", str)
AgentName = NewType("AgentName", str)
IntentId = NewType("IntentId", str)
DocumentId = NewType("DocumentId", str)

Locale = Literal["zh-CN", "en"]
Fen = Annotated[int, Field(description="Money in fen, a hundredth of a yuan.")]
Instant = AwareDatetime
"""An aware instant; UTC wherever it is stored."""


class Value(BaseModel):
    """An immutable value: equal by content, closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


__all__ = [
    "AgentName",
    "CaseId",
    "CustomerId",
    "DocumentId",
    "Fen",
    "Instant",
    "IntentId",
    "Locale",
    "MessageId",
    "ProposalId",
    "SessionId",
    "TraceId",
    "TurnId",
    "Value",
]
