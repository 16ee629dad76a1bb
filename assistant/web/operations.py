"""What operations call: alive, ready, counters, and the documentation page."""

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from assistant.types.value import TraceId, Value
from assistant.web import docs
from assistant.web.problems import Problem, answer, trace_of
from assistant.web.serving import Shared, aside

router = APIRouter(tags=["operations"])


class Alive(Value):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Alive):
    """Every part is there."""

    parts: dict[str, str]


class NotReady(Problem):
    """The problem document of a server that lacks something: each part with `ok` or what to do about it."""

    type: str = "urn:assistant:problem:not-ready"
    title: str = "Not ready"
    status: int = 503
    trace_id: TraceId
    parts: dict[str, str]


@router.get("/healthz")
async def healthz() -> Alive:
    """The process answers; restart it where it does not."""
    return Alive()


@router.get("/readyz", response_model=Ready)
async def readyz(request: Request, serving: Shared) -> Ready | Response:
    """Whether turns can be served; 503 names what is missing and the remedy."""
    parts = await aside(serving.application.readiness)
    missing = {part: state for part, state in parts.items() if state != "ok"}
    if not missing:
        return Ready(parts=parts)
    detail = "; ".join(f"{part}: {state}" for part, state in missing.items())
    return answer(NotReady(detail=detail, trace_id=trace_of(request), parts=parts), {"Retry-After": "5"})


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(serving: Shared) -> Response:
    """Counters of this process for Prometheus."""
    text = serving.metrics.render(serving.streams.total)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/docs", include_in_schema=False)
async def docs_page(request: Request) -> HTMLResponse:
    """The OpenAPI document for reading, without a script or a request elsewhere."""
    return HTMLResponse(docs.page(request.app.openapi()), headers={"Content-Security-Policy": docs.POLICY})
