"""The agents' console: draws what the API says, and acts through it alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from starlette.types import ASGIApp

from assistant.signals import Signals
from assistant.taxonomy import load_taxonomy
from assistant.types.value import Locale
from assistant.web import console_cards
from assistant.web.client import Work
from assistant.web.console_events import ConsoleEvents, dispositions, queues, statuses
from assistant.web.gaps import GapEvents, GapParts, gap_button, gap_view
from assistant.web.gaps import wire as wire_gaps
from assistant.web.labels import words
from assistant.web.wiring import LIVE, QUIET, READ_WORDS

LOGIN = "/agent-login"
_OPEN = """
element.addEventListener('click', (tap) => {
  const button = tap.target.closest('button[data-case]');
  if (button) trigger('submit', { case: button.dataset.case });
});
"""
# Stay at the end of the conversation while it grows, unless the agent has scrolled up to read.
_FOLLOW = """
let end = true;
const log = () => element.querySelector('[role=log]');
element.addEventListener('scroll', () => {
  const one = log();
  if (one) end = one.scrollHeight - one.scrollTop - one.clientHeight < 60;
}, true);
const down = () => { const one = log(); if (one && end) one.scrollTop = one.scrollHeight; };
watch('value', () => requestAnimationFrame(down));
down();
"""


@dataclass(frozen=True)
class Parts:
    """The components that change after the console was drawn."""

    head: gr.HTML
    language: gr.Button
    logout: gr.Button
    status: gr.HTML
    counts: gr.HTML
    filter_status: gr.Radio
    filter_queue: gr.Dropdown
    queue: gr.HTML
    case_head: gr.HTML
    facts: gr.HTML
    transcript: gr.HTML
    suggestion: gr.HTML
    desk: gr.Column
    side: gr.Column
    take: gr.Button
    reply: gr.Textbox
    buttons: dict[str, gr.Button]
    note: gr.Textbox
    transfer: gr.Dropdown
    resolve: gr.Dropdown
    shift: gr.State
    queue_view: gr.Row
    gaps: GapParts

    @property
    def shown(self) -> list[Any]:
        """What depends on the queue and the open case."""
        return [
            self.head,
            self.counts,
            self.queue,
            self.case_head,
            self.facts,
            self.transcript,
            self.suggestion,
            self.desk,
            self.side,
            self.take,
            *self.buttons.values(),
        ]

    @property
    def labelled(self) -> list[Any]:
        """What depends on the language alone."""
        return [
            self.language,
            self.logout,
            self.filter_status,
            self.filter_queue,
            self.reply,
            self.take,
            *self.buttons.values(),
            self.note,
            self.transfer,
            self.resolve,
        ]


def page(api: Callable[[], ASGIApp], institution: dict[Locale, str], signals: Signals) -> Any:
    """The page at `/agent`; `api` gives the application that answers `/api/v1`."""
    title = words("zh-CN")("console_title")
    with gr.Blocks(analytics_enabled=False, title=title, fill_width=True, fill_height=True) as blocks:
        parts = _layout(institution)
        taxonomy = load_taxonomy()
        events = ConsoleEvents(api, institution, signals, taxonomy)
        _wire(blocks, parts, events, GapEvents(taxonomy, events.said))
    blocks.queue(default_concurrency_limit=None, api_open=False)
    return blocks


# --- what is drawn ----------------------------------------------------------------------------------------------------


def _layout(institution: dict[Locale, str]) -> Parts:
    say = words("zh-CN")
    with gr.Row(elem_id="top", equal_height=True):
        head = gr.HTML(
            console_cards.head(institution["zh-CN"], None, 0, "zh-CN"), elem_id="head", js_on_load=READ_WORDS
        )
        gaps_toggle = gap_button()
        language = gr.Button(say("switch_language"), elem_id="language", size="sm", scale=0)
        logout = gr.Button(say("logout"), elem_id="logout", size="sm", scale=0)
    status = gr.HTML("", elem_id="status", html_template=LIVE.format(id="status-live"), js_on_load=None)
    with gr.Row(elem_id="desk", equal_height=True) as queue_view:
        left = _left()
        middle = _middle()
        right = _right()
    gaps = gap_view(gaps_toggle)
    order = ("claim", "release", "reply", "hand_back", "resolve", "note", "transfer")
    buttons = {**middle.pop("buttons"), **right.pop("buttons")}
    return Parts(
        head=head,
        language=language,
        logout=logout,
        status=status,
        **left,
        **middle,
        **right,
        buttons={name: buttons[name] for name in order},
        shift=gr.State(None),
        queue_view=queue_view,
        gaps=gaps,
    )


def _left() -> dict[str, Any]:
    say = words("zh-CN")
    with gr.Column(elem_id="left", scale=0, min_width=320):
        counts = gr.HTML("", elem_id="counts", html_template=LIVE.format(id="counts-live"), js_on_load=None)
        filter_status = gr.Radio(
            statuses("zh-CN"), value="open", label=say("filter_status"), elem_id="filter-status", container=False
        )
        filter_queue = gr.Dropdown(
            queues("zh-CN", every=True), value="", label=say("filter_queue"), elem_id="filter-queue", filterable=False
        )
        queue = gr.HTML("", elem_id="queue", js_on_load=_OPEN)
    return {"counts": counts, "filter_status": filter_status, "filter_queue": filter_queue, "queue": queue}


def _middle() -> dict[str, Any]:
    say = words("zh-CN")
    with gr.Column(elem_id="middle", scale=1, min_width=320):
        case_head = gr.HTML(console_cards.nothing_open("zh-CN"), elem_id="case-head", js_on_load=None)
        transcript = gr.HTML("", elem_id="transcript", js_on_load=_FOLLOW)
        with gr.Column(visible=False, elem_id="answer") as desk:
            suggestion = gr.HTML("", elem_id="suggestion", js_on_load=None)
            take = gr.Button(say("take_suggestion"), elem_id="take", size="sm", scale=0)
            reply = gr.Textbox(
                label=say("reply_label"),
                placeholder=say("reply_placeholder"),
                elem_id="reply",
                lines=3,
                max_lines=8,
            )
            with gr.Row(elem_id="answer-buttons"):
                buttons = {
                    "claim": _button("claim", "primary"),
                    "reply": _button("reply", "primary"),
                    "hand_back": _button("hand_back"),
                    "release": _button("release"),
                }
    return {
        "case_head": case_head,
        "transcript": transcript,
        "desk": desk,
        "suggestion": suggestion,
        "take": take,
        "reply": reply,
        "buttons": buttons,
    }


def _right() -> dict[str, Any]:
    say = words("zh-CN")
    with gr.Column(visible=False, elem_id="right", scale=0, min_width=320) as side:
        facts = gr.HTML("", elem_id="facts", js_on_load=None)
        note = gr.Textbox(label=say("note_label"), elem_id="note", lines=2, max_lines=5)
        noted = _button("note")
        with gr.Row(equal_height=True, elem_classes="pair"):
            transfer = gr.Dropdown(
                queues("zh-CN", every=False), value=None, label=say("transfer_label"), elem_id="transfer-to"
            )
            transferred = _button("transfer")
        with gr.Row(equal_height=True, elem_classes="pair"):
            resolve = gr.Dropdown(
                dispositions("zh-CN"), value="answered", label=say("resolve_label"), elem_id="disposition"
            )
            resolved = _button("resolve", "primary")
    buttons = {"note": noted, "transfer": transferred, "resolve": resolved}
    return {"side": side, "facts": facts, "note": note, "transfer": transfer, "resolve": resolve, "buttons": buttons}


def _button(what: str, variant: Any = "secondary") -> gr.Button:
    label = words("zh-CN")(f"do_{what}")
    return gr.Button(label, elem_id=f"do-{what}", variant=variant, interactive=False, scale=0, min_width=88)


# --- what happens when ------------------------------------------------------------------------------------------------


def _wire(blocks: gr.Blocks, parts: Parts, events: ConsoleEvents, gap_events: GapEvents) -> None:
    shift, told = parts.shift, [parts.status, *parts.shown]
    gaps = wire_gaps(parts.gaps, gap_events, shift, parts.status, parts.queue_view)
    begun = blocks.load(events.start, None, [shift, *told], **QUIET)
    begun.then(gap_events.shown, [shift], gaps, **QUIET)
    begun.then(events.follow, [shift], told, **QUIET)
    filters: list[Any] = [parts.filter_status, parts.filter_queue]
    gr.on([part.input for part in filters], events.filter, [shift, *filters], told, **QUIET)
    boxes = [parts.reply, parts.note]
    opened = parts.queue.submit(events.open, [shift, *boxes], [*boxes, *told], **QUIET)
    opened.then(events.follow_case, [shift], told, **QUIET)
    switched = parts.language.click(events.switch, [shift], [*told, *parts.labelled], **QUIET)
    switched.then(gap_events.shown, [shift], gaps, **QUIET)
    parts.take.click(events.suggested, [shift, parts.reply], [parts.reply], **QUIET)
    ended = parts.logout.click(events.logout, [shift], None, **QUIET)
    ended.success(None, None, None, js=f"() => {{ location.assign('{LOGIN}'); }}", **QUIET)
    acts: tuple[Work, ...] = ("claim", "release", "hand_back")
    for act in acts:
        parts.buttons[act].click(partial(events.act, act), [shift], told, **QUIET)
    writes: tuple[tuple[Work, gr.Textbox], ...] = (("reply", parts.reply), ("note", parts.note))
    for write, box in writes:
        parts.buttons[write].click(partial(events.write, write), [shift, box], [box, *told], **QUIET)
    choices: tuple[tuple[Work, gr.Dropdown], ...] = (("transfer", parts.transfer), ("resolve", parts.resolve))
    for choice, value in choices:
        parts.buttons[choice].click(partial(events.choose, choice), [shift, value], told, **QUIET)
