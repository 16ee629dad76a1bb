"""Bad input gets a clear problem document, and loses nothing."""

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from assistant.compose import Application
from assistant.settings import Settings
from assistant.types.value import SessionId
from assistant.web.app import create_app
from assistant.web.limits import TokenBuckets
from tests.conftest import Composer
from tests.doubles import FixedClock
from tests.web_callers import API, PHONE, Customer

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app(application: Application) -> FastAPI:
    return create_app(application, pages=False)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture
def customer(client: TestClient) -> Customer:
    return Customer(client)


def assert_problem(response: Any, status: int, words: str = "") -> None:
    """A complete problem document with this status, and these words in its detail."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert set(document) == {"type", "title", "status", "detail", "trace_id"}
    assert document["status"] == status
    assert document["trace_id"] == response.headers["x-trace-id"]
    assert words in document["detail"]
    assert "Traceback" not in response.text


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "   ", "字" * 2001, "\u0000\u0001\u0002", "\u200b\u200b"])
def test_a_message_without_words_or_with_too_many_is_refused_and_leaves_no_trace(customer: Customer, text: str) -> None:
    assert_problem(customer.say(text, "bad"), 422)
    assert customer.messages() == []
    assert customer.say("你好", "bad").status_code == 200  # the key is not used up


@pytest.mark.parametrize("text", ["字" * 100_000, "a" * 100_000])
def test_a_hundred_thousand_characters_are_too_large(customer: Customer, text: str) -> None:
    assert_problem(customer.say(text), 413, "64 KiB")
    assert customer.messages() == []


def test_a_large_body_without_a_length_is_refused_too(customer: Customer) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    url = f"{customer.home}/messages"
    assert_problem(customer.client.post(url, content=pieces(), headers=customer.headers | JSON), 413)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"text": "\xff\xfe", "client_message_id": "a"}', 400),
        (b'{"text": "hello", ', 400),
        (b"[" * 50_000, 400),
        (b"not json", 400),
        (b"", 422),
        (b"null", 422),
        (b"[]", 422),
        (b'{"text": 5, "client_message_id": "a"}', 422),
        (b'{"text": "hello"}', 422),
        (b'{"text": "hello", "client_message_id": ""}', 422),
        (b'{"text": "hello", "client_message_id": "a b"}', 422),
        (b'{"text": "hello", "client_message_id": "a\\n"}', 422),
        (b'{"text": "hello", "client_message_id": "' + b"a" * 65 + b'"}', 422),
        (b'{"text": "\\ud800", "client_message_id": "a"}', 422),
        (b'{"text": "\\u0000hello", "client_message_id": "a"}', 422),
        (b'{"text": "hello", "client_message_id": "a", "customer_id": "C0001"}', 422),
    ],
)
def test_a_body_that_is_not_a_message_is_refused(customer: Customer, body: bytes, status: int) -> None:
    url = f"{customer.home}/messages"
    assert_problem(customer.client.post(url, content=body, headers=customer.headers | JSON), status)
    assert customer.messages() == []


def test_a_body_of_another_media_type_is_refused(customer: Customer) -> None:
    url = f"{customer.home}/messages"
    body = '{"text": "hello", "client_message_id": "a"}'
    plain = customer.headers | {"Content-Type": "text/plain"}
    assert_problem(customer.client.post(url, content=body, headers=plain), 422, "application/json")


def test_a_refusal_does_not_repeat_what_was_sent(customer: Customer) -> None:
    response = customer.post("/messages", {"text": {"phone": PHONE}, "client_message_id": "a"})
    assert_problem(response, 422, "body.text")
    assert PHONE not in response.text


def test_control_characters_within_words_do_not_hide_them(customer: Customer) -> None:
    reply = customer.say("提前\u0007还款要收\u200b手续费吗？")
    assert reply.status_code == 200
    assert reply.json()["intent"]["id"] == customer.say("提前还款要收手续费吗？").json()["intent"]["id"]


def test_the_same_key_with_other_words_is_a_conflict(customer: Customer) -> None:
    first = customer.say("你好", "key").json()
    assert_problem(customer.say("再见", "key"), 409)
    assert customer.say("你好", "key").json() == first
    assert len(customer.messages()) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/feedback", {"rating": 0}),
        ("/feedback", {"rating": 6}),
        ("/feedback", {"rating": True}),
        ("/feedback", {"rating": "sideways"}),
        ("/feedback", {"rating": "up", "comment": "长" * 1001}),
        ("/verification", {}),
        ("/verification", {"phone": "1" * 65}),
        ("/verification", {"phone": "not a number"}),
        ("/verification/confirm", {"code": 123456}),
        ("/proposals/p1/confirm", {}),
        ("/human", {"client_message_id": "no spaces please"}),
    ],
)
def test_a_value_out_of_range_is_refused(customer: Customer, path: str, body: dict[str, Any]) -> None:
    assert_problem(customer.post(path, body), 422)


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "99999999999999999999"])
def test_a_point_that_is_no_point_is_refused(customer: Customer, after: str) -> None:
    assert_problem(customer.get(f"/messages?after={after}"), 422, "after")
    response = customer.client.get(f"{customer.home}/events", headers=customer.headers | {"Last-Event-ID": after})
    assert_problem(response, 422)


# --- sessions and tokens ----------------------------------------------------------------------------------------------


def test_a_sign_on_token_is_refused_and_not_ignored(client: TestClient) -> None:
    response = client.post(f"{API}/sessions", json={"identity_token": "a.b.c"})
    assert_problem(response, 422, "not configured")


def test_identity_is_never_a_plain_field(client: TestClient) -> None:
    assert_problem(client.post(f"{API}/sessions", json={"customer_id": "C0001"}), 422)


def test_a_foreign_session_looks_like_one_that_does_not_exist(client: TestClient) -> None:
    mine, theirs = Customer(client), Customer(client)
    theirs.say("我的手机号是13812345678")
    for path in ("/messages", "/transcript", "/events"):
        foreign = client.get(f"{theirs.home}{path}", headers=mine.headers)
        missing = client.get(f"{API}/sessions/s_nobody{path}", headers=mine.headers)
        assert_problem(foreign, 403)
        assert_problem(missing, 403)
        assert {**foreign.json(), "trace_id": ""} == {**missing.json(), "trace_id": ""}
    message = {"text": "你好", "client_message_id": "a"}
    assert_problem(client.post(f"{theirs.home}/messages", json=message, headers=mine.headers), 403)


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer ", "Bearer nonsense", "Basic dTpw", "nonsense", "Bearer \xff\xfe"]
)
def test_without_a_valid_token_nothing_opens(customer: Customer, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    for path in (f"{customer.home}/messages", f"{API}/sandbox/outbox", f"{API}/cases"):
        response = customer.client.get(path, headers=headers)
        assert_problem(response, 401)
        assert response.headers["www-authenticate"].startswith("Bearer")


def test_an_expired_token_is_told_apart_from_a_wrong_one(composed: Composer, settings: Settings) -> None:
    clock = FixedClock()
    with TestClient(create_app(composed(clock=clock), pages=False)) as client:
        customer = Customer(client)
        customer.say("你好")
        clock.advance(hours=settings.session_hours + 1)
        response = customer.get("/messages")
    assert_problem(response, 401)
    assert response.json()["title"] == "Token expired"


def test_a_customers_token_is_no_agents_login(customer: Customer) -> None:
    assert_problem(customer.client.get(f"{API}/cases", headers=customer.headers), 401)
    assert_problem(customer.client.get(f"{API}/cases/c1", headers=customer.headers), 401)


def test_a_token_in_the_address_counts_for_nothing(customer: Customer) -> None:
    assert_problem(customer.client.get(f"{customer.home}/messages?token={customer.token}"), 401)


# --- codes and proposals ----------------------------------------------------------------------------------------------


def test_five_wrong_codes_lock_verification(customer: Customer) -> None:
    customer.post("/verification", {"phone": PHONE})
    code = customer.codes()[-1]["code"]
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
    answers = [customer.post("/verification/confirm", {"code": wrong}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 403, 429]
    locked = customer.post("/verification/confirm", {"code": code})
    assert_problem(locked, 429)
    assert int(locked.headers["retry-after"]) > 0
    assert_problem(customer.post("/verification", {"phone": PHONE}), 429)
    assert customer.say("你好").status_code == 200  # the conversation goes on


def test_a_code_that_was_never_asked_for_is_wrong(customer: Customer) -> None:
    assert_problem(customer.post("/verification/confirm", {"code": "123456"}), 403)


def test_a_digest_that_was_not_shown_is_a_conflict_and_nothing_happens(customer: Customer) -> None:
    customer.verify()
    proposal = customer.say("我要提前还清装修那笔贷款").json()["proposal"]
    path = f"/proposals/{proposal['proposal_id']}/confirm"
    assert_problem(customer.post(path, {"digest": "0" * 64}), 409)
    assert all((message["reply"] or {}).get("receipt") is None for message in customer.messages())
    assert customer.post(path, {"digest": proposal["digest"]}).json()["receipt"]["status"] == "done"


def test_a_superseded_proposal_is_a_conflict(customer: Customer) -> None:
    customer.verify()
    old = customer.say("我要提前还清装修那笔贷款").json()["proposal"]
    new = customer.say("我要提前还清手机那笔贷款").json()["proposal"]
    assert new["proposal_id"] != old["proposal_id"]
    assert_problem(customer.post(f"/proposals/{old['proposal_id']}/confirm", {"digest": old["digest"]}), 409)


def test_an_unknown_proposal_and_another_customers_are_not_found(client: TestClient) -> None:
    owner, other = Customer(client), Customer(client)
    owner.verify()
    proposal = owner.say("我要提前还清装修那笔贷款").json()["proposal"]
    for proposal_id in ("p_nobody", proposal["proposal_id"]):
        response = other.post(f"/proposals/{proposal_id}/confirm", {"digest": proposal["digest"]})
        assert_problem(response, 404)


# --- the framework's own refusals -------------------------------------------------------------------------------------


def test_addresses_and_methods_that_do_not_exist_get_problem_documents(client: TestClient) -> None:
    assert_problem(client.get(f"{API}/nothing"), 404)
    assert_problem(client.get("/nothing"), 404)
    assert_problem(client.get(f"{API}/sessions/"), 404)
    wrong = client.delete(f"{API}/sessions")
    assert_problem(wrong, 405)
    assert wrong.headers["allow"] == "POST"


def test_what_nobody_expected_is_logged_without_what_was_said(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenSessions:
        """A part with a fault that no error class covers."""

        def __getattr__(self, name: str) -> Any:
            return getattr(application.sessions, name)

        def transcript(self, session_id: SessionId) -> str:
            raise RuntimeError(f"{session_id} said: my number is {PHONE}")

    broken = dataclasses.replace(application, sessions=BrokenSessions())  # type: ignore[arg-type]
    with TestClient(create_app(broken, pages=False)) as client, caplog.at_level(logging.WARNING):
        customer = Customer(client)
        response = customer.get("/transcript")
    assert_problem(response, 500)
    assert PHONE not in response.text
    assert response.json()["trace_id"] in caplog.text
    assert "RuntimeError" in caplog.text
    assert PHONE not in caplog.text


# --- rate limits ------------------------------------------------------------------------------------------------------


def test_too_many_sessions_from_one_address_must_wait(application: Application) -> None:
    few = application.settings.model_copy(update={"sessions_per_minute": 2})
    with TestClient(create_app(dataclasses.replace(application, settings=few), pages=False)) as client:
        answers = [client.post(f"{API}/sessions") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert_problem(answers[-1], 429)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_guessing_passwords_is_slowed_down(client: TestClient) -> None:
    guesses = [
        client.post(f"{API}/agent/login", json={"name": f"nobody{n}", "password": "guess"}).status_code
        for n in range(11)
    ]
    assert guesses == [401] * 10 + [429]


def test_a_bucket_fills_evenly_and_forgets_who_has_gone() -> None:
    now = [0.0]
    buckets = TokenBuckets(60, now=lambda: now[0])
    for _ in range(60):
        buckets.take("a")
    with pytest.raises(Exception, match="429"):
        buckets.take("a")
    buckets.take("b")
    now[0] = 1.0
    buckets.take("a")
    with pytest.raises(Exception, match="429"):
        buckets.take("a")
    now[0] = 100.0
    for number in range(20_000):
        buckets.take(f"key{number}")
        now[0] += 0.1
    assert buckets.held <= 10_000
