"""What agents do with cases and conversations. Every look at a customer's data and every move is an event."""

import secrets
import statistics
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta

from assistant import compliance, escalation, masking
from assistant.accounts import Accounts
from assistant.agent_views import for_agent
from assistant.compliance import ComplianceRules, Evidence
from assistant.errors import Conflict, InvalidInput, NotAllowed, VersionConflict
from assistant.insights import Insights
from assistant.lanes import Lanes
from assistant.paging import all_cases, all_events
from assistant.ports import Clock, CoreBanking, Store
from assistant.taxonomy import Taxonomy
from assistant.types.cases import Agent, Case, CaseStatus, Queue
from assistant.types.events import AgentSaid, CaseChanged, DataViewed, EventBody, EventDraft, NoteTaken
from assistant.types.messages import Mode, Session
from assistant.types.value import AgentName, CaseId, IntentId, MessageId, TraceId
from assistant.types.views import CaseDetail, CasePage, DeskSummary, InsightPage

PAGE = 50
SAME_LOOK = timedelta(minutes=10)


class Desk:
    """The agents' side of the house; `accounts` says who they are."""

    def __init__(
        self,
        store: Store,
        bank: CoreBanking,
        clock: Clock,
        lanes: Lanes,
        taxonomy: Taxonomy,
        rules: ComplianceRules,
        accounts: Accounts,
        insights: Insights,
    ) -> None:
        self._store = store
        self._bank = bank
        self._clock = clock
        self._lanes = lanes
        self._taxonomy = taxonomy
        self._rules = rules
        self._insights = insights
        self.accounts = accounts
        self.login = accounts.login
        self.logout = accounts.logout
        self.agent_of = accounts.agent_of
        self.create_agent = accounts.create_agent
        self.agents = accounts.agents
        self.reset_password = accounts.reset_password

    # --- looking ---

    def cases(
        self,
        agent: Agent,
        status: CaseStatus | None = None,
        queue: Queue | None = None,
        assignee: AgentName | None = None,
        cursor: CaseId | None = None,
    ) -> CasePage:
        """One page of the queue. An agent sees open cases and their own; supervisors see all."""
        found = self._store.cases(status, queue, assignee, cursor, PAGE + 1)
        page = found[:PAGE]
        more = page[-1].case_id if len(found) > PAGE else None
        return CasePage(cases=tuple(case for case in page if _may_see(agent, case)), next_cursor=more)

    def case(self, agent: Agent, case_id: CaseId) -> CaseDetail:
        """A case with its conversation; the look is recorded. Raises NotFound, NotAllowed."""
        case = self._seen(agent, case_id)
        session = self._store.session(case.session_id)
        events = all_events(self._store, case.session_id)
        verified = session.customer(self._clock.now())
        customer_id = verified or case.customer_id
        detail = CaseDetail(
            case=case,
            locale=session.locale,
            mode=session.mode,
            customer=self._bank.customer(customer_id) if customer_id else None,
            verified=verified is not None,
            events=tuple(view for view in map(for_agent, events) if view is not None),
        )
        # One look is one event: a page that refreshes while the case is open is the same look.
        since = self._clock.now() - SAME_LOOK
        if not any(
            one.at > since
            and isinstance(one.body, DataViewed)
            and (one.body.agent, one.body.what) == (agent.name, case_id)
            for one in events
        ):
            self._store.record(case.session_id, [self._draft(DataViewed(agent=agent.name, what=case_id))])
        return detail

    def summary(self, agent: Agent) -> DeskSummary:
        """Counts over what the agent may see."""
        now = self._clock.now()
        cases = [case for status in ("open", "claimed", "resolved") for case in self._all(agent, status)]
        live = [case for case in cases if case.status != "resolved"]
        waits = [self._first_claim(case) for case in cases[-200:] if case.status != "open"]
        known = [seconds for seconds in waits if seconds is not None]
        return DeskSummary(
            open=sum(case.status == "open" for case in cases),
            claimed=sum(case.status == "claimed" for case in cases),
            resolved=sum(case.status == "resolved" for case in cases),
            overdue=sum(case.due_at < now for case in live),
            by_queue=dict(Counter(case.queue for case in live)),
            by_priority=dict(Counter(case.priority for case in live)),
            median_first_claim_seconds=statistics.median(known) if known else None,
        )

    def insights(self, agent: Agent, since: date | None = None, limit: int = 20) -> InsightPage:
        """What the policies left unanswered. Its questions come from every conversation: for supervisors alone.

        Raises NotAllowed; InvalidInput for a day that cannot be looked back to.
        """
        if agent.role == "agent":
            raise NotAllowed("knowledge gaps are shown to supervisors and administrators")
        return self._insights.gaps(since, limit)

    # --- moving ---

    def claim(self, agent: Agent, case_id: CaseId, version: int) -> Case:
        """Take the case and the wheel: the bot is silent from here. Raises Conflict, NotFound, NotAllowed."""
        return self._move(agent, case_id, version, lambda case: escalation.claim(case, agent), "claimed", "manual")

    def release(self, agent: Agent, case_id: CaseId, version: int) -> Case:
        """Back into its queue; the bot answers until the next agent comes."""
        return self._move(agent, case_id, version, lambda case: escalation.release(case, agent), "released", "bot")

    def transfer(
        self, agent: Agent, case_id: CaseId, version: int, queue: Queue | None, assignee: AgentName | None
    ) -> Case:
        """To another queue, or straight to another agent, who then has the wheel."""
        if assignee is None:
            if queue is None:
                raise InvalidInput("a transfer needs a queue or an assignee")
            return self._move(
                agent, case_id, version, lambda case: escalation.transfer(case, agent, queue), "transferred", "bot"
            )
        receiver, _ = self._store.agent(assignee)
        if not receiver.active:
            raise Conflict(f"agent {assignee} is not active")

        def to_colleague(case: Case) -> Case:
            freed = escalation.release(case, agent) if case.status == "claimed" else case
            taken = escalation.claim(freed, receiver)
            return taken.model_copy(update={"queue": queue or case.queue, "version": case.version + 1})

        return self._move(agent, case_id, version, to_colleague, "transferred", "manual")

    def resolve(self, agent: Agent, case_id: CaseId, version: int, disposition: str) -> Case:
        """Close the case with what became of it; the bot is back."""
        words = masking.clean(disposition)
        now = self._clock.now()
        return self._move(
            agent, case_id, version, lambda case: escalation.resolve(case, agent, words, now), "resolved", "bot"
        )

    def hand_back(self, agent: Agent, case_id: CaseId, version: int) -> Case:
        """Give the conversation back to the bot."""
        now = self._clock.now()
        return self._move(
            agent, case_id, version, lambda case: escalation.hand_back(case, agent, now), "handed_back", "bot"
        )

    def relabel(self, agent: Agent, case_id: CaseId, version: int, intent: IntentId) -> Case:
        """Correct what the case is about. Raises InvalidInput for a label outside the taxonomy."""
        if intent not in self._taxonomy:
            raise InvalidInput(f"no intent {intent!r} in the taxonomy")
        return self._move(agent, case_id, version, lambda case: escalation.relabel(case, intent), "relabelled", None)

    def reply(self, agent: Agent, case_id: CaseId, version: int, text: str) -> Case:
        """Words to the customer, through the same exit check as the bot's.

        Raises InvalidInput naming the rules that forbid the text, Conflict where the agent does not hold the case.
        """
        cleaned = masking.clean(text)
        case = self._held(agent, case_id, version)
        masked = masking.mask(cleaned, self._store.vault(case.session_id)).text
        verdict = compliance.check(masked, Evidence(texts=(masked,)), self._rules, speaker="agent")
        if not verdict.ok:
            reasons = "; ".join(f"{one.rule}: {one.reason}" for one in verdict.violations)
            raise InvalidInput(f"the reply was not sent: {reasons}")
        said = AgentSaid(
            message_id=MessageId(f"m_{secrets.token_hex(12)}"),
            case_id=case_id,
            agent_display_name=agent.display_name,
            text=masked,
        )
        return self._write(case, said)

    def note(self, agent: Agent, case_id: CaseId, version: int, text: str) -> Case:
        """A note for agents only."""
        case = self._current(agent, case_id, version)
        masked = masking.mask(masking.clean(text), self._store.vault(case.session_id)).text
        return self._write(case, NoteTaken(case_id=case_id, agent=agent.name, text=masked))

    # --- small hands ---

    def _move(
        self, agent: Agent, case_id: CaseId, version: int, move: Callable[[Case], Case], what: str, mode: Mode | None
    ) -> Case:
        session_id = self._seen(agent, case_id).session_id
        with self._lanes.of(session_id):
            moved = move(self._current(agent, case_id, version))
            session = self._store.session(session_id)
            after = _with_mode(session, mode or session.mode, closed=moved.status == "resolved")
            holder = self._store.agent(moved.assignee)[0].display_name if moved.assignee else None
            news = CaseChanged.model_validate(
                {
                    "case_id": case_id,
                    "status": moved.status,
                    "priority": moved.priority,
                    "assignee": moved.assignee,
                    "agent_display_name": holder,
                    "mode": after.mode,
                    "what": what,
                    "intent": moved.intent,
                }
            )
            self._store.record(session_id, [self._draft(news)], session=after, case=moved)
            return moved

    def _write(self, case: Case, body: AgentSaid | NoteTaken) -> Case:
        """Words of an agent; the case's version rises so that two tabs cannot answer past each other."""
        after = case.model_copy(update={"version": case.version + 1})
        self._store.record(case.session_id, [self._draft(body)], case=after)
        return after

    def _seen(self, agent: Agent, case_id: CaseId) -> Case:
        case = self._store.case(case_id)
        if not _may_see(agent, case):
            raise NotAllowed(f"case {case_id} is another agent's")
        return case

    def _current(self, agent: Agent, case_id: CaseId, version: int) -> Case:
        case = self._seen(agent, case_id)
        if case.version != version:
            raise VersionConflict(f"case {case_id} is at version {case.version}, not {version}: look again")
        return case

    def _held(self, agent: Agent, case_id: CaseId, version: int) -> Case:
        case = self._current(agent, case_id, version)
        if case.status != "claimed" or case.assignee != agent.name:
            raise Conflict(f"claim case {case_id} before answering the customer")
        return case

    def _all(self, agent: Agent, status: CaseStatus) -> list[Case]:
        return [case for case in all_cases(self._store, status) if _may_see(agent, case)]

    def _first_claim(self, case: Case) -> float | None:
        for event in all_events(self._store, case.session_id):
            if (
                isinstance(event.body, CaseChanged)
                and event.body.case_id == case.case_id
                and event.body.what == "claimed"
            ):
                return (event.at - case.opened_at).total_seconds()
        return None

    def _draft(self, body: EventBody) -> EventDraft:
        trace = TraceId(secrets.token_hex(8))
        return EventDraft(source="agent", trace_id=trace, at=self._clock.now(), body=body)


def _may_see(agent: Agent, case: Case) -> bool:
    return agent.role != "agent" or case.status == "open" or case.assignee == agent.name


def _with_mode(session: Session, mode: Mode, *, closed: bool) -> Session:
    changes = {"mode": mode, "version": session.version + 1, "case_id": None if closed else session.case_id}
    return session.model_copy(update=changes)
