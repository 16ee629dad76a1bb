"""Putting a customer through to a person: the case, its place in the queue, and the words that announce it."""

from collections.abc import Callable
from dataclasses import dataclass

from assistant.calendar import local_date
from assistant.escalation import CaseFacts, EscalationRules, on_duty, open_case, raise_priority
from assistant.fragments import Scene
from assistant.handover import summary
from assistant.institution import Institution
from assistant.paging import all_events
from assistant.ports import Store
from assistant.taxonomy import Taxonomy
from assistant.types.cases import Case
from assistant.types.events import CaseChanged
from assistant.types.steps import Escalate
from assistant.types.value import CaseId
from assistant.voice import Phrase


@dataclass(frozen=True)
class Handed:
    """A case that exists once the turn is committed, and what is said of it."""

    case: Case
    position: int | None
    words: Phrase
    news: CaseChanged


class Switchboard:
    """Opens the session's case, or raises the one that is open: a session has at most one at a time."""

    def __init__(
        self,
        store: Store,
        taxonomy: Taxonomy,
        institution: Institution,
        rules: EscalationRules,
        new_id: Callable[[str], str],
    ) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self._institution = institution
        self._rules = rules
        self._new_id = new_id

    def put_through(self, scene: Scene, step: Escalate, announce: str | None = None) -> Handed:
        """The case for this hand-over. `announce` names a text that carries position and due time itself."""
        before = self._open_case(scene)
        facts = self._facts(scene, step, before)
        if before is None:
            case = open_case(facts, self._institution, self._rules)
        else:
            case = raise_priority(before, facts, self._institution, self._rules)
        position = self._store.queue_position(case)
        words = self._announcement(scene, case, position, repeated=before is not None, announce=announce)
        news = CaseChanged(
            case_id=case.case_id,
            status=case.status,
            priority=case.priority,
            assignee=case.assignee,
            mode=scene.session.mode,
            what="opened" if before is None else "raised",
        )
        return Handed(case, position, _first_help(scene, step, case).joined(words), news)

    def _open_case(self, scene: Scene) -> Case | None:
        case_id = scene.session.case_id
        case = self._store.case(case_id) if case_id is not None else None
        return case if case is not None and case.status != "resolved" else None

    def _facts(self, scene: Scene, step: Escalate, before: Case | None) -> CaseFacts:
        heard = scene.heard
        seen = heard.risks if heard else ()
        verified = scene.session.customer(scene.now)
        return CaseFacts(
            case_id=before.case_id if before else CaseId(self._new_id("c")),
            session_id=scene.session.session_id,
            customer_id=verified,
            reason=step.reason,
            intent=step.intent,
            act=step.act,
            risks=seen,
            summary=summary(
                all_events(self._store, scene.session.session_id),
                reason=step.reason,
                understanding=heard,
                intent_label=self._taxonomy[step.intent].zh if step.intent else None,
                verified=verified is not None,
                book=self._rules,
                risks=(*(before.risks if before else ()), *seen),
            ),
            locale=scene.session.locale,
            at=scene.now,
        )

    def _announcement(
        self, scene: Scene, case: Case, position: int | None, *, repeated: bool, announce: str | None
    ) -> Phrase:
        voice = scene.voice
        if announce is not None and (repeated or position is None):
            return voice.say(f"{announce}_again")
        if position is None:
            return voice.say("human_claimed")
        if announce is not None:
            return voice.say(announce, position=position, due=case.due_at)
        if repeated:
            return voice.say("human_already", position=position, due=case.due_at)
        if on_duty(scene.now, self._institution):
            return voice.say("human_queue", position=position, due=case.due_at)
        hours = self._institution.agent_on_duty
        return voice.say(
            "human_no_agent",
            position=position,
            due=case.due_at,
            open=f"{hours.open:%H:%M}",
            close=f"{hours.close:%H:%M}",
        )


def _first_help(scene: Scene, step: Escalate, case: Case) -> Phrase:
    if step.help_key is None:
        return Phrase()
    if "regulatory_due" not in scene.voice.needs(step.help_key):
        return scene.voice.say(step.help_key)
    # The rules give such an intent its clock; where they were changed not to, the promise of a date is left out.
    if case.regulatory_due_at is None:
        return Phrase()
    return scene.voice.say(step.help_key, regulatory_due=local_date(case.regulatory_due_at))
