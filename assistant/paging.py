"""Whole lists out of a store that gives pages."""

from collections.abc import Iterator

from assistant.ports import Store
from assistant.types.cases import Case, CaseStatus
from assistant.types.events import Event
from assistant.types.value import SessionId

_CASES = 500


def all_events(store: Store, session_id: SessionId) -> Iterator[Event]:
    """Every event of a session, in order."""
    after = 0
    while page := store.events(session_id, after):
        yield from page
        after = page[-1].seq


def all_cases(store: Store, status: CaseStatus | None = None) -> Iterator[Case]:
    """Every case, or every one of a status, in the queue's order."""
    after = None
    while page := store.cases(status=status, after=after, limit=_CASES):
        yield from page
        after = page[-1].case_id
