"""Agents and their logins."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from assistant.adapters.sql_schema import agent_tokens, agents, micros
from assistant.errors import NotAllowed, NotFound, TokenExpired
from assistant.types.cases import Agent
from assistant.types.value import AgentName


def save(conn: Connection, agent: Agent, password_hash: str) -> None:
    """A new agent, or new particulars of one."""
    values = {"password_hash": password_hash, "body": agent.model_dump_json()}
    if not conn.execute(update(agents).where(agents.c.name == agent.name).values(values)).rowcount:
        conn.execute(insert(agents).values(name=agent.name, **values))


def load(conn: Connection, name: AgentName) -> tuple[Agent, str]:
    """With the password hash. Raises NotFound."""
    row = conn.execute(select(agents.c.body, agents.c.password_hash).where(agents.c.name == name)).first()
    if row is None:
        raise NotFound(f"no agent {name}")
    return Agent.model_validate_json(row.body), row.password_hash


def everyone(conn: Connection) -> tuple[Agent, ...]:
    """By name."""
    bodies = conn.execute(select(agents.c.body).order_by(agents.c.name)).scalars().all()
    return tuple(Agent.model_validate_json(body) for body in bodies)


def open_login(conn: Connection, token_digest: str, name: AgentName, expires_at: datetime) -> None:
    """One more login of an agent. Raises NotFound."""
    load(conn, name)
    conn.execute(insert(agent_tokens).values(token_digest=token_digest, name=name, expires_at=micros(expires_at)))


def of_token(conn: Connection, token_digest: str, now: datetime) -> Agent:
    """Raises NotAllowed for an unknown token or an agent no longer active, TokenExpired."""
    query = select(agent_tokens.c.expires_at, agents.c.body).join(agents, agents.c.name == agent_tokens.c.name)
    row = conn.execute(query.where(agent_tokens.c.token_digest == token_digest)).first()
    if row is None:
        raise NotAllowed("the login is unknown: log in again")
    if row.expires_at <= micros(now):
        raise TokenExpired("the login has expired: log in again")
    agent = Agent.model_validate_json(row.body)
    if not agent.active:
        raise NotAllowed(f"agent {agent.name} is no longer active")
    return agent


def close_login(conn: Connection, token_digest: str) -> None:
    """The token opens nothing from here on."""
    conn.execute(delete(agent_tokens).where(agent_tokens.c.token_digest == token_digest))
