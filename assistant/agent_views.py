"""The allow-listed face of an event for agents."""

from assistant.types.events import (
    ActionFinished,
    AgentSaid,
    CaseChanged,
    Event,
    IdentityVerified,
    NoteTaken,
    Rated,
    ReplyBlocked,
    ReplySent,
    RisksSeen,
    TurnAccepted,
)
from assistant.types.messages import Said
from assistant.types.views import AgentEvent


def for_agent(event: Event) -> AgentEvent | None:
    """What an agent sees of one event; None where it is none of their business."""
    at, seq = event.at, event.seq
    match event.body:
        case TurnAccepted(turn=turn) if isinstance(turn.input, Said):
            return AgentEvent(seq=seq, type="customer_message", at=at, text=turn.input.text)
        case ReplySent(reply=reply):
            return AgentEvent(seq=seq, type="reply", at=at, text=reply.text, reply=reply)
        case AgentSaid() as said:
            return AgentEvent(seq=seq, type="agent_message", at=at, text=f"{said.agent_display_name}：{said.text}")
        case NoteTaken() as note:
            return AgentEvent(seq=seq, type="note", at=at, text=f"{note.agent}：{note.text}")
        case CaseChanged() as news:
            who = f" {news.agent_display_name}" if news.agent_display_name else ""
            return AgentEvent(seq=seq, type="case", at=at, text=f"{news.what}{who}")
        case RisksSeen(risks=risks):
            found = "；".join(f"{one.kind}（{one.level}）：{one.evidence}" for one in risks)
            return AgentEvent(seq=seq, type="risk", at=at, text=found, risks=risks)
        case ActionFinished(receipt=receipt):
            text = f"{receipt.action} {receipt.status} {receipt.receipt_id}"
            return AgentEvent(seq=seq, type="action", at=at, text=text, receipt=receipt)
        case IdentityVerified(customer_id=customer_id):
            return AgentEvent(seq=seq, type="verified", at=at, text=str(customer_id))
        case Rated() as rated:
            return AgentEvent(seq=seq, type="rated", at=at, text=f"{rated.rating} {rated.comment}".strip())
        case ReplyBlocked(rule=rule, draft=draft):
            return AgentEvent(seq=seq, type="blocked", at=at, text=f"{rule}：{draft}")
        case _:
            return None
