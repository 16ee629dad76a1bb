"""The HTTP API, put together: routes, limits, problem documents, headers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from assistant.compose import Application
from assistant.settings import Settings
from assistant.web import agent_api, customer_api, operations, problems
from assistant.web.security import BodyLimit, SecurityHeaders
from assistant.web.serving import Serving

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_PROBLEM_REF = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request cannot be served as it stands.", "content": _PROBLEM_REF},
    "5XX": {"description": "Something on this side is not available.", "content": _PROBLEM_REF},
    422: {"description": "A field is missing, unknown or out of range.", "content": _PROBLEM_REF},
}


class Api(FastAPI):
    """FastAPI with our problem document in its own description."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        document["components"]["schemas"]["Problem"] = problems.Problem.model_json_schema(mode="serialization")
        return document


def build(application: Application, lifespan: Lifespan) -> FastAPI:
    """The API alone, without pages."""
    serving = Serving.of(application)
    app = Api(
        title="Customer-service assistant",
        description="Cited answers, confirmed actions, and a human agent one call away.",
        version=version("assistant"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=lifespan,
        responses=_PROBLEMS,
        middleware=[
            Middleware(SecurityHeaders, frame_ancestors=application.settings.frame_ancestors),
            Middleware(problems.Boundary, metrics=serving.metrics),
            Middleware(BodyLimit),
        ],
    )
    app.state.serving = serving
    problems.install(app)
    app.include_router(customer_api.router)
    app.include_router(agent_api.router)
    app.include_router(operations.router)
    if gives_codes_away(application.settings):
        app.include_router(customer_api.sandbox)
    return app


def gives_codes_away(settings: Settings) -> bool:
    """Whether the sandbox outbox may be read: with both sandbox parts, on loopback or for a demonstration."""
    both = settings.code_sender == "sandbox" and settings.bank == "sandbox"
    return both and (settings.on_loopback or settings.demo)


@asynccontextmanager
async def no_pages(_app: FastAPI) -> AsyncIterator[None]:
    """The lifespan of an API without pages."""
    yield
