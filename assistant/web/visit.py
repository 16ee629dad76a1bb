"""One open customer page: its session, what it has read, and what the customer does there, through the API only."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Literal

from assistant.types.value import Locale, ProposalId, SessionId
from assistant.types.views import PublicEvent
from assistant.web.client import Caller, CustomerApi, Refused
from assistant.web.conversation import Draft, Screen, screen
from assistant.web.labels import words

MAX_CHARACTERS = 2000
"""The limit of the API, told before anything is sent."""
RETRY_SECONDS = 2.0
HEARTBEAT_SECONDS = 20.0
"""How often a live view looks whether its page is still there."""
NOT_OURS = (401, 403, 404)
"""The token opens the session no more."""


class Visit:
    """Mutable, and used on one event loop: the page's live view and its buttons share it."""

    def __init__(self, caller: Caller, api: CustomerApi, notice: str, locale: Locale) -> None:
        self.api = api
        self.notice = notice
        self.locale = locale
        self._caller = caller
        self._watch = 0  # the live view that is in charge; an older one of the same page gives way
        self._events: list[PublicEvent] = []
        self._draft: Draft | None = None
        self._unsent: tuple[str, str] | None = None
        self._news = asyncio.Event()

    @classmethod
    async def open(cls, caller: Caller, locale: Locale) -> "Visit":
        """A new conversation. Raises Refused."""
        api, notice = await CustomerApi.open(caller, locale)
        return cls(caller, api, notice, locale)

    @classmethod
    async def resume(cls, caller: Caller, saved: dict[str, str]) -> "Visit":
        """The conversation that this browser had before. Raises Refused, KeyError."""
        api = CustomerApi(caller, SessionId(saved["session_id"]), saved["token"])
        visit = cls(caller, api, saved["notice"], "en" if saved["locale"] == "en" else "zh-CN")
        while await visit.catch_up():
            pass
        return visit

    async def renew(self) -> None:
        """Go on in a new conversation, because the old one has ended. Raises Refused."""
        self.api, self.notice = await CustomerApi.open(self._caller, self.locale)
        self._events, self._draft, self._unsent = [], None, None
        self._news.set()

    @property
    def saved(self) -> dict[str, str]:
        """What the browser keeps, so that a reload goes on here."""
        token = self.api.token
        return {"session_id": self.api.session_id, "token": token, "notice": self.notice, "locale": self.locale}

    @property
    def busy(self) -> bool:
        """Whether a turn is under way."""
        return self._draft is not None

    @property
    def screen(self) -> Screen:
        """What the page shows now."""
        return screen(self.notice, self._events, self._draft, self.locale)

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def _seq(self) -> int:
        return self._events[-1].seq if self._events else 0

    def _absorb(self, events: tuple[PublicEvent, ...]) -> None:
        self._events.extend(event for event in events if event.seq > self._seq)
        self._news.set()

    async def catch_up(self) -> bool:
        """Read what is new, and whether there was anything. Raises Refused."""
        events = await self.api.events(self._seq)
        self._absorb(events)
        return bool(events)

    async def follow(self) -> AsyncIterator[bool]:
        """True when there may be something new to show, False as a heartbeat, until a younger live view takes over."""
        self._watch += 1
        mine = self._watch
        reader = asyncio.create_task(self._read())
        try:
            while mine == self._watch:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await self._news.wait()
                except TimeoutError:
                    yield False
                    continue
                self._news.clear()
                yield True
        finally:
            reader.cancel()

    async def _read(self) -> None:
        while True:
            token = self.api.token
            try:
                async for event in self.api.live(self._seq):
                    if event is not None:
                        self._absorb((event,))
            except Refused as refused:
                while refused.status in NOT_OURS and self.api.token == token:
                    await asyncio.sleep(RETRY_SECONDS)  # until the page has a token again
            # The stream ends where the token was replaced or the server is busy: read on with what is known now.
            await asyncio.sleep(RETRY_SECONDS)

    # --- acting -------------------------------------------------------------------------------------------------------

    async def say(self, text: str) -> AsyncIterator[None]:
        """One turn; yields when the page has something new to show. Raises Refused: the words may be sent again."""
        # The same words after a failure go under the same key, so that a turn that did happen is not repeated.
        key = self._unsent[1] if self._unsent and self._unsent[0] == text else secrets.token_hex(16)
        self._unsent = (text, key)
        self._draft = Draft(text, self._seq, words(self.locale)("sending"))
        try:
            yield
            async for pushed in self.api.say(text, key):
                news = json.loads(pushed.data)
                if pushed.event == "stage":
                    self._draft.stage = words(self.locale)(f"stage_{news['stage']}")
                elif pushed.event == "sentence":
                    self._draft.sentences += news["text"]
                yield
            await self.catch_up()
            self._unsent = None
        finally:
            self._draft = None

    async def tap(self, choice: Literal["confirm", "cancel"], proposal_id: ProposalId, digest: str) -> None:
        """Confirm or cancel what was shown with this digest. Raises Refused."""
        await self._and_read(self.api.tap(choice, proposal_id, digest))

    async def human(self) -> None:
        """Ask for a person. Raises Refused."""
        await self._and_read(self.api.human(secrets.token_hex(16)))

    async def prove(self, code: str) -> None:
        """Enter the one-time code. Raises Refused."""
        await self._and_read(self.api.confirm_code(code))

    async def _and_read(self, act: Awaitable[object]) -> None:
        try:
            await act
        finally:
            with suppress(Refused):  # what came of it is shown either way
                await self.catch_up()

    async def speak(self, locale: Locale) -> None:
        """Change the language; a conversation that has not begun begins anew. Raises Refused."""
        self.locale = locale
        if self._events:
            await self.api.set_locale(locale)
        else:
            await self.renew()
