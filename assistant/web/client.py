"""Our own HTTP API, called in this process: what the pages act through, with the same doors and the same no."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Literal, NamedTuple, TypeVar

import httpx
from pydantic import TypeAdapter
from starlette.types import ASGIApp, Message, Scope

from assistant.ports import OutboxItem
from assistant.types.cases import Agent, Case
from assistant.types.messages import Reply
from assistant.types.value import CaseId, Locale, MessageId, ProposalId, SessionId, Value
from assistant.types.views import (
    CaseDetail,
    CasePage,
    DeskSummary,
    InsightPage,
    OpenedSession,
    ProvedIdentity,
    PublicEvent,
)

V = TypeVar("V", bound=Value)

PREFIX = "/api/v1"
TURN_SECONDS = 60.0
"""How long a page waits for one answer; live views wait for ever."""

_EVENTS: TypeAdapter[tuple[PublicEvent, ...]] = TypeAdapter(tuple[PublicEvent, ...])
_CODES: TypeAdapter[tuple[OutboxItem, ...]] = TypeAdapter(tuple[OutboxItem, ...])


class Refused(Exception):
    """The API said no; `status`, `title` and `detail` are those of its problem document."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail


class Pushed(NamedTuple):
    """One server-sent event."""

    event: str
    data: str


# --- the way in -------------------------------------------------------------------------------------------------------


class InProcess(httpx.AsyncBaseTransport):
    """Hands requests to an ASGI application and the body back as it is written; httpx's own waits for its end."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self._app = app
        self._address = address

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One exchange. Closing the response tells the application that the caller has gone."""
        exchange = _Exchange(await request.aread())
        exchange.run(self._app, self._scope(request))
        try:
            status, headers = await exchange.started
        except BaseException:
            await exchange.aclose()  # whoever waited has been cancelled: nobody else would end it
            raise
        return httpx.Response(status, headers=headers, stream=exchange)

    def _scope(self, request: httpx.Request) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.split(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": (self._address, 0),
            "server": (request.url.host, request.url.port or 80),
        }


