"""Every mounted route stands on a list that was read by someone."""

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount
from starlette.testclient import TestClient

from assistant.compose import Application
from assistant.web.app import create_app

PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /docs",
    "GET /openapi.json",
    "POST /api/v1/sessions",
    "POST /api/v1/agent/login",
}
CUSTOMER = {
    "PUT /api/v1/sessions/{session_id}/locale",
    "POST /api/v1/sessions/{session_id}/messages",
    "GET /api/v1/sessions/{session_id}/messages",
    "GET /api/v1/sessions/{session_id}/events",
    "GET /api/v1/sessions/{session_id}/transcript",
    "POST /api/v1/sessions/{session_id}/proposals/{proposal_id}/confirm",
    "POST /api/v1/sessions/{session_id}/proposals/{proposal_id}/cancel",
    "POST /api/v1/sessions/{session_id}/human",
    "POST /api/v1/sessions/{session_id}/verification",
    "POST /api/v1/sessions/{session_id}/verification/confirm",
    "POST /api/v1/sessions/{session_id}/feedback",
}
SANDBOX = {"GET /api/v1/sandbox/outbox"}
AGENT = {
    "POST /api/v1/agent/logout",
    "GET /api/v1/agent/me",
    "GET /api/v1/cases",
    "GET /api/v1/cases/{case_id}",
    "POST /api/v1/cases/{case_id}/claim",
    "POST /api/v1/cases/{case_id}/release",
    "POST /api/v1/cases/{case_id}/reply",
    "POST /api/v1/cases/{case_id}/note",
    "POST /api/v1/cases/{case_id}/transfer",
    "POST /api/v1/cases/{case_id}/resolve",
    "POST /api/v1/cases/{case_id}/hand_back",
    "POST /api/v1/cases/{case_id}/relabel",
    "GET /api/v1/metrics/summary",
    "GET /api/v1/insights",
}
PAGES = {"/agent", ""}
"""Where Gradio is mounted; what it serves below is its own."""
PAGE_ROUTES = {"/agent-login"}
GRADIOS_OWN = (
    "POST /gradio_api/upload",
    "GET /gradio_api/upload_progress",
    "GET /gradio_api/file=/etc/hostname",
    "GET /gradio_api/proxy=https://example.org/",
    "GET /gradio_api/info",
    "GET /gradio_api/openapi.json",
    "POST /gradio_api/call/respond",
    "POST /gradio_api/run/respond",
    "POST /gradio_api/vibe-edit",
    "POST /gradio_api/component_server",
    "GET /gradio_api/runs",
    "GET /monitoring",
)


def routes_of(app: FastAPI) -> set[str]:
    """`METHOD path` of every route of the API, HEAD aside."""
    found: set[str] = set()
    for route in iter_route_contexts(app.routes):
        assert route.path is not None
        found |= {f"{method} {route.path}" for method in (route.methods or {"MOUNT"}) - {"HEAD"}}
    return found


def test_the_api_has_the_routes_of_the_contract_and_no_other(application: Application) -> None:
    assert routes_of(create_app(application, pages=False)) == PUBLIC | CUSTOMER | SANDBOX | AGENT


def test_the_pages_add_their_mounts_and_nothing_to_the_api(application: Application) -> None:
    app = create_app(application)
    assert routes_of(app) == PUBLIC | CUSTOMER | SANDBOX | AGENT
    mounts = {route.path for route in app.state.pages.routes if isinstance(route, Mount)}
    others = {getattr(route, "path", None) for route in app.state.pages.routes if not isinstance(route, Mount)}
    assert (mounts, others) == (PAGES, PAGE_ROUTES)


def test_an_address_of_the_api_is_never_answered_by_a_page(application: Application) -> None:
    with TestClient(create_app(application)) as client:
        assert client.get("/").headers["content-type"].startswith("text/html")
        for method, path, status in (("GET", "/api/v1/nothing", 404), ("DELETE", "/api/v1/sessions", 405)):
            response = client.request(method, path)
            assert response.status_code == status
            assert response.headers["content-type"] == "application/problem+json"


def test_what_gradio_brings_beside_the_pages_is_private(application: Application) -> None:
    with TestClient(create_app(application)) as client:
        for route in GRADIOS_OWN:
            method, path = route.split()
            for prefix in ("", "/agent"):
                response = client.request(method, f"{prefix}{path}")
                assert response.status_code == 404, route
                assert response.headers["content-type"] == "application/problem+json"


def test_every_route_that_is_not_public_wants_a_token(application: Application) -> None:
    with TestClient(create_app(application, pages=False)) as client:
        for route in sorted(CUSTOMER | SANDBOX | AGENT):
            method, path = route.split()
            path = path.format(session_id="s", proposal_id="p", case_id="c") if "{" in path else path
            assert client.request(method, path, json={}).status_code == 401, route
