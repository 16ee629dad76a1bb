"""The tables of the first release.

Written out and not taken from `sql_schema`: a version says for ever what it did, and a test compares the two.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _sessions()
    _turns()
    _audit()
    _verification()
    _cases()


def _session_id() -> sa.Column[str]:
    return sa.Column("session_id", sa.Text, sa.ForeignKey("sessions.session_id"), nullable=False)


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("customer_id", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_sessions_customer_id", "sessions", ["customer_id"])
    op.create_table(
        "session_tokens",
        sa.Column("token_digest", sa.Text, primary_key=True),
        _session_id(),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_session_tokens_session_id", "session_tokens", ["session_id"])
    op.create_table(
        "vault",
        _session_id(),
        sa.Column("placeholder", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "placeholder"),
    )


def _turns() -> None:
    op.create_table(
        "turns",
        sa.Column("turn_id", sa.Text, primary_key=True),
        _session_id(),
        sa.Column("client_message_id", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("reply", sa.Text),
        sa.UniqueConstraint("session_id", "client_message_id"),
    )
    is_open = sa.text("reply IS NULL")
    op.create_index(
        "one_open_turn", "turns", ["session_id"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_table(
        "action_claims",
        sa.Column("key", sa.Text, primary_key=True),
        _session_id(),
        sa.Column("turn_id", sa.Text, sa.ForeignKey("turns.turn_id"), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("claimed_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("receipt", sa.Text),
    )
    op.create_index("ix_action_claims_state", "action_claims", ["state"])
    op.create_table(
        "proposals",
        sa.Column("proposal_id", sa.Text, primary_key=True),
        _session_id(),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    is_live = sa.text("status = 'live'")
    op.create_index(
        "one_live_proposal", "proposals", ["session_id"], unique=True, sqlite_where=is_live, postgresql_where=is_live
    )
    op.create_index("ix_proposals_session_id", "proposals", ["session_id"])


def _audit() -> None:
    op.create_table(
        "events",
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("salt", sa.Text),
        sa.Column("content", sa.Text),
        sa.Column("content_digest", sa.Text, nullable=False),
        sa.Column("chain_digest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "seq"),
    )
    op.create_index("ix_events_n_seq", "events", ["n", "seq"])
    op.create_table(
        "heads",
        sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("chain_digest", sa.Text, nullable=False),
        sa.Column("global_digest", sa.Text, nullable=False),
    )


def _verification() -> None:
    op.create_table(
        "code_states",
        sa.Column("session_id", sa.Text, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "code_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        _session_id(),
        sa.Column("phone_digest", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_code_requests_phone_digest_at", "code_requests", ["phone_digest", "at"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        _session_id(),
        sa.Column("sealed", sa.Text, nullable=False),
    )
    op.create_index("ix_outbox_session_id", "outbox", ["session_id"])


def _cases() -> None:
    op.create_table(
        "cases",
        sa.Column("case_id", sa.Text, primary_key=True),
        _session_id(),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("assignee", sa.Text),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_cases_status_queue_rank_due_at", "cases", ["status", "queue", "rank", "due_at"])
    op.create_index("ix_cases_session_id", "cases", ["session_id"])
    op.create_table(
        "agents",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "agent_tokens",
        sa.Column("token_digest", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, sa.ForeignKey("agents.name"), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
