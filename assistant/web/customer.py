"""The customer's page: draws what the API says, and acts through it alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from starlette.types import ASGIApp

from assistant.types.value import Locale
from assistant.web.customer_events import CustomerEvents, header, verify_head
from assistant.web.labels import words
from assistant.web.wiring import LIVE, QUIET, READ_WORDS

STORAGE_KEY = "assistant-conversation"
# Only hides the session's token from a casual glance: the key travels with the page.
STORAGE_CIPHER = "assistant-web-page"


@dataclass(frozen=True)
class Parts:
    """The components that change after the page was drawn."""

    header: gr.HTML
    language: gr.Button
    human: gr.Button
    banner: gr.HTML
    chat: gr.Chatbot
    verify: gr.Column
    verify_head: gr.HTML
    phone: gr.Textbox
    send_code: gr.Button
    code: gr.Textbox
    submit_code: gr.Button
    outbox: gr.Button
    verify_note: gr.HTML
    proposal: gr.HTML
    status: gr.HTML
    box: gr.Textbox
    send: gr.Button
    taken: gr.Textbox
    returned: gr.Textbox
    wake: gr.HTML
    visit: gr.State
    saved: gr.BrowserState

    @property
    def shown(self) -> list[Any]:
        """What depends on the conversation."""
        return [self.chat, self.banner, self.verify, self.proposal]

    @property
    def talk(self) -> list[Any]:
        """What an act of the customer changes."""
        return [self.saved, self.send, self.status, *self.shown]

    @property
    def labelled(self) -> list[Any]:
        """What depends on the language alone."""
        return [
            self.header,
            self.language,
            self.human,
            self.chat,
            self.verify_head,
            self.phone,
            self.send_code,
            self.code,
            self.submit_code,
            self.outbox,
            self.box,
            self.send,
        ]


def page(api: Callable[[], ASGIApp], institution: dict[Locale, str], sandbox: bool) -> Any:
    """The page at `/`; `api` gives the application that answers `/api/v1`."""
    say = words("zh-CN")
    title = say("page_title", institution=institution["zh-CN"])
    with gr.Blocks(analytics_enabled=False, title=title, fill_width=True, fill_height=True) as blocks:
        parts = _layout(institution, sandbox)
        _wire(blocks, parts, CustomerEvents(api, institution))
    blocks.queue(default_concurrency_limit=None, api_open=False)
    return blocks


# --- what is drawn ----------------------------------------------------------------------------------------------------


def _layout(institution: dict[Locale, str], sandbox: bool) -> Parts:
    say = words("zh-CN")
    with gr.Row(elem_id="top", equal_height=True):
        head = gr.HTML(header(institution, "zh-CN"), elem_id="head", js_on_load=READ_WORDS)
        language = gr.Button(say("switch_language"), elem_id="language", size="sm", scale=0)
        human = gr.Button(say("human"), elem_id="human", size="sm", scale=0)
    banner = gr.HTML("", elem_id="banner", html_template=LIVE.format(id="banner-live"), js_on_load=None)
    chat = gr.Chatbot(
        value=[],
        elem_id="chat",
        label=say("conversation"),
        show_label=False,
        container=False,
        height=None,
        buttons=[],
        latex_delimiters=[],
        allow_file_downloads=False,
        group_consecutive_messages=False,
        allow_tags=False,
        layout="bubble",
    )
    verification = _verification(sandbox)
    proposal = gr.HTML("", elem_id="proposal", js_on_load=_TAPPED)
    status = gr.HTML("", elem_id="status", html_template=LIVE.format(id="status-live"), js_on_load=None)
    with gr.Row(elem_id="composer", equal_height=True):
        box = gr.Textbox(
            elem_id="box",
            label=say("message_label"),
            placeholder=say("message_placeholder"),
            lines=1,
            max_lines=5,
            container=False,
            autofocus=True,
            scale=1,
        )
        send = gr.Button(say("send"), elem_id="send", variant="primary", scale=0, min_width=88)
    return Parts(
        header=head,
        language=language,
        human=human,
        banner=banner,
        chat=chat,
        **verification,
        proposal=proposal,
        status=status,
        box=box,
        send=send,
        taken=gr.Textbox(visible="hidden", container=False),
        returned=gr.Textbox(visible="hidden", container=False),
        wake=gr.HTML("", elem_id="wake", js_on_load=_WAKE),
        visit=gr.State(None),
        saved=gr.BrowserState(None, storage_key=STORAGE_KEY, secret=STORAGE_CIPHER),
    )


def _verification(sandbox: bool) -> dict[str, Any]:
    say = words("zh-CN")
    with gr.Column(visible=False, elem_id="verify") as verify:
        head = gr.HTML(verify_head("zh-CN"), js_on_load=None)
        with gr.Row(equal_height=True):
            phone = gr.Textbox(label=say("verify_phone"), elem_id="phone", max_lines=1, html_attributes=_filled("tel"))
            send_code = gr.Button(say("verify_send"), elem_id="send-code", scale=0, min_width=132)
        with gr.Row(equal_height=True):
            code = gr.Textbox(
                label=say("verify_code"),
                elem_id="code",
                max_lines=1,
                html_attributes=_filled("one-time-code"),
            )
            submit = gr.Button(say("verify_submit"), elem_id="submit-code", variant="primary", scale=0, min_width=132)
        outbox = gr.Button(say("verify_outbox"), elem_id="outbox", size="sm", visible=sandbox)
        note = gr.HTML("", elem_id="verify-note", html_template=LIVE.format(id="verify-live"), js_on_load=None)
    return {
        "verify": verify,
        "verify_head": head,
        "phone": phone,
        "send_code": send_code,
        "code": code,
        "submit_code": submit,
        "outbox": outbox,
        "verify_note": note,
    }


def _filled(autocomplete: str) -> Any:
    return gr.InputHTMLAttributes(autocomplete=autocomplete, autocapitalize="off", spellcheck=False)


# --- what the page does in the browser --------------------------------------------------------------------------------

# A card that was tapped stays still for a while; the server would not do it twice anyway.
_TAPPED = """
element.addEventListener('click', (tap) => {
  const button = tap.target.closest('button[data-choice]');
  if (!button || button.disabled) return;
  const all = element.querySelectorAll('button[data-choice]');
  all.forEach((one) => { one.disabled = true; });
  setTimeout(() => all.forEach((one) => { one.disabled = false; }), 8000);
  trigger('submit', { ...button.dataset });
});
"""
# A phone that slept, or a network that was gone, has lost the live view: begin it anew.
_WAKE = """
let left = 0;
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'hidden') left = Date.now();
  else if (Date.now() - left > 20000) trigger('focus');
});
window.addEventListener('online', () => trigger('focus'));
"""
# Take exactly what was sent out of the box, whatever was typed meanwhile; the first line is a running number.
_TAKE = """
(taken, box) => {
  const sent = taken.slice(taken.indexOf('\\n') + 1);
  document.querySelector('#box textarea')?.focus();
  return box.startsWith(sent) ? box.slice(sent.length).replace(/^\\n/, '') : box;
}
"""
_GIVE_BACK = """
(returned, box) => {
  const unsent = returned.slice(returned.indexOf('\\n') + 1);
  return box.startsWith(unsent) ? box : unsent + box;
}
"""


# --- what happens when ------------------------------------------------------------------------------------------------


def _wire(blocks: gr.Blocks, parts: Parts, events: CustomerEvents) -> None:
    visit, everything = parts.visit, [parts.saved, parts.status, *parts.labelled, *parts.shown]
    begun = blocks.load(events.start, [parts.saved], [visit, *everything], **QUIET)
    begun.then(events.follow, [visit], parts.shown, **QUIET)
    parts.wake.focus(events.follow, [visit], parts.shown, **QUIET)
    parts.language.click(events.switch, [visit], everything, **QUIET)
    _wire_talk(parts, events)
    _wire_verification(parts, events)


def _wire_talk(parts: Parts, events: CustomerEvents) -> None:
    visit, box = parts.visit, parts.box
    sent = [parts.send.click, box.submit]
    gr.on(sent, events.say_typed, [visit, box], [parts.taken, parts.returned, *parts.talk], **QUIET)
    parts.taken.change(None, [parts.taken, box], [box], js=_TAKE, **QUIET)
    parts.returned.change(None, [parts.returned, box], [box], js=_GIVE_BACK, **QUIET)
    parts.chat.option_select(events.say_chosen, [visit], parts.talk, **QUIET)
    parts.chat.like(events.rate, [visit], [parts.status], **QUIET)
    parts.human.click(events.human, [visit], parts.talk, **QUIET)
    parts.proposal.submit(events.tap, [visit], parts.talk, **QUIET)


def _wire_verification(parts: Parts, events: CustomerEvents) -> None:
    visit, phone, code, note = parts.visit, parts.phone, parts.code, parts.verify_note
    gr.on([parts.send_code.click, phone.submit], events.send_code, [visit, phone], [note], **QUIET)
    proved = [parts.submit_code.click, code.submit]
    gr.on(proved, events.submit_code, [visit, code], [code, note, *parts.talk], **QUIET)
    parts.outbox.click(events.outbox, [visit], [note], **QUIET)
