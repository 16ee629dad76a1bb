"""Opening a conversation, recognising who may read it, and reading it."""

import hashlib
import secrets
from datetime import timedelta

from assistant.catalogue import Catalogue
from assistant.lanes import Lanes
from assistant.paging import all_events
from assistant.ports import Clock, OutboxItem, Store
from assistant.types.events import (
    AgentSaid,
    CaseChanged,
    Event,
    EventDraft,
    Rated,
    ReplySent,
    SessionOpened,
    TurnAccepted,
)
from assistant.types.messages import Channel, Said, Session
from assistant.types.value import Locale, MessageId, SessionId, TraceId
from assistant.types.views import CaseNews, OpenedSession, PublicEvent


def new_token(prefix: str) -> str:
    """A bearer token of 256 random bits; the prefix tells a leaked one's kind."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest_of(token: str) -> str:
    """What is stored in a token's place."""
    return hashlib.sha256(token.encode()).hexdigest()


class Sessions:
    """Conversations from outside a turn."""

    def __init__(self, store: Store, clock: Clock, catalogue: Catalogue, lanes: Lanes, life: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._catalogue = catalogue
        self._lanes = lanes
        self._life = life

    def open(self, locale: Locale, channel: Channel) -> OpenedSession:
        """A new conversation; its token is told once and stored as a digest."""
        now = self._clock.now()
        session = Session(
            session_id=SessionId(f"s_{secrets.token_urlsafe(16)}"), locale=locale, channel=channel, created_at=now
        )
        token = new_token("st")
        notice = self._catalogue.say("notice", locale)
        opened = self._draft(SessionOpened(notice=notice))
        self._store.create_session(session, digest_of(token), now + self._life, opened)
        return OpenedSession(
            session_id=session.session_id, session_token=token, notice=notice, expires_at=now + self._life
        )

    def authenticate(self, token: str) -> SessionId:
        """Whose token this is. Raises NotAllowed, TokenExpired."""
        return self._store.session_of_token(digest_of(token), self._clock.now())

    def events(self, session_id: SessionId, after: int = 0) -> tuple[PublicEvent, ...]:
        """What the customer may see, in order; reading is not writing."""
        while batch := self._store.events(session_id, after):
            views = tuple(view for view in map(public, batch) if view is not None)
            if views:
                return views
            after = batch[-1].seq
        return ()

    def all_events(self, session_id: SessionId) -> tuple[PublicEvent, ...]:
        """The whole conversation, however long."""
        return tuple(view for view in map(public, all_events(self._store, session_id)) if view is not None)

    def transcript(self, session_id: SessionId) -> str:
        """The conversation as plain text, one line a message, times in UTC."""
        return "\n".join(_line(event) for event in self.all_events(session_id) if event.type != "case")

    def rate(self, session_id: SessionId, message_id: MessageId | None, rating: "str | int", comment: str) -> None:
        """Keep a rating of one reply, or of the conversation where `message_id` is None."""
        body = Rated.model_validate({"message_id": message_id, "rating": rating, "comment": comment[:1000]})
        self._store.record(session_id, [self._draft(body)])

    def set_locale(self, session_id: SessionId, locale: Locale) -> None:
        """Speak this language from the next reply on."""
        with self._lanes.of(session_id):
            session = self._store.session(session_id)
            if session.locale != locale:
                changed = session.model_copy(update={"locale": locale, "version": session.version + 1})
                self._store.record(session_id, [], session=changed)

    def outbox(self, session_id: SessionId) -> tuple[OutboxItem, ...]:
        """What the sandbox sender delivered to this session."""
        return self._store.outbox(session_id)

    def _draft(self, body: SessionOpened | Rated) -> EventDraft:
        source = "customer" if isinstance(body, Rated) else "system"
        trace = TraceId(secrets.token_hex(8))
        return EventDraft(source=source, trace_id=trace, at=self._clock.now(), body=body)


def public(event: Event) -> PublicEvent | None:
    """The allow-listed face of an event; None where the customer sees nothing of it."""
    body = event.body
    if isinstance(body, TurnAccepted) and isinstance(body.turn.input, Said):
        return PublicEvent(seq=event.seq, type="customer_message", at=event.at, text=body.turn.input.text)
    if isinstance(body, ReplySent) and body.reply.outcome != "with_agent":
        reply = body.reply.model_copy(update={"seq": event.seq})
        return PublicEvent(seq=event.seq, type="reply", at=event.at, message_id=reply.message_id, reply=reply)
    if isinstance(body, AgentSaid):
        return PublicEvent(
            seq=event.seq,
            type="agent_message",
            at=event.at,
            message_id=body.message_id,
            text=body.text,
            agent_display_name=body.agent_display_name,
        )
    if isinstance(body, CaseChanged):
        news = CaseNews(
            case_id=body.case_id,
            status=body.status,
            what=body.what,
            priority=body.priority,
            agent_display_name=body.agent_display_name,
            mode=body.mode,
        )
        return PublicEvent(seq=event.seq, type="case", at=event.at, case=news)
    return None


def _line(event: PublicEvent) -> str:
    at = event.at.strftime("%Y-%m-%d %H:%M:%SZ")
    if event.type == "reply" and event.reply is not None:
        details = f"\n{event.reply.details}" if event.reply.details else ""
        return f"[{at}] AI: {event.reply.text}{details}"
    speaker = "客户 Customer" if event.type == "customer_message" else f"人工 {event.agent_display_name}"
    return f"[{at}] {speaker}: {event.text}"
