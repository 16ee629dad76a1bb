"""From the events of a session to what the customer's page shows. Pure: the same events give the same screen."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from assistant.types.messages import Choice, ProposalView
from assistant.types.value import Locale, MessageId
from assistant.types.views import PublicEvent
from assistant.web import cards
from assistant.web.labels import words

_EXAMPLES = ("example_fee", "example_bill", "example_limit", "example_settle")


@dataclass(frozen=True)
class Line:
    """One message of the conversation; `message_id` where it can be rated."""

    mine: bool
    html: str
    message_id: MessageId | None = None


@dataclass
class Draft:
    """A turn under way: the customer's words, and what is known of the answer so far."""

    text: str
    after: int
    stage: str
    sentences: str = ""


@dataclass(frozen=True)
class Screen:
    """Everything on the page that depends on the conversation."""

    lines: tuple[Line, ...]
    choices: tuple[Choice, ...]
    banner: str
    wants_verification: bool
    proposal: ProposalView | None


@dataclass
class _Wheel:
    """Who answers: an agent, nobody yet, or the assistant."""

    agent: str | None = None
    waiting: bool = False
    position: int | None = None

    def turn(self, event: PublicEvent) -> None:
        if event.reply is not None and event.reply.case is not None and self.agent is None:
            self.waiting, self.position = True, event.reply.case.queue_position
        if event.case is None:
            return
        self.agent = event.case.agent_display_name if event.case.mode == "manual" else None
        self.waiting = event.case.status != "resolved" and self.agent is None and event.case.what != "handed_back"
        if event.case.what in ("released", "transferred"):
            self.position = None


@dataclass
class _Page:
    """The lines so far and what the last reply left open."""

    locale: Locale
    lines: list[Line] = field(default_factory=list)
    wheel: _Wheel = field(default_factory=_Wheel)
    choices: tuple[Choice, ...] = ()
    wants_verification: bool = False
    proposal: ProposalView | None = None

    def add(self, event: PublicEvent) -> None:
        self.wheel.turn(event)
        if event.type == "customer_message":
            self.lines.append(Line(True, cards.customer_message(event.text or "", event.at, self.locale)))
            self.choices = ()
        elif event.reply is not None:
            reply = event.reply
            if reply.text or reply.receipt:
                html = cards.assistant_message(reply, event.at, self.locale)
                self.lines.append(Line(False, html, reply.message_id))
            self.choices = reply.choices
            self.wants_verification = reply.outcome == "awaiting_verification"
            self.proposal = reply.proposal if reply.outcome == "awaiting_confirmation" else None
        elif event.type == "agent_message":
            html = cards.agent_message(event.agent_display_name or "", event.text or "", event.at, self.locale)
            self.lines.append(Line(False, html, event.message_id))
            self.choices = ()
        elif event.case is not None and (line := cards.case_line(event.case, self.locale)):
            self.lines.append(Line(False, line))


def screen(notice: str, events: Sequence[PublicEvent], draft: Draft | None, locale: Locale) -> Screen:
    """What to show after these events, with a turn under way or not."""
    page = _Page(locale)
    page.lines.append(Line(False, cards.notice(notice, locale)))
    if not events:
        say = words(locale)
        page.choices = tuple(Choice(label=say(key), message=say(key)) for key in _EXAMPLES)
    for event in events:
        page.add(event)
    if draft is not None:
        if not any(event.type == "customer_message" and event.seq > draft.after for event in events):
            page.lines.append(Line(True, cards.customer_message(draft.text, None, locale)))
        if not any(event.type == "reply" and event.seq > draft.after for event in events):
            page.lines.append(Line(False, cards.draft_message(draft.sentences, draft.stage, locale)))
        page.choices = ()
    wheel = page.wheel
    return Screen(
        lines=tuple(page.lines),
        choices=page.choices,
        banner=cards.banner(wheel.agent, wheel.waiting, wheel.position, locale),
        wants_verification=page.wants_verification and draft is None,
        proposal=page.proposal if draft is None else None,
    )
