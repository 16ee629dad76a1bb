"""Problem documents (RFC 9457), and the one outermost boundary that no failure passes."""

import logging
import secrets
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.errors import AssistantError, ConfigurationError, DependencyFailure, TokenExpired, TooManyAttempts
from assistant.types.value import TraceId, Value
from assistant.web.metrics import Metrics

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
LOCK_SECONDS = 15 * 60
"""How long verification stays locked after five wrong codes; what Retry-After says then."""


class Problem(Value):
    """What went wrong, for the caller: never more than they may know."""

    type: str
    title: str
    status: int
    detail: str
    trace_id: TraceId


def trace_of(connection: HTTPConnection) -> TraceId:
    """The trace id that the boundary gave this request."""
    return TraceId(connection.state.trace_id)


def problem_of(error: AssistantError, trace_id: TraceId) -> Problem:
    """The document of one of our own failures; what is behind a 5xx stays in the log."""
    if isinstance(error, ConfigurationError):
        log.error("%s, trace %s", error, trace_id)  # its message is about the set-up and holds nobody's words
        detail = "The server is not completely set up; /readyz and the log name what is missing."
    elif error.status >= 500:
        log.warning("%s from %s, trace %s", type(error).__name__, type(error.__cause__).__name__, trace_id)
        detail = "A part that this needs is not available now; try again shortly."
    else:
        detail = str(error)
    slug = error.title.lower().replace(" ", "-")
    return Problem(
        type=f"urn:assistant:problem:{slug}", title=error.title, status=error.status, detail=detail, trace_id=trace_id
    )


def http_problem(status: int, detail: str, trace_id: TraceId) -> Problem:
    """The document of a failure that the status code names well enough."""
    return Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail, trace_id=trace_id)


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The document as a response."""
    return Response(problem.model_dump_json(), problem.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every failure that the framework or the assistant raises with a problem document."""
    app.add_exception_handler(AssistantError, _on_assistant_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


async def _on_assistant_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AssistantError)
    headers = {}
    if isinstance(error, DependencyFailure):
        headers["Retry-After"] = "5"
    if isinstance(error, TooManyAttempts):
        headers["Retry-After"] = str(LOCK_SECONDS)
    if isinstance(error, TokenExpired):
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return answer(problem_of(error, trace_of(request)), headers)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is nothing at this address; /openapi.json lists what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = "This address does not take that method; see Allow."
    if error.status_code == HTTPStatus.BAD_REQUEST:
        detail = "The body is not JSON in UTF-8."
    return answer(http_problem(error.status_code, detail, trace_of(request)), error.headers)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return answer(http_problem(400, f"The body is not JSON: {faults[0]['ctx']['error']}.", trace_of(request)))
    detail = "; ".join(_fault(fault) for fault in faults[:5])
    return answer(http_problem(422, detail, trace_of(request)))


def _fault(fault: Mapping[str, Any]) -> str:
    """Where and why, without the value that was sent."""
    if tuple(fault["loc"]) == ("body",):
        return "body: send a JSON object with Content-Type: application/json"
    return f"{'.'.join(str(part) for part in fault['loc'])[:80]}: {fault['msg'][:200]}"


class Boundary:
    """The outermost layer: names every request, counts errors, and turns the unexpected into a bare 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace_id = TraceId(secrets.token_hex(16))
        scope.setdefault("state", {})["trace_id"] = trace_id
        started = False

        async def named_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (b"x-trace-id", trace_id.encode())]
                if message["status"] >= 400:
                    self._metrics.error(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, named_send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the one place where anything may arrive
            log.error("unexpected %s at %s, trace %s", type(error).__name__, _where(error), trace_id)
            if not started:
                problem = http_problem(500, "Something failed on our side; it is logged by its trace id.", trace_id)
                await answer(problem)(scope, receive, named_send)


def _where(error: Exception) -> str:
    """The call path without messages or values, which may hold what a customer wrote."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
