"""Sessions, their tokens, and what verification needs to remember."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from assistant.adapters.sql_schema import code_requests, code_states, micros, session_tokens, sessions
from assistant.errors import NotAllowed, NotFound, TokenExpired, VersionConflict
from assistant.ports import CodeState
from assistant.types.messages import Session
from assistant.types.value import SessionId

# Statements of every turn are built once: building them costs more than SQLite takes to run them.
_LOAD = select(sessions.c.body).where(sessions.c.session_id == bindparam("of"))
_LOAD_LOCKED = _LOAD.with_for_update()
_SAVE = update(sessions).where(sessions.c.session_id == bindparam("of"), sessions.c.version == bindparam("was"))


def create(conn: Connection, session: Session) -> None:
    """A new session as given."""
    conn.execute(insert(sessions).values(session_id=session.session_id, **_columns(session)))


def load(conn: Connection, session_id: SessionId, *, lock: bool = False) -> Session:
    """The session as stored; `lock` holds its row to the end of the transaction. Raises NotFound."""
    body = conn.execute(_LOAD_LOCKED if lock else _LOAD, {"of": session_id}).scalar()
    if body is None:
        raise NotFound(f"no session {session_id}")
    return Session.model_validate_json(body)


def save(conn: Connection, session: Session) -> None:
    """Replace a session by its next version. Raises VersionConflict where that is not one above what is stored."""
    place = {"of": session.session_id, "was": session.version - 1}
    if conn.execute(_SAVE, {**place, **_columns(session)}).rowcount != 1:
        raise VersionConflict(
            f"session {session.session_id} is no longer at version {session.version - 1}: read it again"
        )


def _columns(session: Session) -> dict[str, str | int | None]:
    return {
        "version": session.version,
        "customer_id": session.identity.customer_id if session.identity else None,
        "created_at": micros(session.created_at),
        "body": session.model_dump_json(),
    }


# --- tokens -----------------------------------------------------------------------------------------------------------


def set_token(conn: Connection, session_id: SessionId, token_digest: str, expires_at: datetime) -> None:
    """From here on this token opens the session, and no other."""
    conn.execute(delete(session_tokens).where(session_tokens.c.session_id == session_id))
    row = {"token_digest": token_digest, "session_id": session_id, "expires_at": micros(expires_at)}
    conn.execute(insert(session_tokens).values(row))


def of_token(conn: Connection, token_digest: str, now: datetime) -> SessionId:
    """Raises NotAllowed, TokenExpired."""
    query = select(session_tokens.c.session_id, session_tokens.c.expires_at)
    row = conn.execute(query.where(session_tokens.c.token_digest == token_digest)).first()
    if row is None:
        raise NotAllowed("the session token is unknown: open a new session")
    if row.expires_at <= micros(now):
        raise TokenExpired("the session token has expired: open a new session")
    return SessionId(row.session_id)


# --- verification -----------------------------------------------------------------------------------------------------


def code_state(conn: Connection, session_id: SessionId) -> CodeState | None:
    """Where verification stands."""
    body = conn.execute(select(code_states.c.body).where(code_states.c.session_id == session_id)).scalar()
    return None if body is None else CodeState.model_validate_json(body)


def save_code(conn: Connection, session_id: SessionId, state: CodeState) -> None:
    """Replace where verification stands."""
    body = state.model_dump_json()
    if not conn.execute(update(code_states).where(code_states.c.session_id == session_id).values(body=body)).rowcount:
        conn.execute(insert(code_states).values(session_id=session_id, body=body))


def note_code(conn: Connection, session_id: SessionId, phone_digest: str, at: datetime) -> None:
    """One more code was asked for."""
    conn.execute(insert(code_requests).values(session_id=session_id, phone_digest=phone_digest, at=micros(at)))


def codes_since(conn: Connection, phone_digest: str, since: datetime) -> int:
    """Codes asked for one number, over all sessions."""
    query = select(func.count()).select_from(code_requests)
    query = query.where(code_requests.c.phone_digest == phone_digest, code_requests.c.at >= micros(since))
    return conn.execute(query).scalar_one()
