"""What a customer's browser or app may call. Every path below `/sessions/{session_id}` opens to its own token only."""

import secrets
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request
from pydantic import Field
from starlette.responses import PlainTextResponse, Response

from assistant.errors import InvalidInput
from assistant.ports import OutboxItem
from assistant.types.messages import Channel, Reply
from assistant.types.value import Locale, MessageId, ProposalId, Value
from assistant.types.views import OpenedSession, ProvedIdentity, PublicEvent
from assistant.web.fields import Key, Text
from assistant.web.problems import trace_of
from assistant.web.security import Anyone, Owner
from assistant.web.serving import Address, Shared, aside
from assistant.web.streams import LAST_SEQ, MEDIA_TYPE, LastEventId, stream_events, stream_turn

router = APIRouter(prefix="/api/v1", tags=["customer"])
sandbox = APIRouter(prefix="/api/v1", tags=["sandbox"])

_EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}


class NewSession(Value):
    """How the customer wants to be spoken to. Who they are is proved later, never claimed here."""

    locale: Locale = "zh-CN"
    channel: Channel = "api"
    identity_token: str | None = Field(None, description="Not configured here: anything but null is refused.")


class NewMessage(Value):
    """What the customer wrote: 1 to 2,000 characters."""

    text: Text
    client_message_id: Annotated[Key, Field(description="The caller's own key: the same key, the same Reply.")]


class Digest(Value):
    """The digest of the proposal as it was shown."""

    digest: Annotated[Text, Field(max_length=128)]


class PhoneNumber(Value):
    """Where the one-time code should go."""

    phone: Annotated[Text, Field(max_length=64)]


class Code(Value):
    """The one-time code as received."""

    code: Annotated[Text, Field(max_length=64)]


class HumanWanted(Value):
    """The customer wants a person."""

    client_message_id: Key | None = None


class Rating(Value):
    """What the customer thought of one reply, or of the conversation where `message_id` is null."""

    message_id: Key | None = None
    rating: Literal["up", "down"] | Annotated[int, Field(ge=1, le=5, strict=True)]
    comment: Annotated[Text, Field(max_length=1000)] = ""


class Language(Value):
    """The language of the replies from here on."""

    locale: Locale


class Accepted(Value):
    """The same for every number."""

    status: Literal["accepted"] = "accepted"


class Conversation(Value):
    """Events after a point, oldest first; `last_seq` is where to go on from."""

    messages: tuple[PublicEvent, ...]
    last_seq: int


class Outbox(Value):
    """The codes that the sandbox sender would have delivered."""

    codes: tuple[OutboxItem, ...]


# --- the session ------------------------------------------------------------------------------------------------------


@router.post("/sessions", status_code=201)
async def open_session(
    serving: Shared, address: Address, wish: Annotated[NewSession, Body()] = NewSession()
) -> OpenedSession:
    """Open a session; the token is shown once, and the notice is for the customer's eyes."""
    serving.sessions.take(address)
    if wish.identity_token is not None:
        raise InvalidInput(
            "identity_token: sign-on by the host site is not configured; open the session without it, "
            "and the customer proves who they are by a one-time code"
        )
    return await aside(serving.application.sessions.open, wish.locale, wish.channel)


@router.put("/sessions/{session_id}/locale", status_code=204)
async def set_locale(serving: Shared, owner: Owner, language: Language) -> None:
    """Speak this language from the next reply on."""
    serving.writes.take(owner.session_id)
    await aside(serving.application.sessions.set_locale, owner.session_id, language.locale)


# --- turns ------------------------------------------------------------------------------------------------------------


@router.post("/sessions/{session_id}/messages", response_model=Reply, responses=_EVENTS)
async def say(request: Request, serving: Shared, owner: Owner, message: NewMessage) -> Reply | Response:
    """Send a message; with `Accept: text/event-stream` the events `stage`, `sentence` and `reply` tell the answer."""
    serving.turns.take(owner.session_id)
    respond = partial(serving.application.assistant.respond, owner.session_id, message.text, message.client_message_id)
    if MEDIA_TYPE in request.headers.get("accept", "").lower():
        return await stream_turn(serving, respond, trace_of(request))
    return await serving.turn(respond)


