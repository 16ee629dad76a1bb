"""The tables. Whole values stand in `body` as JSON; a column beside it is there to be searched, joined or guarded.

Instants are integer microseconds since 1970 UTC: exact, sortable and the same on every database.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def micros(instant: datetime) -> int:
    """An aware instant as stored."""
    return (instant - EPOCH) // timedelta(microseconds=1)


sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("customer_id", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "customer_id"),
)

session_tokens = Table(
    "session_tokens",
    metadata,
    Column("token_digest", Text, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.session_id"), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "session_id"),
)

turns = Table(
    "turns",
    metadata,
    Column("turn_id", Text, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.session_id"), nullable=False),
    Column("client_message_id", Text, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("reply", Text),  # NULL: the turn is open
    UniqueConstraint("session_id", "client_message_id"),
    Index(None, "accepted_at"),
)
Index(
    "one_open_turn",
    turns.c.session_id,
    unique=True,
    sqlite_where=turns.c.reply.is_(None),
    postgresql_where=turns.c.reply.is_(None),
)

# No foreign key to sessions: the digests outlive a session whose other rows retention has deleted.
events = Table(
    "events",
    metadata,
    Column("session_id", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("n", BigInteger, nullable=False),  # the head of the transaction that wrote it
    Column("at", BigInteger, nullable=False),  # for retention; the audited instant stands in content
    Column("kind", Text),  # of content, to be searched; NULL: written before revision 0002
    Column("salt", Text),  # NULL with content: erased
    Column("content", Text),
    Column("content_digest", Text, nullable=False),
    Column("chain_digest", Text, nullable=False),
    PrimaryKeyConstraint("session_id", "seq"),
    Index(None, "n", "seq"),
)

UNANSWERED = events.c.kind == literal_column("'question_unanswered'")
"""Which events the index below holds; with a bound value no database would see that it may use the index."""
Index("unanswered_questions", events.c.at, sqlite_where=UNANSWERED, postgresql_where=UNANSWERED)

heads = Table(
    "heads",
    metadata,
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("session_id", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("chain_digest", Text, nullable=False),
    Column("global_digest", Text, nullable=False),
)

vault = Table(
    "vault",
    metadata,
    Column("session_id", Text, ForeignKey("sessions.session_id"), nullable=False),
    Column("placeholder", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    PrimaryKeyConstraint("session_id", "placeholder"),
)

action_claims = Table(
    "action_claims",
    metadata,
    Column("key", Text, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.session_id"), nullable=False),
    Column("turn_id", Text, ForeignKey("turns.turn_id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("receipt", Text),
    Index(None, "state"),
)

proposals = Table(
    "proposals",
    metadata,
    Column("proposal_id", Text, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.session_id"), nullable=False),
    Column("status", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "session_id"),
)
Index(
    "one_live_proposal",
    proposals.c.session_id,
    unique=True,
    sqlite_where=proposals.c.status == "live",
    postgresql_where=proposals.c.status == "live",
)

code_states = Table(
    "code_states",
    metadata,
    Column("session_id", Text, ForeignKey("sessions.session_id"), primary_key=True),
    Column("body", Text, nullable=False),
)

code_requests = Table(
    "code_requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.session_id"), nullable=False),
    Column("phone_digest", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "phone_digest", "at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.session_id"), nullable=False),
    Column("sealed", Text, nullable=False),
    Index(None, "session_id"),
)

cases = Table(
    "cases",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.session_id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("assignee", Text),
    Column("rank", Integer, nullable=False),  # 0 urgent … 3 low
    Column("due_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "status", "queue", "rank", "due_at"),
    Index(None, "session_id"),
)

agents = Table(
    "agents",
    metadata,
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("body", Text, nullable=False),
)

agent_tokens = Table(
    "agent_tokens",
    metadata,
    Column("token_digest", Text, primary_key=True),
    Column("name", Text, ForeignKey("agents.name"), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
