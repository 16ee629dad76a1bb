"""What happens on the agents' console: every event becomes calls of the API, and what came of them is shown."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, get_args

import gradio as gr
from starlette.types import ASGIApp

from assistant.signals import Listener, Signals
from assistant.taxonomy import Taxonomy
from assistant.types.cases import CaseStatus, Queue
from assistant.types.value import CaseId, Locale
from assistant.web import console_cards
from assistant.web.client import Caller, Refused, Work
from assistant.web.labels import words
from assistant.web.prose import escaped
from assistant.web.security import AGENT_COOKIE
from assistant.web.shift import Shift

Updates = list[Any]

HEARTBEAT_SECONDS = 20.0
"""How often a live view looks whether its page is still there, and moves the due times on."""
PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
"""Every look at a case is audited, and an audit row is itself news: looks that show nothing new become rarer."""
DISPOSITIONS = ("answered", "done", "referred", "unreachable", "duplicate")


def statuses(locale: Locale) -> list[tuple[str, str]]:
    """The choices of the status filter."""
    say = words(locale)
    return [*((say(f"status_{status}"), status) for status in get_args(CaseStatus)), (say("filter_all"), "")]


def queues(locale: Locale, every: bool) -> list[tuple[str, str]]:
    """The queues, with or without `all`."""
    say = words(locale)
    return [*([(say("filter_all"), "")] if every else []), *((say(f"queue_{name}"), name) for name in get_args(Queue))]


def dispositions(locale: Locale) -> list[tuple[str, str]]:
    """How a case may end."""
    return [(words(locale)(f"disposition_{code}"), code) for code in DISPOSITIONS]


class ConsoleEvents:
    """The handlers; what each gives back stands in the order that the console wires."""

    def __init__(
        self, api: Callable[[], ASGIApp], institution: dict[Locale, str], signals: Signals, taxonomy: Taxonomy
    ) -> None:
        self._api = api
        self._institution = institution
        self._signals = signals
        self._taxonomy = taxonomy

    # --- what is shown ------------------------------------------------------------------------------------------------

    def shown(self, shift: Shift) -> Updates:
        """The queue and the open case, in the order of `Parts.shown`."""
        now, locale, detail = datetime.now(UTC), shift.locale, shift.detail
        chosen = detail.case.case_id if detail else None
        name = self._institution[locale]
        return [
            console_cards.head(name, shift.agent, shift.summary.open if shift.summary else 0, locale),
            console_cards.counts(shift.summary, locale) if shift.summary else "",
            console_cards.queue(shift.page, chosen, self._taxonomy, now, locale),
            console_cards.case_head(detail, now, locale),
            console_cards.facts(detail, self._taxonomy, locale) if detail else "",
            console_cards.transcript(detail, self._taxonomy, locale),
            console_cards.suggestion(detail, locale),
            gr.update(visible=detail is not None),
            gr.update(visible=detail is not None),
            gr.update(
                visible=bool(detail and detail.case.suggested_reply) and shift.may_note, interactive=shift.may_reply
            ),
            gr.update(interactive=shift.may_claim),
            gr.update(interactive=shift.may_work),
            gr.update(interactive=shift.may_reply),
            *[gr.update(interactive=shift.may_work) for _ in ("hand_back", "resolve")],
            *[gr.update(interactive=shift.may_note) for _ in ("note", "transfer")],
        ]

    SHOWN = 17
    """How many components `shown` updates."""

    def labels(self, locale: Locale) -> Updates:
        """Every fixed label in one language, in the order of `Parts.labelled`."""
        say = words(locale)
        return [
            gr.update(value=say("switch_language")),
            gr.update(value=say("logout")),
            gr.update(label=say("filter_status"), choices=statuses(locale)),
            gr.update(label=say("filter_queue"), choices=queues(locale, every=True)),
            gr.update(label=say("reply_label"), placeholder=say("reply_placeholder")),
            gr.update(value=say("take_suggestion")),
            *[gr.update(value=say(f"do_{what}")) for what in ("claim", "release", "reply", "hand_back", "resolve")],
            *[gr.update(value=say(f"do_{what}")) for what in ("note", "transfer")],
            gr.update(label=say("note_label")),
            gr.update(label=say("transfer_label"), choices=queues(locale, every=False)),
            gr.update(label=say("resolve_label"), choices=dispositions(locale)),
        ]

    # --- beginning and following --------------------------------------------------------------------------------------

    async def start(self, request: gr.Request) -> Updates:
        """The queue of the agent whose cookie came along."""
        web = request.request
        token = web.cookies.get(AGENT_COOKIE, "") if web is not None else ""
        caller = Caller(self._api(), request.client.host if request.client else "unknown")
        try:
            shift = await Shift.begin(caller, token, "zh-CN")
        except Refused as refused:
            return [None, self.said(refused, "zh-CN"), *([gr.skip()] * self.SHOWN)]
        return [shift, "", *self.shown(shift)]

    async def follow(self, shift: Shift | None) -> AsyncIterator[Updates]:
        """The live view of the queue."""
        if shift is None:
            return
        shift.watch += 1
        mine = shift.watch
        with self._signals.listen(None) as news:
            async for updates in self._live(shift, news, shift.look_around, lambda: mine == shift.watch):
                yield updates

    async def follow_case(self, shift: Shift | None) -> AsyncIterator[Updates]:
        """The live view of the open case."""
        if shift is None or shift.detail is None:
            return
        shift.case_watch += 1
        mine, case = shift.case_watch, shift.detail.case
        with self._signals.listen(case.session_id) as news:
            again = partial(shift.look_at, case.case_id)
            async for updates in self._live(shift, news, again, lambda: mine == shift.case_watch):
                yield updates

    async def _live(
        self, shift: Shift, news: Listener, look: Callable[[], Awaitable[bool]], in_charge: Callable[[], bool]
    ) -> AsyncIterator[Updates]:
        pause = PAUSE_SECONDS
        while True:
            rung = await news.wait(HEARTBEAT_SECONDS)
            if not in_charge():
                return
            try:
                fresh = await look() if rung else False
            except Refused as refused:
                yield [self.said(refused, shift.locale), *self.shown(shift)]
                if refused.status < 500:
                    return
                fresh = False
            if fresh or not rung:  # without news it is a heartbeat, which moves the due times on
                yield [gr.skip(), *self.shown(shift)]
            pause = PAUSE_SECONDS if fresh or not rung else min(pause * 2, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def filter(self, shift: Shift | None, status: str, queue: str) -> Updates:
        """Show another part of the queue."""
        if shift is None:
            return self._signed_out()
        shift.status, shift.queue = status or "", queue or ""
        return await self._then(shift, shift.look_around())

    async def open(self, shift: Shift | None, reply: str, note: str, chosen: gr.EventData) -> Updates:
        """Open the case of the tapped row, with what was being written about it."""
        if shift is None:
            return [gr.skip(), gr.skip(), *self._signed_out()]
        case_id = CaseId(str(chosen.case))
        texts = shift.change_desk(case_id, reply, note)
        return [*texts, *await self._then(shift, shift.look_at(case_id))]

    async def switch(self, shift: Shift | None) -> Updates:
        """The other language."""
        if shift is None:
            return [*self._signed_out(), *([gr.skip()] * len(self.labels("zh-CN")))]
        shift.locale = "zh-CN" if shift.locale == "en" else "en"
        return ["", *self.shown(shift), *self.labels(shift.locale)]

    def suggested(self, shift: Shift | None, text: str) -> str:
        """Put the suggested reply into the box, after what is there."""
        if shift is None or shift.detail is None:
            return text
        return "\n".join(part for part in (text.strip(), shift.detail.case.suggested_reply) if part)

    # --- working ------------------------------------------------------------------------------------------------------

    async def act(self, what: Work, shift: Shift | None) -> Updates:
        """Claim, release, hand back."""
        return self._signed_out() if shift is None else (await self._work(shift, what))[0]

    async def write(self, what: Work, shift: Shift | None, text: str) -> Updates:
        """Reply or note; the box is emptied only where it went through."""
        if shift is None:
            return [gr.skip(), *self._signed_out()]
        if not text.strip():
            return [gr.skip(), self._note("desk_empty", shift.locale), *self.shown(shift)]
        updates, done = await self._work(shift, what, text=text.strip())
        return ["" if done else gr.skip(), *updates]

    async def choose(self, what: Work, shift: Shift | None, value: str | None) -> Updates:
        """Transfer to a queue, resolve with a disposition."""
        if shift is None:
            return self._signed_out()
        if not value:
            return [self._note("desk_empty", shift.locale), *self.shown(shift)]
        return (await self._work(shift, what, **{"queue" if what == "transfer" else "disposition": value}))[0]

    async def logout(self, shift: Shift | None) -> None:
        """End the login; the page then goes to the login form."""
        if shift is not None:
            shift.watch += 1
            try:
                await shift.api.logout()
            except Refused as refused:
                if refused.status >= 500:
                    raise gr.Error(words(shift.locale)("desk_down")) from refused

    async def _work(self, shift: Shift, what: Work, **more: str) -> tuple[Updates, bool]:
        if shift.detail is None:
            return [gr.skip(), *self.shown(shift)], False
        try:
            await shift.work(what, **more)
        except Refused as refused:
            return [self.said(refused, shift.locale), *self.shown(shift)], False
        return [self._note(f"did_{what}", shift.locale, "told"), *self.shown(shift)], True

    async def _then(self, shift: Shift, look: Any) -> Updates:
        try:
            await look
        except Refused as refused:
            return [self.said(refused, shift.locale), *self.shown(shift)]
        return ["", *self.shown(shift)]

    # --- what went wrong ----------------------------------------------------------------------------------------------

    def said(self, refused: Refused, locale: Locale) -> str:
        """A refusal in the words of the status line."""
        if refused.status == 401:
            return self._note("desk_signed_out", locale)
        if refused.title == "Changed meanwhile":
            return self._note("desk_conflict", locale)
        if refused.status >= 500:
            return self._note("desk_down", locale)
        return self._note("desk_refused", locale, detail=escaped(refused.detail))

    def _note(self, key: str, locale: Locale, tone: str = "error", **values: str) -> str:
        return f'<span class="{tone}" lang="{locale}">{words(locale)(key, **values)}</span>'

    def _signed_out(self) -> Updates:
        return [self._note("desk_signed_out", "zh-CN"), *([gr.skip()] * self.SHOWN)]