@router.post("/sessions/{session_id}/proposals/{proposal_id}/confirm")
async def confirm(serving: Shared, owner: Owner, proposal_id: Key, shown: Digest) -> Reply:
    """Do what was proposed, once."""
    return await _tap(serving, owner, "confirm", proposal_id, shown)


@router.post("/sessions/{session_id}/proposals/{proposal_id}/cancel")
async def cancel(serving: Shared, owner: Owner, proposal_id: Key, shown: Digest) -> Reply:
    """Let the proposal go."""
    return await _tap(serving, owner, "cancel", proposal_id, shown)


async def _tap(
    serving: Shared, owner: Owner, choice: Literal["confirm", "cancel"], proposal_id: str, shown: Digest
) -> Reply:
    serving.turns.take(owner.session_id)
    assistant = serving.application.assistant
    return await serving.turn(partial(assistant.tap, owner.session_id, choice, ProposalId(proposal_id), shown.digest))


@router.post("/sessions/{session_id}/human")
async def human(serving: Shared, owner: Owner, wish: Annotated[HumanWanted, Body()] = HumanWanted()) -> Reply:
    """Hand the conversation to a person."""
    serving.writes.take(owner.session_id)
    key = wish.client_message_id or f"human:{secrets.token_hex(8)}"
    return await serving.turn(partial(serving.application.assistant.ask_human, owner.session_id, key))


# --- proving who one is -----------------------------------------------------------------------------------------------


@router.post("/sessions/{session_id}/verification", status_code=202)
async def request_code(serving: Shared, owner: Owner, address: Address, number: PhoneNumber) -> Accepted:
    """Send a one-time code where the number is a customer's; the answer is the same where it is not."""
    serving.writes.take(owner.session_id)
    await aside(serving.application.verification.request, owner.session_id, number.phone, address)
    return Accepted()


@router.post("/sessions/{session_id}/verification/confirm")
async def confirm_code(serving: Shared, owner: Owner, code: Code) -> ProvedIdentity:
    """Check the code; right: the old token is void, and the open request is served in `reply`."""
    serving.writes.take(owner.session_id)
    return await serving.proof(partial(serving.application.verification.confirm, owner.session_id, code.code))


# --- reading ----------------------------------------------------------------------------------------------------------


@router.get("/sessions/{session_id}/messages")
async def messages(serving: Shared, owner: Owner, after: Annotated[int, Query(ge=0, le=LAST_SEQ)] = 0) -> Conversation:
    """What was said after a point of the conversation."""
    found = await aside(serving.application.sessions.events, owner.session_id, after=after)
    return Conversation(messages=found, last_seq=found[-1].seq if found else after)


@router.get("/sessions/{session_id}/events", response_class=Response, responses=_EVENTS)
async def events(request: Request, serving: Shared, owner: Owner, last_event_id: LastEventId = 0) -> Response:
    """The live view: what happens from `Last-Event-ID` on, as it happens."""
    return stream_events(serving, owner, last_event_id, trace_of(request))


@router.get("/sessions/{session_id}/transcript", response_class=PlainTextResponse)
async def transcript(serving: Shared, owner: Owner) -> Response:
    """The conversation as a text file."""
    text = await aside(serving.application.sessions.transcript, owner.session_id)
    return PlainTextResponse(text, headers={"Content-Disposition": 'attachment; filename="transcript.txt"'})


@router.post("/sessions/{session_id}/feedback", status_code=204)
async def feedback(serving: Shared, owner: Owner, rating: Rating) -> None:
    """Rate a reply or the conversation."""
    serving.writes.take(owner.session_id)
    rate = serving.application.sessions.rate
    message_id = None if rating.message_id is None else MessageId(rating.message_id)
    await aside(rate, owner.session_id, message_id, rating.rating, rating.comment)


@sandbox.get("/sandbox/outbox")
async def outbox(serving: Shared, token_holder: Anyone) -> Outbox:
    """The one-time codes of the caller's session, which the sandbox sender sends nowhere else."""
    return Outbox(codes=await aside(serving.application.sessions.outbox, token_holder.session_id))
