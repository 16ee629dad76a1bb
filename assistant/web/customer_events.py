"""What happens on the customer's page: every event becomes calls of the API, and what came of them is shown."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import gradio as gr
from starlette.types import ASGIApp

from assistant.catalogue import LOCALES
from assistant.types.value import Locale, ProposalId
from assistant.web import cards
from assistant.web.client import Caller, Refused
from assistant.web.labels import words
from assistant.web.prose import escaped
from assistant.web.visit import MAX_CHARACTERS, Visit

Updates = list[Any]

REDRAW_SECONDS = 0.15
"""Stages that pass faster than this are not worth drawing."""


# --- what is shown ----------------------------------------------------------------------------------------------------


def header(institution: dict[Locale, str], locale: Locale) -> str:
    """The head of the page; the page's script reads the language and the names of Gradio's own controls from it."""
    say = words(locale)
    name = institution[locale]
    data = {
        "lang": locale,
        "title": say("page_title", institution=name),
        "log": say("conversation"),
        "like": say("useful"),
        "dislike": say("not_useful"),
        "scroll": say("scroll_down"),
        "lost": say("error_lost"),
        "reload": say("reload"),
    }
    attributes = " ".join(f'data-{key}="{escaped(value)}"' for key, value in data.items())
    return (
        f'<div id="page-words" class="brand" lang="{locale}" {attributes}><span class="mark" aria-hidden="true">'
        f"{escaped(name[:1])}</span><h1>{escaped(name)}<small>{say('brand_line')}</small></h1></div>"
    )


def verify_head(locale: Locale) -> str:
    say = words(locale)
    return f'<div class="card-head" lang="{locale}"><h2>{say("verify_title")}</h2><p>{say("verify_hint")}</p></div>'


def labels(institution: dict[Locale, str], locale: Locale) -> Updates:
    """Every fixed label in one language, in the order of `Parts.labelled`."""
    say = words(locale)
    return [
        gr.update(value=header(institution, locale)),
        gr.update(value=say("switch_language")),
        gr.update(value=say("human")),
        gr.update(label=say("conversation")),
        gr.update(value=verify_head(locale)),
        gr.update(label=say("verify_phone")),
        gr.update(value=say("verify_send")),
        gr.update(label=say("verify_code")),
        gr.update(value=say("verify_submit")),
        gr.update(value=say("verify_outbox")),
        gr.update(label=say("message_label"), placeholder=say("message_placeholder")),
        gr.update(value=say("send")),
    ]


SHOWN = 4
"""How many components show the conversation."""


def shown(visit: Visit) -> Updates:
    """The conversation as it stands, in the order of `Parts.shown`."""
    now = visit.screen
    messages: list[dict[str, Any]] = [
        {"role": "user" if line.mine else "assistant", "content": line.html} for line in now.lines
    ]
    if now.choices:
        messages[-1]["options"] = [{"label": choice.label, "value": choice.message} for choice in now.choices]
    card = cards.proposal_card(now.proposal, visit.locale) if now.proposal else ""
    return [messages, now.banner, gr.update(visible=now.wants_verification), card]


class CustomerEvents:
    """The handlers; what each gives back stands in the order that the page wires."""

    def __init__(self, api: Callable[[], ASGIApp], institution: dict[Locale, str]) -> None:
        self._api = api
        self._institution = institution

    async def start(self, saved: dict[str, str] | None, request: gr.Request) -> Updates:
        """Go on with the conversation of this browser, or begin one."""
        caller = Caller(self._api(), request.client.host if request.client else "unknown")
        note = ""
        try:
            visit = await _resumed(caller, saved)
            if visit is None:
                note = _note("error_expired", _locale_of(saved)) if saved else ""
                visit = await Visit.open(caller, _locale_of(saved))
        except Refused:
            nothing = [gr.skip()] * (len(labels(self._institution, "zh-CN")) + SHOWN)
            return [None, gr.skip(), _note("error_start", _locale_of(saved)), *nothing]
        return [visit, visit.saved, note, *labels(self._institution, visit.locale), *shown(visit)]

    async def follow(self, visit: Visit | None) -> AsyncIterator[Updates]:
        """The live view of the conversation."""
        if visit is None:
            return
        before: Updates = []
        async for news in visit.follow():
            now = shown(visit)
            # A heartbeat goes out too: only what is sent tells Gradio that the page has gone.
            yield now if news and now != before else [gr.skip()] * SHOWN
            before = now

    async def switch(self, visit: Visit | None) -> Updates:
        """The other language."""
        if visit is None:
            nothing = [gr.skip()] * (len(labels(self._institution, "zh-CN")) + SHOWN)
            return [gr.skip(), _lost(), *nothing]
        note = ""
        try:
            await visit.speak("zh-CN" if visit.locale == "en" else "en")
        except Refused as refused:
            note = await _explained(visit, refused)
        return [visit.saved, note, *labels(self._institution, visit.locale), *shown(visit)]

    # --- talking ------------------------------------------------------------------------------------------------------

    async def say_typed(self, visit: Visit | None, text: str) -> AsyncIterator[Updates]:
        """Send what is in the box; it is taken out once it is under way and put back where it failed."""
        keep = gr.skip()
        if visit is None:
            yield [keep, keep, *_nothing()]
            return
        if fault := _fault(visit, text):
            yield [keep, keep, *_same(visit, fault)]
            return
        parcel = f"{time.monotonic_ns()}\n{text}"
        taken: Any = parcel
        async for updates, failed in _turn(visit, text.strip()):
            yield [taken, parcel if failed else keep, *updates]
            taken = keep

    async def say_chosen(self, visit: Visit | None, chosen: gr.SelectData) -> AsyncIterator[Updates]:
        """Send a quick reply as the customer's own words."""
        if visit is not None and not visit.busy:
            async for updates, _ in _turn(visit, str(chosen.value)):
                yield updates

    async def human(self, visit: Visit | None) -> Updates:
        """Ask for a person."""
        return _nothing() if visit is None else await _acted(visit, visit.human())

    async def tap(self, visit: Visit | None, tapped: gr.EventData) -> Updates:
        """Confirm or cancel exactly the proposal that the tapped card showed."""
        if visit is None:
            return _nothing()
        choice: Literal["confirm", "cancel"] = "confirm" if tapped.choice == "confirm" else "cancel"
        act = visit.tap(choice, ProposalId(str(tapped.proposal)), str(tapped.digest))
        return await _acted(visit, act, conflict="error_proposal")

    async def rate(self, visit: Visit | None, liked: gr.LikeData) -> str:
        """Thumbs on one reply."""
        index = liked.index if isinstance(liked.index, int) else liked.index[0]
        lines = visit.screen.lines if visit is not None else ()
        if visit is None or not 0 <= index < len(lines) or (message_id := lines[index].message_id) is None:
            return ""
        try:
            await visit.api.rate(message_id, "up" if liked.liked is True else "down")
        except Refused as refused:
            return await _explained(visit, refused)
        return _note("rated", visit.locale, "told")

    # --- proving who one is -------------------------------------------------------------------------------------------

    async def send_code(self, visit: Visit | None, phone: str) -> str:
        """Ask for a one-time code; known and unknown numbers are answered alike."""
        if visit is None:
            return _lost()
        try:
            await visit.api.request_code(phone)
        except Refused as refused:
            keys = {422: "verify_phone_invalid", 429: "verify_locked"}
            return _note(keys.get(refused.status, "error_down"), visit.locale)
        return _note("verify_sent", visit.locale, "told")

    async def submit_code(self, visit: Visit | None, code: str) -> Updates:
        """Enter the code; right: what was asked for is served at once."""
        if visit is None:
            return [gr.skip(), _lost(), *_nothing()]
        try:
            await visit.prove(code)
        except Refused as refused:
            keys = {403: "verify_wrong", 410: "verify_expired", 422: "verify_wrong", 429: "verify_locked"}
            key = "verify_other_customer" if refused.title == "Not allowed" else keys.get(refused.status, "error_down")
            return [gr.skip(), _note(key, visit.locale), *_same(visit, "")]
        return ["", "", visit.saved, gr.update(interactive=True), "", *shown(visit)]

    async def outbox(self, visit: Visit | None) -> str:
        """What the sandbox would have sent; there is no such button elsewhere."""
        if visit is None:
            return _lost()
        try:
            codes = await visit.api.outbox()
        except Refused as refused:
            return await _explained(visit, refused)
        if not codes:
            return _note("verify_outbox_empty", visit.locale)
        say = words(visit.locale)
        return (
            f'<span class="told">{say("verify_outbox_code", phone=codes[-1].masked_phone, code=codes[-1].code)}</span>'
        )


