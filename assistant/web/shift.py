"""One open console: what its agent looks at, and what they do, through the API only."""

from collections.abc import Awaitable
from typing import Any

from assistant.types.cases import Agent
from assistant.types.value import CaseId, Locale
from assistant.types.views import CaseDetail, CasePage, DeskSummary, InsightPage
from assistant.web.client import AgentApi, Caller, Refused, Work

NOT_MINE = (403, 404)
"""The case is a colleague's now, or gone."""


class Shift:
    """Mutable, and used on one event loop: the console's live view and its buttons share it."""

    def __init__(self, api: AgentApi, agent: Agent, locale: Locale) -> None:
        self.api = api
        self.agent = agent
        self.locale = locale
        self.status = "open"
        self.queue = ""
        self.page = CasePage(cases=(), next_cursor=None)
        self.summary: DeskSummary | None = None
        self.detail: CaseDetail | None = None
        self.gaps: InsightPage | None = None  # what is looked at in place of the queue
        self.gap: int | None = None  # the place of the chosen one among them
        self.writing: CaseId | None = None
        self.drafts: dict[CaseId, tuple[str, str]] = {}
        self.watch = 0  # the live view of the queue that is in charge; an older one of the same console gives way
        self.case_watch = 0  # the same for the live view of the open case

    @classmethod
    async def begin(cls, caller: Caller, token: str, locale: Locale) -> "Shift":
        """The queue as it is now. Raises Refused."""
        api = AgentApi(caller, token)
        shift = cls(api, await api.me(), locale)
        await shift.look_around()
        return shift

    async def look_around(self) -> bool:
        """Read the queue anew; whether anything in it is new. Raises Refused."""
        before, self.page = self.page, await self.api.cases(self.status, self.queue)
        if before == self.page and self.summary is not None:
            return False
        self.summary = await self.api.summary()
        return True

    async def look_at(self, case_id: CaseId) -> bool:
        """Open a case, or read the open one anew; whether anything in it is new. Raises Refused."""
        before = self.detail
        try:
            self.detail = await self.api.case(case_id)
        except Refused as refused:
            if refused.status in NOT_MINE:
                self.detail = None
            raise
        return before != self.detail

    async def toggle_gaps(self) -> None:
        """From the queue to what the policies lack, or back. Raises Refused."""
        self.gaps, self.gap = (await self.api.insights() if self.gaps is None else None), None

    def change_desk(self, case_id: CaseId, reply: str, note: str) -> tuple[str, str]:
        """Put aside what was being written about one case, and take up what was about the other.

        Words meant for one customer must never stand in the box of another.
        """
        if self.writing is not None:
            self.drafts[self.writing] = (reply, note)
        self.writing = case_id
        return self.drafts.get(case_id, ("", ""))

    async def work(self, what: Work, **more: str) -> None:
        """Change the open case as it was last read. Raises Refused; what is shown is fresh either way."""
        assert self.detail is not None
        case = self.detail.case
        await self._then_look(self.api.work(what, case.case_id, case.version, **more), case.case_id)

    async def _then_look(self, act: Awaitable[Any], case_id: CaseId) -> None:
        try:
            await act
        finally:
            try:
                await self.look_at(case_id)
            except Refused as refused:
                if refused.status not in NOT_MINE:
                    raise
            await self.look_around()

    # --- what may be done -------------------------------------------------------------------------------------------

    @property
    def may_see_gaps(self) -> bool:
        """The agent leads."""
        return self.agent.role != "agent"

    @property
    def may_claim(self) -> bool:
        """The open case waits for someone."""
        return self.detail is not None and self.detail.case.status == "open"

    @property
    def may_reply(self) -> bool:
        """The open case is this agent's."""
        case = self.detail.case if self.detail else None
        return case is not None and case.status == "claimed" and case.assignee == self.agent.name

    @property
    def may_work(self) -> bool:
        """The open case is this agent's, or the agent leads."""
        claimed = self.detail is not None and self.detail.case.status == "claimed"
        return self.may_reply or (claimed and self.agent.role != "agent")

    @property
    def may_note(self) -> bool:
        """The open case is not closed, and not a colleague's."""
        return self.may_claim or self.may_work
