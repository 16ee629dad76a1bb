"""The event stream with its audit columns: appended here and nowhere else."""

import secrets
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, bindparam, func, insert, select

from assistant.adapters.sql_schema import events, heads, micros
from assistant.audit import GENESIS, AuditRow, HeadRow, chain_digest, content_digest, global_digest
from assistant.types.events import Event, EventDraft
from assistant.types.value import SessionId

_CHAIN_LOCK = 0x617564  # any number that nothing else in the database locks on
_BATCH = 1_000

# Statements of every turn are built once: building them costs more than SQLite takes to run them.
_INSERT_EVENTS = insert(events)
_INSERT_HEAD = insert(heads)
_LAST_HEAD = select(heads).order_by(heads.c.n.desc()).limit(1)
_TIP = (
    select(events.c.seq, events.c.chain_digest)
    .where(events.c.session_id == bindparam("of"))
    .order_by(events.c.seq.desc())
    .limit(1)
)


def last_seq(conn: Connection, session_id: SessionId) -> int:
    """Where a session's stream stands; 0 before its first event."""
    return _tip(conn, session_id)[0]


def append(conn: Connection, session_id: SessionId, drafts: Sequence[EventDraft]) -> tuple[Event, ...]:
    """Give the drafts their places in the stream, and the store one new head. The session's row must be locked."""
    if not drafts:
        return ()
    if conn.dialect.name == "postgresql":  # the global chain has one end: writers take turns from here to commit
        conn.execute(select(func.pg_advisory_xact_lock(_CHAIN_LOCK)))
    head = last_head(conn)
    n = head.n + 1 if head else 1
    seq, chain = _tip(conn, session_id)
    rows = []
    for draft in drafts:
        seq += 1
        salt, content = secrets.token_hex(16), draft.model_dump_json()
        digest = content_digest(salt, content)
        chain = chain_digest(chain, digest, seq, session_id)
        rows.append(
            {
                "session_id": session_id,
                "seq": seq,
                "n": n,
                "at": micros(draft.at),
                "kind": draft.body.kind,
                "salt": salt,
                "content": content,
                "content_digest": digest,
                "chain_digest": chain,
            }
        )
    conn.execute(_INSERT_EVENTS, rows)
    previous = head.global_digest if head else GENESIS
    new = HeadRow(
        n=n,
        session_id=session_id,
        seq=seq,
        chain_digest=chain,
        global_digest=global_digest(previous, n, session_id, seq, chain),
    )
    conn.execute(_INSERT_HEAD, new.model_dump())
    first = seq - len(drafts) + 1
    return tuple(_placed(session_id, first + i, draft) for i, draft in enumerate(drafts))


def read(conn: Connection, session_id: SessionId, after: int, limit: int) -> tuple[Event, ...]:
    """In order of seq; erased events are left out."""
    query = (
        select(events.c.seq, events.c.content)
        .where(events.c.session_id == session_id, events.c.seq > after, events.c.content.is_not(None))
        .order_by(events.c.seq)
        .limit(limit)
    )
    rows = conn.execute(query).all()
    return tuple(_placed(session_id, row.seq, EventDraft.model_validate_json(row.content)) for row in rows)


def last_head(conn: Connection) -> HeadRow | None:
    """The end of the global chain."""
    row = conn.execute(_LAST_HEAD).mappings().first()
    return HeadRow.model_validate(dict(row)) if row else None


def audit_rows(conn: Connection) -> Iterator[AuditRow]:
    """Every event of every session, in the order written."""
    query = select(*(events.c[name] for name in AuditRow.model_fields)).order_by(events.c.n, events.c.seq)
    for row in conn.execute(query, execution_options={"yield_per": _BATCH}).mappings():
        yield AuditRow.model_validate(dict(row))


def audit_heads(conn: Connection) -> Iterator[HeadRow]:
    """The global chain from its beginning."""
    for row in conn.execute(select(heads).order_by(heads.c.n), execution_options={"yield_per": _BATCH}).mappings():
        yield HeadRow.model_validate(dict(row))


def _tip(conn: Connection, session_id: SessionId) -> tuple[int, str]:
    row = conn.execute(_TIP, {"of": session_id}).first()
    return (row.seq, row.chain_digest) if row else (0, GENESIS)


def _placed(session_id: SessionId, seq: int, draft: EventDraft) -> Event:
    return Event(
        session_id=session_id,
        seq=seq,
        source=draft.source,
        trace_id=draft.trace_id,
        at=draft.at,
        body=draft.body,
        versions=draft.versions,
    )