class _Exchange(httpx.AsyncByteStream):
    """One request under way."""

    def __init__(self, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]] = loop.create_future()
        self._body: bytes | None = body
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def run(self, app: ASGIApp, scope: Scope) -> None:
        """Let the application answer beside us."""
        self._task = asyncio.create_task(self._serve(app, scope))

    async def _serve(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            self._chunks.put_nowait(None)
            if not self.started.done():
                self.started.set_exception(httpx.RemoteProtocolError("the application sent no answer"))

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started.set_result((message["status"], list(message["headers"])))
        elif message.get("body"):
            self._chunks.put_nowait(message["body"])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk

    async def aclose(self) -> None:
        """The caller has gone; wait until the application has noticed."""
        self._gone.set()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task


class Caller:
    """One browser's way into the API, under its own address."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self._http = httpx.AsyncClient(
            transport=InProcess(app, address), base_url="http://127.0.0.1", trust_env=False, timeout=TURN_SECONDS
        )

    async def call(self, method: str, path: str, token: str | None, body: Any = None) -> httpx.Response:
        """One exchange. Raises Refused where the answer is not a success, or none came in time."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            async with asyncio.timeout(TURN_SECONDS):
                response = await self._http.request(method, f"{PREFIX}{path}", json=body, headers=headers)
        except (TimeoutError, httpx.TransportError) as error:
            raise Refused(504, "No answer", str(error)) from error
        if response.is_success:
            return response
        raise _refusal(response.status_code, response.content)

    async def listen(
        self, method: str, path: str, token: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> AsyncIterator[Pushed | None]:
        """The events of one answer; None is a heartbeat. Raises Refused, also for an `error` event."""
        wanted = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}", **(headers or {})}
        async with self._http.stream(method, f"{PREFIX}{path}", json=body, headers=wanted) as response:
            if not response.is_success:
                raise _refusal(response.status_code, await response.aread())
            event, data = "", ""
            async for line in response.aiter_lines():
                if line.startswith("event:"):
                    event = line[6:].strip()
                elif line.startswith("data:"):
                    data += line[5:].strip()
                elif not line and event == "error":
                    raise _refusal(500, data.encode())
                elif not line:
                    yield Pushed(event, data) if event else None
                    event, data = "", ""


def _refusal(status: int, content: bytes) -> Refused:
    try:
        problem = json.loads(content)
        return Refused(int(problem["status"]), str(problem["title"]), str(problem["detail"]))
    except (ValueError, KeyError, TypeError):
        return Refused(status, "No answer", "the answer is no problem document")


# --- what customers do ------------------------------------------------------------------------------------------------


class CustomerApi:
    """The customer's part of the API; `token` is the one that opens the session now."""

    def __init__(self, caller: Caller, session_id: SessionId, token: str) -> None:
        self._caller = caller
        self.session_id = session_id
        self.token = token

    @classmethod
    async def open(cls, caller: Caller, locale: Locale) -> tuple["CustomerApi", str]:
        """A new session, and its notice."""
        response = await caller.call("POST", "/sessions", None, {"locale": locale, "channel": "web"})
        opened = OpenedSession.model_validate_json(response.content)
        return cls(caller, opened.session_id, opened.session_token), opened.notice

    async def _post(self, path: str, body: Any = None) -> httpx.Response:
        return await self._caller.call("POST", f"/sessions/{self.session_id}{path}", self.token, body)

    async def events(self, after: int) -> tuple[PublicEvent, ...]:
        """What was said after a point of the conversation."""
        path = f"/sessions/{self.session_id}/messages?after={after}"
        response = await self._caller.call("GET", path, self.token)
        return _EVENTS.validate_python(_part(response, "messages"))

    async def live(self, after: int) -> AsyncIterator[PublicEvent | None]:
        """What happens after a point, as it happens; None is a heartbeat."""
        path, headers = f"/sessions/{self.session_id}/events", {"Last-Event-ID": str(after)}
        async for pushed in self._caller.listen("GET", path, self.token, headers=headers):
            yield None if pushed is None else PublicEvent.model_validate_json(pushed.data)

    async def say(self, text: str, key: str) -> AsyncIterator[Pushed]:
        """`stage`, `sentence` and `reply` as the answer comes about."""
        path, body = f"/sessions/{self.session_id}/messages", {"text": text, "client_message_id": key}
        async for pushed in self._caller.listen("POST", path, self.token, body):
            if pushed is not None:
                yield pushed

    async def tap(self, choice: Literal["confirm", "cancel"], proposal_id: ProposalId, digest: str) -> Reply:
        """Press a button of the confirmation card."""
        response = await self._post(f"/proposals/{proposal_id}/{choice}", {"digest": digest})
        return Reply.model_validate_json(response.content)

    async def human(self, key: str) -> Reply:
        """Ask for a person."""
        response = await self._post("/human", {"client_message_id": key})
        return Reply.model_validate_json(response.content)

    async def request_code(self, phone: str) -> None:
        """Ask for a one-time code."""
        await self._post("/verification", {"phone": phone})

    async def confirm_code(self, code: str) -> None:
        """Prove who one is; the token is replaced."""
        response = await self._post("/verification/confirm", {"code": code})
        self.token = ProvedIdentity.model_validate_json(response.content).session_token

    async def outbox(self) -> tuple[OutboxItem, ...]:
        """What the sandbox sender delivered to this session."""
        response = await self._caller.call("GET", "/sandbox/outbox", self.token)
        return _CODES.validate_python(_part(response, "codes"))

    async def rate(self, message_id: MessageId, rating: Literal["up", "down"]) -> None:
        """Thumbs."""
        await self._post("/feedback", {"message_id": message_id, "rating": rating})

    async def set_locale(self, locale: Locale) -> None:
        """The language of replies from here on."""
        path = f"/sessions/{self.session_id}/locale"
        await self._caller.call("PUT", path, self.token, {"locale": locale})


def _part(response: httpx.Response, name: str) -> Any:
    return json.loads(response.content)[name]


# --- what agents do ---------------------------------------------------------------------------------------------------

Work = Literal["claim", "release", "reply", "note", "transfer", "resolve", "hand_back"]


class AgentApi:
    """The agents' part of the API, under one login."""

    def __init__(self, caller: Caller, token: str) -> None:
        self._caller = caller
        self.token = token

    async def _get(self, path: str, shape: type[V]) -> V:
        response = await self._caller.call("GET", path, self.token)
        return shape.model_validate_json(response.content)

    async def me(self) -> Agent:
        """Who is logged in."""
        return await self._get("/agent/me", Agent)

    async def cases(self, status: str, queue: str) -> CasePage:
        """The first page of the queue; empty filters mean all."""
        return await self._get(f"/cases?status={status}&queue={queue}", CasePage)

    async def case(self, case_id: CaseId) -> CaseDetail:
        """A case with its conversation."""
        return await self._get(f"/cases/{case_id}", CaseDetail)

    async def summary(self) -> DeskSummary:
        """Counts over the queue."""
        return await self._get("/metrics/summary", DeskSummary)

    async def insights(self) -> InsightPage:
        """What the policies left unanswered in the last 30 days."""
        return await self._get("/insights?limit=50", InsightPage)

    async def work(self, what: Work, case_id: CaseId, version: int, **more: str) -> Case:
        """One change of a case that was read at `version`."""
        response = await self._caller.call("POST", f"/cases/{case_id}/{what}", self.token, {"version": version, **more})
        return Case.model_validate_json(response.content)

    async def logout(self) -> None:
        """End the login."""
        await self._caller.call("POST", "/agent/logout", self.token)
