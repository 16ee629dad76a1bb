"""The web application: the API first, and the pages wherever the API has nothing."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.responses import RedirectResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.compose import Application
from assistant.web import api
from assistant.web.security import API_PREFIX

# What a page needs of Gradio to be drawn. Everything else that it brings (uploads, files by path, a proxy, calls by
# name, run history, an editor) is answered as if it did not exist.
_GRADIO = re.compile(r"(?:/agent)?/gradio_api/(?:queue/(?:join|data)|heartbeat/\w+|cancel|reset|startup-events)")
_PRIVATE = ("gradio_api", "monitoring")


def create_app(application: Application, pages: bool = True) -> FastAPI:
    """Everything that `assistant serve` serves; the application is closed by who composed it."""
    if not pages:
        return api.build(application, api.no_pages)
    # The pages live in an application of their own behind the router's default. Mounted at "/" among the API's routes
    # they would also catch its wrong methods and unknown paths, and answer them with pages.
    front = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    _draw(front, application)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with front.router.lifespan_context(front):
            yield

    app = api.build(application, lifespan)
    app.router.default = _page_or_nothing(front, app.router.default)
    app.state.pages = front
    front.state.api = app  # the pages act through the API alone
    return app


def _draw(front: FastAPI, application: Application) -> None:
    from assistant.web import pages  # gradio takes seconds to import

    async def draw() -> None:
        pages.mount(front, application)

    # Where no event loop runs, Gradio makes one for each of its locks and never closes it.
    asyncio.run(draw())


def _page_or_nothing(front: FastAPI, nothing: ASGIApp) -> ASGIApp:
    """Where a request goes that the API has no route for."""
    # A mount answers below its path only, and the one at "/" would take the bare path for a page of its own.
    mounted = {route.path for route in front.routes if isinstance(route, Mount) and route.path}

    async def page_or_nothing(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] != "http" or path.startswith(API_PREFIX) or not _is_drawn(path):
            await nothing(scope, receive, send)
        elif path in mounted:
            await RedirectResponse(f"{path}/")(scope, receive, send)
        else:
            await front(scope, receive, send)

    return page_or_nothing


def _is_drawn(path: str) -> bool:
    return _GRADIO.fullmatch(path) is not None or not any(name in path for name in _PRIVATE)