# --- a turn, and what went wrong --------------------------------------------------------------------------------------


async def _resumed(caller: Caller, saved: dict[str, str] | None) -> Visit | None:
    """The conversation of this browser, where its token still opens it."""
    if not isinstance(saved, dict):
        return None
    try:
        return await Visit.resume(caller, saved)
    except KeyError:
        return None
    except Refused as refused:
        if refused.status >= 500:
            raise
        return None


def _locale_of(saved: dict[str, str] | None) -> Locale:
    return "en" if isinstance(saved, dict) and saved.get("locale") == "en" else "zh-CN"


async def _turn(visit: Visit, text: str) -> AsyncIterator[tuple[Updates, bool]]:
    """What to show while a message is served, and whether it failed."""
    drawn = 0.0
    try:
        async for _ in visit.say(text):
            if time.monotonic() - drawn >= REDRAW_SECONDS:
                drawn = time.monotonic()
                yield [gr.skip(), gr.update(interactive=False), "", *shown(visit)], False
    except Refused as refused:
        note = await _explained(visit, refused)
        yield [visit.saved, gr.update(interactive=True), note, *shown(visit)], True
        return
    yield _same(visit, ""), False


async def _acted(visit: Visit, act: Awaitable[None], conflict: str = "error_busy") -> Updates:
    note = ""
    try:
        await act
    except Refused as refused:
        note = await _explained(visit, refused, conflict)
    return _same(visit, note)


