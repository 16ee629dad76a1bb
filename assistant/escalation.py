"""From bot to human: which case a hand-over becomes, when it is due, and which moves are legal afterwards."""

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from assistant.calendar import add_business_hours, add_days, is_open
from assistant.errors import Conflict, NotAllowed
from assistant.institution import Institution
from assistant.rules import FOLDER, Rule, Rulebook, load
from assistant.types.cases import Agent, Case, CaseReason, CaseStatus, Priority, Queue
from assistant.types.understanding import Act, RiskKind, RiskSignal
from assistant.types.value import CaseId, CustomerId, Instant, IntentId, Locale, SessionId, Value

PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high", "urgent")
Clock = Literal["complaint", "credit_dispute"]


class EscalationRule(Rule):
    """Conditions, all of which must hold, and the terms of the case; an empty condition always holds."""

    when: tuple[CaseReason, ...] = ()
    intents: tuple[IntentId, ...] = ()
    acts: tuple[Act, ...] = ()
    risks: tuple[RiskKind, ...] = ()
    queue: Queue
    priority: Priority
    clock: Clock | None = None
    suggested_reply: dict[Locale, str]


class Names(Value):
    """What codes are called in front of an agent."""

    reasons: dict[CaseReason, str]
    risks: dict[RiskKind, str]
    acts: dict[Act, str]


class EscalationRules(Rulebook[EscalationRule]):
    """The rulebook of hand-overs; its last rule takes whatever is left."""

    unknowns_in_a_row: int = Field(ge=1)
    names: Names

    @model_validator(mode="after")
    def _last_rule_takes_all(self) -> Self:
        last = self.rules[-1]
        if last.when or last.intents or last.acts or last.risks:
            raise ValueError(f"the last rule ({last.id}) must have no condition")
        return self


class CaseFacts(Value):
    """What is known at the moment of the hand-over."""

    case_id: CaseId
    session_id: SessionId
    customer_id: CustomerId | None
    reason: CaseReason
    intent: IntentId | None
    act: Act | None = None
    risks: tuple[RiskSignal, ...] = ()
    summary: str
    locale: Locale
    at: Instant


@cache
def load_rules(path: Path = FOLDER / "escalation.yaml") -> EscalationRules:
    """The hand-over rules. Raises ConfigurationError."""
    return load(path, EscalationRules)


def rule_for(
    reason: CaseReason,
    intent: IntentId | None,
    act: Act | None,
    risks: tuple[RiskSignal, ...],
    book: EscalationRules,
) -> EscalationRule:
    """The first rule whose conditions hold. A proxy complaint counts at any level, other risks at level high."""
    seen = {risk.kind for risk in risks if risk.level == "high" or risk.kind == "proxy_complaint"}
    for rule in book.rules:
        if (
            (not rule.when or reason in rule.when)
            and (not rule.intents or intent in rule.intents)
            and (not rule.acts or act is None or act in rule.acts)
            and (not rule.risks or seen.intersection(rule.risks))
        ):
            return rule
    return book.rules[-1]


def open_case(facts: CaseFacts, institution: Institution, book: EscalationRules) -> Case:
    """The case that a hand-over opens, with its place, its due time and the draft for the agent."""
    rule = rule_for(facts.reason, facts.intent, facts.act, facts.risks, book)
    return Case(
        case_id=facts.case_id,
        session_id=facts.session_id,
        customer_id=facts.customer_id,
        reason=facts.reason,
        intent=facts.intent,
        risks=facts.risks,
        priority=rule.priority,
        queue=rule.queue,
        summary=facts.summary,
        suggested_reply=rule.suggested_reply[facts.locale],
        opened_at=facts.at,
        due_at=due(facts.at, rule.priority, institution),
        regulatory_due_at=regulatory_due(facts.at, rule.clock, institution),
    )


