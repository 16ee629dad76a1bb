"""Mounts the two pages and the console's login form; everything they do goes through the API."""

import os
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp

from assistant.compose import Application
from assistant.types.value import Locale
from assistant.web import login
from assistant.web.client import AgentApi, Caller, Refused
from assistant.web.security import AGENT_COOKIE

STATIC = Path(__file__).with_name("static")
CONSOLE = "/agent"
LOGIN = "/agent-login"


def mount(app: FastAPI, application: Application) -> FastAPI:
    """Add `/agent` and `/` to `app`, whose `state.api`, set before it serves, is what answers `/api/v1`."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read by gradio when it is imported
    from assistant.web import console, customer

    settings = application.settings
    names = application.institution.short_name
    institution: dict[Locale, str] = {"zh-CN": names.of("zh-CN"), "en": names.of("en")}

    def api() -> ASGIApp:
        answering: ASGIApp = getattr(app.state, "api", app)
        return answering

    async def signed_in(request: Request) -> str | None:
        return await _signed_in(api, request)

    async def login_page(request: Request) -> HTMLResponse:
        return HTMLResponse(login.page(institution, "en" if request.query_params.get("lang") == "en" else "zh-CN"))

    app.add_api_route(LOGIN, login_page, methods=["GET"], include_in_schema=False)
    sandbox = settings.code_sender == "sandbox" and settings.bank == "sandbox"
    _mount(app, console.page(api, institution, application.signals), CONSOLE, "console", auth_dependency=signed_in)
    _mount(app, customer.page(api, institution, sandbox), "/", "customer")
    return app


def _mount(app: FastAPI, blocks: Any, path: str, name: str, **more: Any) -> None:
    import gradio as gr

    from assistant.web.theme import theme

    gr.mount_gradio_app(
        app,
        blocks,
        path,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        show_error=False,
        max_file_size=0,
        theme=theme(),
        css_paths=[STATIC / "base.css", STATIC / f"{name}.css"],
        head=f"<script>{(STATIC / 'pages.js').read_text(encoding='utf-8')}</script>",
        **more,
    )


async def _signed_in(api: Callable[[], ASGIApp], request: Request) -> str | None:
    """The name of the agent whose cookie came along; a visit without one is sent to the login form."""
    token = request.cookies.get(AGENT_COOKIE)
    if token:
        caller = Caller(api(), request.client.host if request.client else "unknown")
        try:
            return (await AgentApi(caller, token).me()).name
        except Refused as refused:
            if refused.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "The login cannot be checked now.") from refused
    if request.url.path.rstrip("/") == CONSOLE:
        raise HTTPException(HTTPStatus.SEE_OTHER, headers={"Location": LOGIN})
    return None