async def _explained(visit: Visit, refused: Refused, conflict: str = "error_busy") -> str:
    """The refusal in the customer's words; where the session has ended, a new one is begun."""
    if refused.status == 401:
        try:
            await visit.renew()
        except Refused:
            return _note("error_start", visit.locale)
        return _note("error_expired", visit.locale)
    busy = refused.title == "Session busy"
    keys = {404: conflict, 409: "error_busy" if busy else conflict, 410: conflict, 422: "error_invalid"}
    return _note(keys.get(refused.status, "error_many" if refused.status == 429 else "error_down"), visit.locale)


def _fault(visit: Visit, text: str) -> str:
    """What is wrong with a message before it is sent."""
    if not text.strip():
        return _note("error_empty", visit.locale)
    if len(text.strip()) > MAX_CHARACTERS:
        return _note("error_long", visit.locale, length=len(text.strip()), limit=MAX_CHARACTERS)
    return _note("error_busy", visit.locale) if visit.busy else ""


def _note(key: str, locale: Locale, tone: str = "error", **values: int) -> str:
    return f'<span class="{tone}" lang="{locale}">{words(locale)(key, **values)}</span>'


def _same(visit: Visit, note: str) -> Updates:
    return [visit.saved, gr.update(interactive=True), note, *shown(visit)]


def _lost() -> str:
    """The server does not know this page any more, because it was started anew; the browser still knows the session."""
    lines = (f"{words(locale)('error_lost')} <a href='.'>{words(locale)('reload')}</a>" for locale in LOCALES)
    return f'<span class="error">{"<br>".join(lines)}</span>'


def _nothing() -> Updates:
    return [gr.skip(), gr.skip(), _lost(), *([gr.skip()] * SHOWN)]