def raise_priority(case: Case, facts: CaseFacts, institution: Institution, book: EscalationRules) -> Case:
    """The open case with what was learnt since: never less urgent, never due later, no legal clock lost.

    The queue follows only where the priority rises, so that a later small matter does not pull a case away.
    Raises Conflict for a resolved case.
    """
    _must_be(case, "open", "claimed", move="raise")
    risks = tuple(dict.fromkeys((*case.risks, *facts.risks)))
    # By what is new alone: a complaint made after a scam warning still starts its legal clock.
    rule = rule_for(facts.reason, facts.intent, facts.act, facts.risks, book)
    rises = PRIORITIES.index(rule.priority) > PRIORITIES.index(case.priority)
    clocks = [at for at in (case.regulatory_due_at, regulatory_due(facts.at, rule.clock, institution)) if at]
    changes: dict[str, object] = {
        "risks": risks,
        "summary": facts.summary,
        "customer_id": case.customer_id or facts.customer_id,
        "regulatory_due_at": min(clocks, default=None),
    }
    if rises:
        changes |= {
            "priority": rule.priority,
            "queue": rule.queue,
            "reason": facts.reason,
            "intent": facts.intent or case.intent,
            "suggested_reply": rule.suggested_reply[facts.locale],
            "due_at": min(case.due_at, due(facts.at, rule.priority, institution)),
        }
    return _moved(case, changes)


def due(at: datetime, priority: Priority, institution: Institution) -> datetime:
    """When a person answers at the latest: business hours, and for urgent cases the duty hours of every day."""
    urgent = priority == "urgent"
    hours = institution.agent_on_duty if urgent else institution.business_hours
    return add_business_hours(at, institution.due_time_hours[priority], hours.open, hours.close, every_day=urgent)


def on_duty(at: datetime, institution: Institution) -> bool:
    """Whether agents are at work at this instant."""
    return is_open(at, institution.agent_on_duty.open, institution.agent_on_duty.close, every_day=True)


def regulatory_due(at: datetime, clock: Clock | None, institution: Institution) -> datetime | None:
    """The last second that the rule allows, counted in calendar days, which is the stricter reading."""
    if clock is None:
        return None
    return add_days(
        at, institution.complaint_days.decision if clock == "complaint" else institution.credit_dispute_days
    )


# --- moves ------------------------------------------------------------------------------------------------------------


def claim(case: Case, by: Agent) -> Case:
    """Take an open case. Raises Conflict where it is claimed or resolved."""
    _must_be(case, "open", move="claim")
    return _moved(case, {"status": "claimed", "assignee": by.name})


def release(case: Case, by: Agent) -> Case:
    """Put a claimed case back into its queue. Raises Conflict; NotAllowed for somebody else's case."""
    _must_hold(case, by, "release")
    return _moved(case, {"status": "open", "assignee": None})


def transfer(case: Case, by: Agent, queue: Queue) -> Case:
    """Move a case to another queue, where it is open again. Raises Conflict; NotAllowed for somebody else's case."""
    _must_be(case, "open", "claimed", move="transfer")
    if case.status == "claimed":
        _must_hold(case, by, "transfer")
    if queue == case.queue:
        raise Conflict(f"case {case.case_id} is in queue {queue} already: release it instead")
    return _moved(case, {"status": "open", "assignee": None, "queue": queue})


def relabel(case: Case, intent: IntentId) -> Case:
    """Correct what the case is about. Raises Conflict for a resolved case."""
    _must_be(case, "open", "claimed", move="relabel")
    return _moved(case, {"intent": intent})


def resolve(case: Case, by: Agent, disposition: str, at: datetime) -> Case:
    """Close a case with what became of it. Raises Conflict; NotAllowed for somebody else's case."""
    _must_hold(case, by, "resolve")
    return _moved(case, {"status": "resolved", "disposition": disposition, "closed_at": at})


def hand_back(case: Case, by: Agent, at: datetime) -> Case:
    """Give the conversation back to the bot: nothing is left for a person, so the case closes.

    Raises Conflict; NotAllowed for somebody else's case.
    """
    return resolve(case, by, "handed_back", at)


def _must_be(case: Case, *allowed: CaseStatus, move: str) -> None:
    if case.status not in allowed:
        raise Conflict(
            f"case {case.case_id} is {case.status}: cannot {move} it, only a case that is {' or '.join(allowed)}"
        )


def _must_hold(case: Case, by: Agent, move: str) -> None:
    _must_be(case, "claimed", move=move)
    if case.assignee != by.name and by.role == "agent":
        raise NotAllowed(f"case {case.case_id} is {case.assignee}'s: only they or a supervisor can {move} it")


def _moved(case: Case, changes: dict[str, object]) -> Case:
    # Validated anew rather than copied: a wrong change must not slip past the types.
    return Case.model_validate({**case.model_dump(), **changes, "version": case.version + 1})
