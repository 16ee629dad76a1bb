"""Server-sent events: one turn told step by step, and the live view of a session."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from typing import Annotated

import anyio
from fastapi import Header
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from assistant.errors import AssistantError
from assistant.types.messages import Reply
from assistant.types.value import TraceId, Value
from assistant.web.problems import http_problem, problem_of
from assistant.web.security import Caller, Unauthenticated, session_of
from assistant.web.serving import Serving, aside

MEDIA_TYPE = "text/event-stream"
LAST_SEQ = 2**53 - 1
"""The largest number that every JSON reader keeps exact."""

_SENTENCE = re.compile(r".*?(?:[。！？!?\n]+[”’」』）)\"']*\s*|\.(?:\s+|$)|$)", re.DOTALL)
_HEADERS = {"X-Accel-Buffering": "no"}

LastEventId = Annotated[int, Header(alias="Last-Event-ID", ge=0, le=LAST_SEQ)]


class EventStream(StreamingResponse):
    """An event stream that ends, and lets go of what it holds, as soon as its reader is gone."""

    media_type = MEDIA_TYPE

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        super().__init__(events, headers=_HEADERS)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's own shape
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                await self.listen_for_disconnect(receive)
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            try:
                await self.stream_response(send)
            finally:
                await self._events.aclose()
            tasks.cancel_scope.cancel()


class StageNews(Value):
    """Data of a `stage` event."""

    stage: str


class SentenceNews(Value):
    """Data of a `sentence` event."""

    text: str


def sentences(text: str) -> list[str]:
    """The text cut after each sentence; joined again it is the text."""
    return [sentence for sentence in _SENTENCE.findall(text) if sentence]


def _event(name: str, data: Value, seq: int | None = None) -> bytes:
    return format_sse_event(event=name, data_str=data.model_dump_json(), id=None if seq is None else str(seq))


# --- one turn ---------------------------------------------------------------------------------------------------------

_running: set[asyncio.Task[None]] = set()
"""Turns whose caller may have gone: a task that nobody holds could be collected before it ends."""


async def stream_turn(
    serving: Serving, respond: Callable[[Callable[[str], None]], Reply], trace_id: TraceId
) -> EventStream:
    """Stages as they are reached, then the checked reply sentence by sentence, then whole.

    What fails before the first stage is raised, for an ordinary answer with its own status.
    """
    steps: asyncio.Queue[str | Reply | Exception] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def on_stage(stage: str) -> None:
        loop.call_soon_threadsafe(steps.put_nowait, stage)

    async def run() -> None:
        try:
            steps.put_nowait(await serving.turn(lambda: respond(on_stage)))
        except Exception as error:  # noqa: BLE001 - handed over to the reader, who raises it
            steps.put_nowait(error)

    task = asyncio.create_task(run())
    _running.add(task)
    task.add_done_callback(_running.discard)
    first = await steps.get()
    if isinstance(first, Exception):
        raise first
    return EventStream(_turn_events(first, steps, trace_id))


async def _turn_events(
    first: str | Reply, steps: "asyncio.Queue[str | Reply | Exception]", trace_id: TraceId
) -> AsyncGenerator[bytes]:
    step: str | Reply | Exception = first
    while isinstance(step, str):
        yield _event("stage", StageNews(stage=step))
        step = await steps.get()
    if isinstance(step, AssistantError):
        yield _event("error", problem_of(step, trace_id))
        return
    if isinstance(step, Exception):
        raise step
    for sentence in sentences(step.text):
        yield _event("sentence", SentenceNews(text=sentence))
    yield _event("reply", step, step.seq)


# --- the live view ----------------------------------------------------------------------------------------------------


def stream_events(serving: Serving, caller: Caller, after: int, trace_id: TraceId) -> EventStream:
    """What happens in the caller's session from `after` on, for as long as their token opens it."""
    serving.streams.refuse_one_too_many(caller.session_id)
    return EventStream(_live_view(serving, caller, after, trace_id))


async def _live_view(serving: Serving, caller: Caller, after: int, trace_id: TraceId) -> AsyncGenerator[bytes]:
    sessions = serving.application.sessions
    with serving.streams.counted(caller.session_id), serving.application.signals.listen(caller.session_id) as news:
        yield format_sse_event(retry=2000)
        try:
            while True:
                # Every time anew: a rotated token must not read what is written after it.
                await session_of(serving, caller.token)
                while batch := await aside(sessions.events, caller.session_id, after=after):
                    for event in batch:
                        yield _event(event.type, event, event.seq)
                        after = event.seq
                if not await news.wait(serving.heartbeat_seconds):
                    yield format_sse_event(comment="heartbeat")
        except Unauthenticated as error:
            yield _event("error", http_problem(error.status_code, error.detail, trace_id))
        except AssistantError as error:
            yield _event("error", problem_of(error, trace_id))
