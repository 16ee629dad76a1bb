"""What customers asked of the policies: read from the turns and from the event stream, where it stands already."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, select

from assistant.adapters.sql_schema import UNANSWERED, events, micros, turns
from assistant.types.events import EventDraft, QuestionUnanswered
from assistant.types.messages import Reply, Said, Turn
from assistant.types.questions import AskedQuestion

_BATCH = 200


def unanswered(conn: Connection, since: datetime, limit: int) -> tuple[AskedQuestion, ...]:
    """Questions without a clause for them, newest first; erased ones are left out."""
    query = (
        select(events.c.session_id, events.c.content)
        .where(UNANSWERED, events.c.at >= micros(since), events.c.content.is_not(None))
        .order_by(events.c.at.desc(), events.c.n.desc(), events.c.seq.desc())
        .limit(limit)
    )
    found = []
    for row in conn.execute(query).all():
        draft = EventDraft.model_validate_json(row.content)
        assert isinstance(draft.body, QuestionUnanswered)
        found.append(AskedQuestion(session_id=row.session_id, at=draft.at, **draft.body.model_dump(exclude={"kind"})))
    return tuple(found)


def answered(conn: Connection, since: datetime, limit: int) -> tuple[AskedQuestion, ...]:
    """Questions answered from a clause, newest first."""
    query = (
        select(turns.c.body, turns.c.reply)
        .where(turns.c.reply.is_not(None), turns.c.accepted_at >= micros(since))
        .order_by(turns.c.accepted_at.desc(), turns.c.turn_id.desc())
    )
    with conn.execute(query, execution_options={"yield_per": _BATCH}) as rows:
        served = ((Turn.model_validate_json(row.body), Reply.model_validate_json(row.reply)) for row in rows)
        return tuple(islice(_cited(served), limit))


def _cited(served: Iterator[tuple[Turn, Reply]]) -> Iterator[AskedQuestion]:
    for turn, reply in served:
        if isinstance(turn.input, Said) and reply.citations and reply.intent is not None:
            yield AskedQuestion(
                session_id=turn.session_id,
                at=turn.accepted_at,
                text=turn.input.text,
                intent=reply.intent.id,
                act=reply.intent.act,
                locale=reply.locale,
            )
