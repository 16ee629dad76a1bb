"""Who may call what, what a browser may do with the answer, and how much may be sent."""

import asyncio
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.errors import NotAllowed, TokenExpired
from assistant.types.cases import Agent
from assistant.types.value import SessionId
from assistant.web.problems import answer, http_problem, trace_of
from assistant.web.serving import Serving, Shared, aside

AGENT_COOKIE = "assistant_agent"
API_PREFIX = "/api/"
MAX_API_BODY = 64 * 1024
MAX_PAGE_BODY = 1024 * 1024
"""The pages' own requests carry their state along."""
BODY_SECONDS = 30
DRAINED = 4 * 1024 * 1024
"""An over-long body is read and dropped up to here, so that its sender gets to see the answer."""

# --- who is calling ---------------------------------------------------------------------------------------------------

_customer_bearer = HTTPBearer(auto_error=False, scheme_name="session", description="The session's token.")
_agent_bearer = HTTPBearer(auto_error=False, scheme_name="agent", description="The token of an agent's login.")
CustomerToken = Annotated[HTTPAuthorizationCredentials | None, Depends(_customer_bearer)]
AgentToken = Annotated[HTTPAuthorizationCredentials | None, Depends(_agent_bearer)]


class Unauthenticated(HTTPException):
    """Who is calling is not known."""

    def __init__(self, detail: str) -> None:
        super().__init__(401, detail, {"WWW-Authenticate": "Bearer"})


@dataclass(frozen=True)
class Caller:
    """A customer's browser that holds the token of its session."""

    session_id: SessionId
    token: str


async def session_of(serving: Serving, token: str) -> SessionId:
    """The session that a token opens now. Raises TokenExpired; Unauthenticated for one that opens nothing."""
    try:
        return await aside(serving.application.sessions.authenticate, token)
    except TokenExpired:
        raise
    except NotAllowed as error:
        raise Unauthenticated("The session's token is not valid (any more).") from error


async def caller(serving: Shared, credentials: CustomerToken) -> Caller:
    """The session that the bearer token opens."""
    if credentials is None:
        raise Unauthenticated("Send the session's token as `Authorization: Bearer`.")
    return Caller(await session_of(serving, credentials.credentials), credentials.credentials)


async def own_session(session_id: str, token_holder: Annotated[Caller, Depends(caller)]) -> Caller:
    """The caller, where the path names their own session; any other session looks as if it did not exist."""
    if token_holder.session_id != session_id:
        raise NotAllowed("The token does not open this session.")
    return token_holder


async def current_agent(request: Request, serving: Shared, credentials: AgentToken) -> Agent:
    """The agent who is logged in, by bearer token or by the console's cookie."""
    token = agent_token(request, credentials)
    if token is None:
        raise Unauthenticated("Log in at /api/v1/agent/login and send the token as `Authorization: Bearer`.")
    try:
        return await aside(serving.application.desk.agent_of, token)
    except TokenExpired:
        raise
    except NotAllowed as error:
        raise Unauthenticated("The login is not valid (any more).") from error


def agent_token(request: Request, credentials: HTTPAuthorizationCredentials | None) -> str | None:
    """The login's token. A cookie counts only where no other site's page can have sent the request."""
    if credentials is not None:
        return credentials.credentials
    token = request.cookies.get(AGENT_COOKIE)
    origin = request.headers.get("origin")
    if token and origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise NotAllowed("The request comes from another site's page.")
    return token


Anyone = Annotated[Caller, Depends(caller)]
Owner = Annotated[Caller, Depends(own_session)]
LoggedIn = Annotated[Agent, Depends(current_agent)]


# --- what a browser may do --------------------------------------------------------------------------------------------

_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# Gradio draws with inline scripts and styles and compiles templates; nothing may come from or go to anywhere else.
_PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {framers}"
)


class SecurityHeaders:
    """Adds to every response what browsers need to be told; a header that a response sets itself is kept."""

    def __init__(self, app: ASGIApp, frame_ancestors: str) -> None:
        self._app = app
        self._customer_page = _PAGE_POLICY.format(framers=frame_ancestors)
        self._console = _PAGE_POLICY.format(framers="'none'")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = self._headers(scope["path"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _headers(self, path: str) -> dict[str, str]:
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        }
        if path.startswith(API_PREFIX):
            return headers | {"Content-Security-Policy": _API_POLICY, "Cache-Control": "no-store"}
        in_console = path == "/agent" or path.startswith("/agent/")
        return headers | {"Content-Security-Policy": self._console if in_console else self._customer_page}


# --- how much may be sent ---------------------------------------------------------------------------------------------


class BodyLimit:
    """Reads the body before anyone works on it, and refuses one that is too large or too slow, whatever it claims."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_API_BODY if scope["path"].startswith(API_PREFIX) else MAX_PAGE_BODY
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(receive, limit)
        except TimeoutError:
            await _refuse(408, f"The body did not arrive within {BODY_SECONDS} s.", scope, receive, send)
            return
        if body is None:
            return
        if len(body) > limit:
            await _refuse(413, f"The body is larger than {limit // 1024} KiB.", scope, receive, send)
            return
        unread = True

        async def replay() -> Message:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self._app(scope, replay, send)


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The body, cut shortly after the limit; None where the sender went away."""
    body = bytearray()
    dropped = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        if len(body) <= limit:
            body += chunk
        else:
            dropped += len(chunk)
        if not message.get("more_body", False) or dropped > DRAINED:
            return bytes(body)


async def _refuse(status: int, detail: str, scope: Scope, receive: Receive, send: Send) -> None:
    response = answer(http_problem(status, detail, trace_of(Request(scope))), {"Connection": "close"})
    await response(scope, receive, send)
