"""The HTTP API, as a customer's app and an agent's tool meet it."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from assistant.compose import Application
from assistant.types.messages import Reply
from assistant.types.value import AgentName
from assistant.types.views import InsightPage
from assistant.web.app import create_app
from assistant.web.serving import STREAMS_PER_SESSION, TURN_LANE, Serving
from tests.web_callers import API, PHONE, AgentCaller, Customer, events_of, live_view, served

QUESTION = "提前还款要收手续费吗？"
PASSWORD = "correct horse battery staple"
EVENT_STREAM = {"Accept": "text/event-stream"}


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


@pytest.fixture
def agent(application: Application, client: TestClient) -> AgentCaller:
    application.desk.create_agent(AgentName("wang"), "小王", "agent", PASSWORD)
    return AgentCaller(client, "wang", PASSWORD)


# --- a customer's session ---------------------------------------------------------------------------------------------


def test_a_session_opens_with_a_notice_and_a_token_of_its_own(client: TestClient) -> None:
    response = client.post(f"{API}/sessions")
    other = client.post(f"{API}/sessions", json={"locale": "en", "channel": "web"})
    assert response.status_code == other.status_code == 201
    assert {"session_id", "session_token", "notice"} <= set(response.json())
    assert "人工" in response.json()["notice"]
    assert response.json()["notice"] != other.json()["notice"]
    assert response.json()["session_token"] != other.json()["session_token"]


def test_a_question_is_answered_with_a_whole_reply(customer: Customer) -> None:
    response = customer.say(QUESTION)
    assert response.status_code == 200
    reply = Reply.model_validate_json(response.content)
    assert reply.outcome == "answered"
    assert reply.ai_generated
    assert reply.citations
    assert reply.intent is not None
    contract = "message_id seq text ai_generated locale outcome intent risks citations proposal receipt case choices"
    assert {*contract.split(), "trace_id"} <= set(response.json())


def test_the_same_client_message_id_gives_the_same_reply_and_does_nothing_twice(customer: Customer) -> None:
    first = customer.say(QUESTION, "once")
    again = customer.say(QUESTION, "once")
    assert first.json() == again.json()
    assert [message["type"] for message in customer.messages()] == ["customer_message", "reply"]


def test_messages_can_be_read_from_a_point_on(customer: Customer) -> None:
    first = customer.say("你好").json()
    customer.say(QUESTION)
    page = customer.get(f"/messages?after={first['seq']}").json()
    assert [message["type"] for message in page["messages"]] == ["customer_message", "reply"]
    assert page["messages"][0]["text"] == QUESTION
    assert page["last_seq"] == page["messages"][-1]["seq"]
    assert customer.get(f"/messages?after={page['last_seq']}").json() == {"messages": [], "last_seq": page["last_seq"]}


def test_the_language_can_be_changed_in_the_middle(customer: Customer) -> None:
    assert customer.client.put(f"{customer.home}/locale", json={"locale": "en"}, headers=customer.headers).is_success
    assert customer.say("Can I repay early?").json()["locale"] == "en"


def test_feedback_and_transcript_are_kept_for_the_session(customer: Customer) -> None:
    reply = customer.say(QUESTION).json()
    assert customer.post("/feedback", {"message_id": reply["message_id"], "rating": "up"}).status_code == 204
    assert customer.post("/feedback", {"rating": 4, "comment": "清楚"}).status_code == 204
    transcript = customer.get("/transcript")
    assert transcript.headers["content-type"] == "text/plain; charset=utf-8"
    assert QUESTION in transcript.text
    assert reply["text"] in transcript.text


def test_a_person_can_be_asked_for_when_the_turns_are_used_up(application: Application) -> None:
    few = application.settings.model_copy(update={"turns_per_minute": 2})
    with TestClient(create_app(dataclasses.replace(application, settings=few), pages=False)) as client:
        customer = Customer(client)
        assert [customer.say("你好").status_code for _ in range(3)] == [200, 200, 429]
        reply = customer.post("/human").json()
    assert reply["outcome"] == "escalated"
    assert reply["case"]["queue_position"] == 1


# --- identity and actions ---------------------------------------------------------------------------------------------


def test_known_and_unknown_numbers_look_alike(client: TestClient) -> None:
    known, unknown = Customer(client), Customer(client)
    first = known.post("/verification", {"phone": PHONE})
    second = unknown.post("/verification", {"phone": "13999999999"})
    assert (first.status_code, first.json()) == (second.status_code, second.json()) == (202, {"status": "accepted"})
    assert len(known.codes()) == 1
    assert unknown.codes() == []


def test_a_right_code_serves_the_open_request_and_replaces_the_token(customer: Customer) -> None:
    assert customer.say("我这个月账单多少").json()["outcome"] == "awaiting_verification"
    old = customer.headers
    reply = customer.verify()
    assert reply["outcome"] == "action_done"
    assert reply["receipt"]["action"] == "bill_query"
    assert customer.client.get(f"{customer.home}/messages", headers=old).status_code == 401
    assert customer.get("/messages").status_code == 200


def test_an_early_repayment_confirmed_twice_runs_once(customer: Customer) -> None:
    proposal = _proposal(customer)
    path = f"/proposals/{proposal['proposal_id']}/confirm"
    first = customer.post(path, {"digest": proposal["digest"]})
    second = customer.post(path, {"digest": proposal["digest"]})
    assert first.status_code == 200, first.text
    assert first.json()["receipt"]["status"] == "done"
    assert second.json() == first.json()
    done = [message for message in customer.messages() if (message["reply"] or {}).get("receipt")]
    assert len(done) == 1


def test_a_cancelled_proposal_cannot_be_confirmed(customer: Customer) -> None:
    proposal = _proposal(customer)
    path = f"/proposals/{proposal['proposal_id']}"
    assert customer.post(f"{path}/cancel", {"digest": proposal["digest"]}).status_code == 200
    refused = customer.post(f"{path}/confirm", {"digest": proposal["digest"]})
    assert refused.status_code == 409
    assert refused.json()["title"] == "Proposal not live"


def _proposal(customer: Customer) -> dict[str, str]:
    customer.verify()
    reply = customer.say("我要提前还清装修那笔贷款").json()
    assert reply["outcome"] == "awaiting_confirmation", reply
    proposal: dict[str, str] = reply["proposal"]
    return proposal


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_turn_can_be_followed_step_by_step(customer: Customer) -> None:
    response = customer.say(QUESTION, **EVENT_STREAM)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    events = list(events_of(response.iter_lines()))
    stages = [event.data["stage"] for event in events if event.name == "stage"]
    spoken = "".join(event.data["text"] for event in events if event.name == "sentence")
    assert stages == [stage for stage in ("understanding", "retrieving", "acting", "checking") if stage in stages]
    assert "checking" in stages
    assert events[-1].name == "reply"
    assert events[-1].id == str(events[-1].data["seq"])
    assert spoken == events[-1].data["text"]


def test_a_streamed_turn_is_the_same_turn(customer: Customer) -> None:
    streamed = list(events_of(customer.say(QUESTION, "once", **EVENT_STREAM).iter_lines()))[-1].data
    assert customer.say(QUESTION, "once").json() == streamed


def test_a_live_view_shows_what_happens_and_resumes_where_it_broke_off(app: FastAPI, customer: Customer) -> None:
    with served(app) as base:
        with live_view(base, customer) as events:
            reply = customer.say(QUESTION).json()
            seen = [next(events), next(events)]
        assert [event.name for event in seen] == ["customer_message", "reply"]
        assert seen[1].data["reply"] == reply
        customer.say("谢谢")
        with live_view(base, customer, last_event_id=int(seen[1].id or 0)) as events:
            resumed = [next(events), next(events)]
        assert resumed[0].data["text"] == "谢谢"
        assert [int(event.id or 0) for event in resumed] == [message["seq"] for message in customer.messages()[2:]]


def test_an_idle_live_view_beats_and_ends_when_the_token_is_rotated(app: FastAPI, customer: Customer) -> None:
    app.state.serving = dataclasses.replace(_serving(app), heartbeat_seconds=0.05)
    with served(app) as base, live_view(base, customer) as events:
        assert next(events).name == "comment"
        customer.verify()
        *_, last = events  # the server ends it
    assert (last.name, last.data["status"]) == ("error", 401)


def test_a_live_view_lets_go_when_its_reader_leaves(app: FastAPI, application: Application, customer: Customer) -> None:
    with served(app) as base:
        with contextlib.ExitStack() as views:
            for _ in range(STREAMS_PER_SESSION):
                views.enter_context(live_view(base, customer))
            _eventually(lambda: _serving(app).streams.total == STREAMS_PER_SESSION)
            refused = httpx.get(f"{base}{customer.home}/events", headers=customer.headers, trust_env=False)
            assert refused.status_code == 429
        _eventually(lambda: _serving(app).streams.total == 0 and application.signals.waiting == 0)


def test_a_turn_is_finished_when_its_caller_has_gone(app: FastAPI, customer: Customer) -> None:
    message = {"text": QUESTION, "client_message_id": "gone"}
    headers = customer.headers | EVENT_STREAM
    with served(app) as base:
        url = f"{base}{customer.home}/messages"
        with httpx.stream("POST", url, json=message, headers=headers, trust_env=False) as response:
            assert next(events_of(response.iter_lines())).name == "stage"
        _eventually(lambda: len(customer.messages()) == 2)
    assert customer.say(QUESTION, "gone").json() == customer.messages()[-1]["reply"]


def test_health_answers_while_every_turn_waits(app: FastAPI, customer: Customer) -> None:
    async def scene() -> tuple[int, int]:
        lane = _serving(app).lane
        busy = [object() for _ in range(TURN_LANE)]
        for borrower in busy:
            await lane.acquire_on_behalf_of(borrower)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=customer.headers) as caller:
            message = {"text": QUESTION, "client_message_id": "waits"}
            turn = asyncio.create_task(caller.post(f"{customer.home}/messages", json=message))
            health = await asyncio.wait_for(caller.get("/healthz"), 2)
            history = await asyncio.wait_for(caller.get(f"{customer.home}/messages"), 2)
            assert history.status_code == 200
            assert not turn.done()
            for borrower in busy:
                lane.release_on_behalf_of(borrower)
            return health.status_code, (await turn).status_code

    assert asyncio.run(scene()) == (200, 200)


def _serving(app: FastAPI) -> Serving:
    serving = app.state.serving
    assert isinstance(serving, Serving)
    return serving


def _eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- agents -----------------------------------------------------------------------------------------------------------


def test_an_agent_claims_answers_and_hands_back_and_the_customer_sees_it(
    customer: Customer, agent: AgentCaller
) -> None:
    case_id = customer.post("/human").json()["case"]["case_id"]
    case = next(case for case in agent.get("/cases?status=open").json()["cases"] if case["case_id"] == case_id)
    case = agent.write(case, "claim").json()
    assert customer.say("在吗").json()["outcome"] == "with_agent"
    case = agent.write(case, "note", text="客户着急").json()
    case = agent.write(case, "reply", text="您好，我是小王。").json()
    case = agent.write(case, "hand_back").json()
    said = [message for message in customer.messages() if message["type"] == "agent_message"]
    assert [(message["text"], message["agent_display_name"]) for message in said] == [("您好，我是小王。", "小王")]
    assert "着急" not in str(customer.messages())
    assert customer.say(QUESTION).json()["outcome"] == "answered"


def test_an_agents_answer_reaches_the_live_view(app: FastAPI, customer: Customer, agent: AgentCaller) -> None:
    case_id = customer.post("/human").json()["case"]["case_id"]
    with served(app) as base, live_view(base, customer, last_event_id=customer.messages()[-1]["seq"]) as events:
        case = agent.write(agent.get(f"/cases/{case_id}").json()["case"], "claim").json()
        assert next(events).data["case"]["agent_display_name"] == "小王"
        agent.write(case, "reply", text="马上为您处理。")
        assert next(events).data["text"] == "马上为您处理。"


def test_a_case_can_be_transferred_relabelled_and_resolved(customer: Customer, agent: AgentCaller) -> None:
    case_id = customer.post("/human").json()["case"]["case_id"]
    detail = agent.get(f"/cases/{case_id}").json()
    assert {"case", "locale", "mode", "customer", "verified", "events"} == set(detail)
    case = agent.write(detail["case"], "claim").json()
    case = agent.write(case, "relabel", intent="early_repay").json()
    assert case["intent"] == "early_repay"
    case = agent.write(case, "transfer", queue="complaint").json()
    assert case["queue"] == "complaint"
    case = agent.write(agent.write(case, "claim").json(), "release").json()
    assert case["status"] == "open"
    case = agent.write(agent.write(case, "claim").json(), "resolve", disposition="已解决").json()
    assert case["status"] == "resolved"
    assert agent.get("/metrics/summary").json()["resolved"] == 1


def test_a_write_on_an_old_version_is_a_conflict(customer: Customer, agent: AgentCaller) -> None:
    case_id = customer.post("/human").json()["case"]["case_id"]
    case = agent.get(f"/cases/{case_id}").json()["case"]
    assert agent.write(case, "claim").status_code == 200
    late = agent.write(case, "reply", text="晚了")
    assert late.status_code == 409
    assert late.headers["content-type"] == "application/problem+json"
    assert "晚了" not in str(customer.messages())


def test_an_empty_filter_is_no_filter(customer: Customer, agent: AgentCaller) -> None:
    customer.post("/human")
    assert len(agent.get("/cases?status=&queue=&assignee=&cursor=").json()["cases"]) == 1
    assert agent.get("/cases?status=resolved").json() == {"cases": [], "next_cursor": None}


def test_what_the_policies_left_unanswered_is_for_supervisors_alone(
    application: Application, client: TestClient, customer: Customer, agent: AgentCaller
) -> None:
    customer.say("利息能抵个税不 13912345678")
    assert agent.get("/insights").status_code == 403
    application.desk.create_agent(AgentName("li"), "李主管", "supervisor", PASSWORD)
    supervisor = AgentCaller(client, "li", PASSWORD)
    response = supervisor.get("/insights?limit=5&since=2026-11-01")
    page = InsightPage.model_validate_json(response.content)
    assert (page.questions, [one.question for one in page.insights]) == (1, ["利息能抵个税不 [PHONE_1]"])
    assert page.insights[0].nearest
    assert customer.session_id not in response.text
    assert supervisor.get("/insights?since=").json()["since"] == "2026-10-24"
    for unfit in ("limit=0", "limit=101", "since=yesterday", "since=2026-11-24", "since=2020-01-01"):
        assert supervisor.get(f"/insights?{unfit}").status_code == 422, unfit


def test_the_login_cookie_works_for_the_console_and_not_for_another_sites_page(
    application: Application, client: TestClient
) -> None:
    application.desk.create_agent(AgentName("li"), "小李", "agent", PASSWORD)
    login = client.post(f"{API}/agent/login", json={"name": "li", "password": PASSWORD})
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(login.headers["set-cookie"].split("; "))
    assert client.get(f"{API}/agent/me").json()["name"] == "li"
    foreign = client.post(f"{API}/agent/logout", headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert client.post(f"{API}/agent/logout", headers={"Origin": "http://testserver"}).status_code == 204
    assert client.get(f"{API}/agent/me").status_code == 401


def test_a_login_that_was_ended_opens_nothing(agent: AgentCaller) -> None:
    assert agent.client.post(f"{API}/agent/logout", headers=agent.headers).status_code == 204
    assert agent.get("/cases").status_code == 401


def test_a_wrong_password_and_an_unknown_name_look_alike(application: Application, client: TestClient) -> None:
    application.desk.create_agent(AgentName("zhao"), "小赵", "agent", PASSWORD)
    wrong = client.post(f"{API}/agent/login", json={"name": "zhao", "password": "wrong"})
    unknown = client.post(f"{API}/agent/login", json={"name": "nobody", "password": "wrong"})
    assert (wrong.status_code, wrong.json()["detail"]) == (unknown.status_code, unknown.json()["detail"])
    assert wrong.status_code == 401


# --- operations -------------------------------------------------------------------------------------------------------


def test_readiness_names_every_part(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 200, ready.text
    assert set(ready.json()["parts"].values()) == {"ok"}


def test_counters_tell_turns_and_errors_and_nothing_a_customer_wrote(client: TestClient, customer: Customer) -> None:
    customer.say(QUESTION)
    client.get(f"{API}/nothing")
    text = client.get("/metrics").text
    assert 'assistant_turns_total{outcome="answered"} 1' in text
    assert 'assistant_turn_seconds_bucket{le="+Inf"} 1' in text
    assert 'assistant_http_errors_total{status="404"} 1' in text
    assert customer.session_id not in text


def test_the_documentation_needs_no_other_host(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert f"{API}/sessions/{{session_id}}/messages" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert "Problem" in document["components"]["schemas"]


def test_every_answer_of_the_api_tells_the_browser_to_be_careful(customer: Customer) -> None:
    for response in (customer.say("你好"), customer.get("/nothing"), customer.say("你好", **EVENT_STREAM)):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert "access-control-allow-origin" not in response.headers
        assert len(response.headers["x-trace-id"]) == 32


def test_the_outbox_shows_the_callers_own_codes_only(client: TestClient) -> None:
    one, other = Customer(client), Customer(client)
    one.post("/verification", {"phone": PHONE})
    assert len(one.codes()) == 1
    assert other.codes() == []
    assert client.get(f"{API}/sandbox/outbox").status_code == 401
