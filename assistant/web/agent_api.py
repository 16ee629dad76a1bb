"""What agents may call: the queue and their work on cases. Every write carries the version it was read at."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, SecretStr

from assistant.errors import NotAllowed, TooManyAttempts
from assistant.types.cases import Agent, Case, CaseStatus, Queue
from assistant.types.value import AgentName, CaseId, IntentId, Value
from assistant.types.views import AgentLogin, CaseDetail, CasePage, DeskSummary, InsightPage
from assistant.web.fields import NONE_IF_EMPTY, Key, Text
from assistant.web.security import AGENT_COOKIE, AgentToken, LoggedIn, Unauthenticated, agent_token
from assistant.web.serving import Address, Shared, aside

router = APIRouter(prefix="/api/v1", tags=["agent"])

Name = Annotated[Text, Field(min_length=1, max_length=64)]
Words = Annotated[Text, Field(min_length=1, max_length=4000)]


class Credentials(Value):
    """An agent's name and password."""

    name: Name
    password: Annotated[SecretStr, Field(max_length=256)]


class Write(Value):
    """A change of the case that was read at `version`; 409 where it has changed since."""

    version: Annotated[int, Field(ge=0, le=2**31)]


class WrittenWords(Write):
    """A reply or a note."""

    text: Words


class NewHands(Write):
    """Where the case goes: a queue, a colleague, or both."""

    queue: Queue | None = None
    assignee: Name | None = None


class Ending(Write):
    """How the case ended."""

    disposition: Annotated[Text, Field(min_length=1, max_length=200)]


class NewLabel(Write):
    """What the customer really wanted."""

    intent: Key


# --- logging in -------------------------------------------------------------------------------------------------------


@router.post("/agent/login")
async def login(
    request: Request, response: Response, serving: Shared, address: Address, credentials: Credentials
) -> AgentLogin:
    """A token for the API, which the console's browser also keeps as a cookie that no script can read."""
    serving.logins.take(address)
    desk = serving.application.desk
    try:
        opened = await aside(desk.login, AgentName(credentials.name), credentials.password.get_secret_value(), address)
    except TooManyAttempts:
        raise
    except NotAllowed as error:
        raise Unauthenticated("The name or the password is wrong.") from error
    response.set_cookie(
        AGENT_COOKIE,
        opened.token,
        max_age=int((opened.expires_at - serving.application.clock.now()).total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return opened


@router.post("/agent/logout", status_code=204)
async def logout(
    request: Request, response: Response, serving: Shared, _agent: LoggedIn, credentials: AgentToken
) -> None:
    """End the login that the call is made with."""
    token = agent_token(request, credentials)
    assert token is not None
    await aside(serving.application.desk.logout, token)
    response.delete_cookie(AGENT_COOKIE, httponly=True, samesite="strict")


@router.get("/agent/me")
async def me(agent: LoggedIn) -> Agent:
    """Who is logged in."""
    return agent


# --- the queue --------------------------------------------------------------------------------------------------------


@router.get("/cases")
async def cases(
    serving: Shared,
    agent: LoggedIn,
    status: Annotated[CaseStatus | None, NONE_IF_EMPTY, Query()] = None,
    queue: Annotated[Queue | None, NONE_IF_EMPTY, Query()] = None,
    assignee: Annotated[Name | None, NONE_IF_EMPTY, Query()] = None,
    cursor: Annotated[Key | None, NONE_IF_EMPTY, Query()] = None,
) -> CasePage:
    """One page of cases, the most urgent first."""
    whose = None if assignee is None else AgentName(assignee)
    after = None if cursor is None else CaseId(cursor)
    return await aside(serving.application.desk.cases, agent, status=status, queue=queue, assignee=whose, cursor=after)


@router.get("/cases/{case_id}")
async def case(serving: Shared, agent: LoggedIn, case_id: Key) -> CaseDetail:
    """A case with its conversation; the look is audited."""
    return await aside(serving.application.desk.case, agent, CaseId(case_id))


@router.get("/metrics/summary")
async def summary(serving: Shared, agent: LoggedIn) -> DeskSummary:
    """Counts over the queue."""
    return await aside(serving.application.desk.summary, agent)


@router.get("/insights")
async def insights(
    serving: Shared,
    agent: LoggedIn,
    since: Annotated[date | None, NONE_IF_EMPTY, Query(description="First day; default: 30 days ago.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> InsightPage:
    """What the policies left unanswered, the most asked first; for supervisors and administrators."""
    return await aside(serving.application.desk.insights, agent, since, limit)


# --- work on a case ---------------------------------------------------------------------------------------------------


@router.post("/cases/{case_id}/claim")
async def claim(serving: Shared, agent: LoggedIn, case_id: Key, write: Write) -> Case:
    """Take the case and the wheel: the assistant is silent from here on."""
    return await aside(serving.application.desk.claim, agent, CaseId(case_id), write.version)


@router.post("/cases/{case_id}/release")
async def release(serving: Shared, agent: LoggedIn, case_id: Key, write: Write) -> Case:
    """Put the case back into its queue."""
    return await aside(serving.application.desk.release, agent, CaseId(case_id), write.version)


@router.post("/cases/{case_id}/reply")
async def reply(serving: Shared, agent: LoggedIn, case_id: Key, write: WrittenWords) -> Case:
    """Say something to the customer."""
    return await aside(serving.application.desk.reply, agent, CaseId(case_id), write.version, write.text)


@router.post("/cases/{case_id}/note")
async def note(serving: Shared, agent: LoggedIn, case_id: Key, write: WrittenWords) -> Case:
    """Write something down that the customer never sees."""
    return await aside(serving.application.desk.note, agent, CaseId(case_id), write.version, write.text)


@router.post("/cases/{case_id}/transfer")
async def transfer(serving: Shared, agent: LoggedIn, case_id: Key, write: NewHands) -> Case:
    """Give the case to another queue or colleague."""
    to_whom = None if write.assignee is None else AgentName(write.assignee)
    return await aside(serving.application.desk.transfer, agent, CaseId(case_id), write.version, write.queue, to_whom)


@router.post("/cases/{case_id}/resolve")
async def resolve(serving: Shared, agent: LoggedIn, case_id: Key, write: Ending) -> Case:
    """Close the case."""
    return await aside(serving.application.desk.resolve, agent, CaseId(case_id), write.version, write.disposition)


@router.post("/cases/{case_id}/hand_back")
async def hand_back(serving: Shared, agent: LoggedIn, case_id: Key, write: Write) -> Case:
    """Give the wheel back to the assistant."""
    return await aside(serving.application.desk.hand_back, agent, CaseId(case_id), write.version)


@router.post("/cases/{case_id}/relabel")
async def relabel(serving: Shared, agent: LoggedIn, case_id: Key, write: NewLabel) -> Case:
    """Correct what the customer wanted."""
    return await aside(serving.application.desk.relabel, agent, CaseId(case_id), write.version, IntentId(write.intent))
