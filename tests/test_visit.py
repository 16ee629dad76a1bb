"""An open page without its browser: what it reads and does through the API in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from assistant.compose import Application
from assistant.types.value import AgentName
from assistant.web.app import create_app
from assistant.web.client import AgentApi, Caller, CustomerApi, Refused
from assistant.web.shift import Shift
from assistant.web.visit import Visit
from tests.web_callers import PHONE

QUESTION = "提前还款要手续费吗？"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def app(application: Application) -> FastAPI:
    return create_app(application, pages=False)


def run(scene: Callable[[Caller], Awaitable[None]], app: FastAPI) -> None:
    """One scene in a page of its own, within 20 seconds."""

    async def played() -> None:
        async with asyncio.timeout(20):
            await scene(Caller(app, "127.0.0.1"))

    asyncio.run(played())


async def say(visit: Visit, text: str) -> None:
    async for _ in visit.say(text):
        pass


@asynccontextmanager
async def following(visit: Visit) -> AsyncIterator[AsyncIterator[bool]]:
    view = visit.follow()
    try:
        yield view
    finally:
        await view.aclose()  # type: ignore[attr-defined]


def html_of(visit: Visit) -> str:
    return "".join(line.html for line in visit.screen.lines)


def test_a_turn_is_shown_and_a_reload_goes_on_with_it(app: FastAPI) -> None:
    async def scene(caller: Caller) -> None:
        visit = await Visit.open(caller, "zh-CN")
        await say(visit, QUESTION)
        assert not visit.busy
        again = await Visit.resume(caller, visit.saved)
        assert again.screen == visit.screen
        assert QUESTION in html_of(again)

    run(scene, app)


def test_a_turn_tells_its_stages_before_it_ends(app: FastAPI) -> None:
    async def scene(caller: Caller) -> None:
        api, _ = await CustomerApi.open(caller, "zh-CN")
        heard = [pushed.event async for pushed in api.say(QUESTION, "k1")]
        assert heard[0] == "stage"
        assert "sentence" in heard
        assert heard[-1] == "reply"

    run(scene, app)


def test_the_live_view_shows_what_another_page_of_the_session_said(app: FastAPI) -> None:
    async def scene(caller: Caller) -> None:
        visit = await Visit.open(caller, "zh-CN")
        other = await Visit.resume(caller, visit.saved)
        async with following(visit) as view:
            await say(other, QUESTION)
            while QUESTION not in html_of(visit):
                assert await anext(view)

    run(scene, app)


def test_a_younger_live_view_takes_over(app: FastAPI) -> None:
    async def scene(caller: Caller) -> None:
        visit = await Visit.open(caller, "zh-CN")
        async with following(visit) as older:
            await say(visit, QUESTION)
            assert await anext(older)
            async with following(visit) as younger:
                await say(visit, "你好")
                assert await anext(younger)
                await visit.catch_up()
                assert await anext(older, None) in (None, True)
                await say(visit, "谢谢")
                assert [news async for news in older] == []

    run(scene, app)


def test_words_that_were_refused_are_not_shown_as_said(app: FastAPI) -> None:
    async def scene(caller: Caller) -> None:
        visit = await Visit.open(caller, "zh-CN")
        with pytest.raises(Refused) as refused:
            await say(visit, "长" * 5000)
        assert refused.value.status == 422
        assert not visit.busy
        assert len(visit.screen.lines) == 1

    run(scene, app)


def test_a_page_whose_token_has_ended_begins_a_new_conversation(app: FastAPI) -> None:
    async def scene(caller: Caller) -> None:
        visit = await Visit.open(caller, "zh-CN")
        await say(visit, QUESTION)
        old, visit.api.token = visit.api.session_id, "st_gone"
        with pytest.raises(Refused) as refused:
            await say(visit, "你好")
        assert refused.value.status == 401
        await visit.renew()
        assert visit.api.session_id != old
        await say(visit, "你好")

    run(scene, app)


def test_a_token_opens_its_own_session_only(app: FastAPI) -> None:
    async def scene(caller: Caller) -> None:
        mine, theirs = await Visit.open(caller, "zh-CN"), await Visit.open(caller, "zh-CN")
        with pytest.raises(Refused) as refused:
            await Visit.resume(caller, mine.saved | {"session_id": theirs.api.session_id})
        assert refused.value.status == 403

    run(scene, app)


def test_verification_replaces_the_token_and_the_live_view_goes_on(app: FastAPI) -> None:
    async def scene(caller: Caller) -> None:
        visit = await Visit.open(caller, "zh-CN")
        before = visit.api.token
        async with following(visit) as view:
            await say(visit, "查一下我这期账单要还多少")
            assert visit.screen.wants_verification
            await visit.api.request_code(PHONE)
            await visit.prove((await visit.api.outbox())[-1].code)
            assert visit.api.token != before
            assert not visit.screen.wants_verification
            other = await Visit.resume(caller, visit.saved)
            await say(other, QUESTION)
            while QUESTION not in html_of(visit):
                await anext(view)

    run(scene, app)


def test_a_conversation_that_has_not_begun_changes_language_with_its_notice(app: FastAPI) -> None:
    async def scene(caller: Caller) -> None:
        visit = await Visit.open(caller, "zh-CN")
        await visit.speak("en")
        assert "AI assistant" in visit.notice
        await say(visit, "What happens if I pay late?")
        session = visit.api.session_id
        await visit.speak("zh-CN")
        assert visit.api.session_id == session

    run(scene, app)


def test_an_agent_works_on_the_version_that_was_read(app: FastAPI, application: Application) -> None:
    for name in ("wang", "zhao"):
        application.desk.create_agent(AgentName(name), name, "agent", PASSWORD)

    async def shift_of(caller: Caller, name: str) -> Shift:
        opened = await caller.call("POST", "/agent/login", None, {"name": name, "password": PASSWORD})
        return await Shift.begin(caller, opened.json()["token"], "zh-CN")

    async def scene(caller: Caller) -> None:
        visit = await Visit.open(caller, "zh-CN")
        await visit.human()
        first, second = await shift_of(caller, "wang"), await shift_of(caller, "zhao")
        case = first.page.cases[0]
        await first.look_at(case.case_id)
        await second.look_at(case.case_id)
        assert first.may_claim
        await first.work("claim")
        assert first.may_reply
        with pytest.raises(Refused) as refused:
            await second.work("claim")
        assert refused.value.status in (403, 409)
        await first.work("reply", text="您好，我来处理。")
        await visit.catch_up()
        assert "您好，我来处理。" in html_of(visit)
        await first.work("resolve", disposition="answered")
        assert not first.may_note

    run(scene, app)


def test_without_a_login_there_is_no_shift(app: FastAPI) -> None:
    async def scene(caller: Caller) -> None:
        with pytest.raises(Refused) as refused:
            await AgentApi(caller, "at_nothing").me()
        assert refused.value.status == 401

    run(scene, app)
