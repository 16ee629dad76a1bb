"""Callers of the HTTP API for the tests: a customer, an agent, a real server and a reader of its event streams."""

import contextlib
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

API = "/api/v1"
PHONE = "13800000001"
"""The default sandbox customer: one open bill, two loans, a bound card."""


class Customer:
    """A customer's app: it opens a session and keeps its token."""

    def __init__(self, client: TestClient, locale: str = "zh-CN") -> None:
        self.client = client
        opened = client.post(f"{API}/sessions", json={"locale": locale})
        assert opened.status_code == 201, opened.text
        self.session_id = opened.json()["session_id"]
        self.token = opened.json()["session_token"]
        self._keys = (f"m{number}" for number in itertools.count(1))

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def home(self) -> str:
        return f"{API}/sessions/{self.session_id}"

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.post(f"{self.home}{path}", json=body, headers=self.headers | headers)

    def get(self, path: str) -> Any:
        return self.client.get(f"{self.home}{path}", headers=self.headers)

    def say(self, text: str, key: str | None = None, **headers: str) -> Any:
        return self.post("/messages", {"text": text, "client_message_id": key or next(self._keys)}, **headers)

    def messages(self, after: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/messages?after={after}").json()["messages"]
        return found

    def codes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(f"{API}/sandbox/outbox", headers=self.headers).json()["codes"]
        return found

    def verify(self, phone: str = PHONE) -> dict[str, Any]:
        """Prove to be the customer of this number; the token is replaced."""
        assert self.post("/verification", {"phone": phone}).status_code == 202
        proved = self.post("/verification/confirm", {"code": self.codes()[-1]["code"]})
        assert proved.status_code == 200, proved.text
        self.token = proved.json()["session_token"]
        reply: dict[str, Any] = proved.json()["reply"]
        return reply


class AgentCaller:
    """An agent's tool with a bearer token."""

    def __init__(self, client: TestClient, name: str, password: str) -> None:
        self.client = client
        login = client.post(f"{API}/agent/login", json={"name": name, "password": password})
        assert login.status_code == 200, login.text
        client.cookies.clear()  # the token alone must do
        self.headers = {"Authorization": f"Bearer {login.json()['token']}"}

    def get(self, path: str) -> Any:
        return self.client.get(f"{API}{path}", headers=self.headers)

    def write(self, case: dict[str, Any], what: str, **body: Any) -> Any:
        body = {"version": case["version"]} | body
        return self.client.post(f"{API}/cases/{case['case_id']}/{what}", json=body, headers=self.headers)


class ServerEvent(NamedTuple):
    """One event of a stream; a heartbeat has the name `comment`."""

    name: str
    data: Any
    id: str | None


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application behind uvicorn on a free loopback port; yields its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def events_of(lines: Iterator[str]) -> Iterator[ServerEvent]:
    """Server-sent events as they come in."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield ServerEvent("comment", line[1:].strip(), None)
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield ServerEvent(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))
            fields = {}
        else:
            fields = {}


@contextlib.contextmanager
def live_view(base: str, customer: Customer, last_event_id: int | None = None) -> Iterator[Iterator[ServerEvent]]:
    """The session's live view from a real server."""
    headers = customer.headers | ({} if last_event_id is None else {"Last-Event-ID": str(last_event_id)})
    with httpx.stream("GET", f"{base}{customer.home}/events", headers=headers, timeout=10, trust_env=False) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events_of(response.iter_lines())
