"""What customers asked can be listed by time: the unanswered questions, and the turns."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Events of before keep NULL: none of them is of the kind that is searched for.
    op.add_column("events", sa.Column("kind", sa.Text))
    is_unanswered = sa.text("kind = 'question_unanswered'")
    op.create_index(
        "unanswered_questions", "events", ["at"], sqlite_where=is_unanswered, postgresql_where=is_unanswered
    )
    op.create_index("ix_turns_accepted_at", "turns", ["accepted_at"])
