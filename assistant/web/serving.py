"""What the endpoints share: the application, its limits and counters, and the lane that turns run in."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request

from assistant.compose import Application
from assistant.types.messages import Reply
from assistant.types.value import SessionId
from assistant.types.views import ProvedIdentity
from assistant.web.limits import TokenBuckets
from assistant.web.metrics import Metrics

P = ParamSpec("P")
T = TypeVar("T")

TURN_LANE = 4
"""Turns at once. More threads than this gain nothing on a few cores, and live views and health must stay responsive."""
LOGINS_PER_MINUTE = 10
STREAMS_PER_SESSION = 8
HEARTBEAT_SECONDS = 15.0


class OpenStreams:
    """Live views by session; used on the event loop only."""

    def __init__(self) -> None:
        self._open: Counter[SessionId] = Counter()

    def refuse_one_too_many(self, session_id: SessionId) -> None:
        """Raises a 429 where the session has as many as it may have."""
        if self._open[session_id] >= STREAMS_PER_SESSION:
            detail = f"The session has {STREAMS_PER_SESSION} live views already."
            raise HTTPException(429, detail, headers={"Retry-After": "5"})

    @contextmanager
    def counted(self, session_id: SessionId) -> Iterator[None]:
        """Count one live view while it lasts."""
        self._open[session_id] += 1
        try:
            yield
        finally:
            self._open[session_id] -= 1
            if not self._open[session_id]:
                del self._open[session_id]

    @property
    def total(self) -> int:
        """All live views."""
        return self._open.total()


@dataclass(frozen=True)
class Serving:
    """One web application's shared parts."""

    application: Application
    metrics: Metrics
    turns: TokenBuckets
    sessions: TokenBuckets
    logins: TokenBuckets
    writes: TokenBuckets
    """A session's writes that are not turns of speech; a person can be asked for when the turns are used up."""
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    streams: OpenStreams = field(default_factory=OpenStreams)
    lane: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(TURN_LANE))

    @classmethod
    def of(cls, application: Application) -> "Serving":
        """Limits as the settings say."""
        settings = application.settings
        return cls(
            application=application,
            metrics=Metrics(),
            turns=TokenBuckets(settings.turns_per_minute),
            sessions=TokenBuckets(settings.sessions_per_minute),
            logins=TokenBuckets(LOGINS_PER_MINUTE),
            writes=TokenBuckets(settings.turns_per_minute),
        )

    async def turn(self, call: Callable[[], Reply]) -> Reply:
        """Run one turn in the lane; it is finished even where the caller has gone."""
        began = time.perf_counter()
        reply = await anyio.to_thread.run_sync(call, limiter=self.lane)
        self.metrics.turn(reply.outcome, time.perf_counter() - began)
        return reply

    async def proof(self, call: Callable[[], ProvedIdentity]) -> ProvedIdentity:
        """Run the check of a code in the lane: where it is right, it is a turn."""
        began = time.perf_counter()
        proved = await anyio.to_thread.run_sync(call, limiter=self.lane)
        self.metrics.turn(proved.reply.outcome, time.perf_counter() - began)
        return proved


async def aside(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a short blocking call outside the turn lane."""
    return await anyio.to_thread.run_sync(lambda: call(*args, **kwargs))


def serving_of(request: Request) -> Serving:
    """The shared parts of the application that serves this request."""
    serving = request.app.state.serving
    assert isinstance(serving, Serving)
    return serving


def address_of(request: Request) -> str:
    """Where the request comes from, for limits by address."""
    return request.client.host if request.client else "unknown"


Shared = Annotated[Serving, Depends(serving_of)]
Address = Annotated[str, Depends(address_of)]
