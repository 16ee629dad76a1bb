"""What agents teach: the corrections they made while they worked on cases."""

from collections.abc import Iterator

from assistant.ports import Store
from assistant.types.cases import Case
from assistant.types.events import CaseChanged, ReplySent, TurnAccepted
from assistant.types.messages import Said
from assistant.types.value import IntentId, SessionId, Value

_PAGE = 500
_ASKS_FOR_A_PERSON = IntentId("human_agent")


class Correction(Value):
    """A masked message, and what an agent said it was about."""

    text: str
    intent: IntentId


def corrections(store: Store) -> tuple[Correction, ...]:
    """One for each relabelled case whose message the assistant had read otherwise, oldest case first."""
    found = (_correction(store, case) for case in sorted(_cases(store), key=lambda case: case.opened_at))
    return tuple(one for one in found if one is not None)


def _correction(store: Store, case: Case) -> Correction | None:
    """About the last message before the relabelling that says more than that the customer wants a person."""
    texts: dict[str, str] = {}
    said: tuple[str, IntentId] | None = None
    corrected = None
    for body in _bodies(store, case.session_id):
        if isinstance(body, TurnAccepted) and isinstance(body.turn.input, Said):
            texts[body.turn.trace_id] = body.turn.input.text
        elif isinstance(body, ReplySent) and body.reply.intent and body.reply.trace_id in texts:
            if body.reply.intent.id != _ASKS_FOR_A_PERSON:
                said = texts[body.reply.trace_id], body.reply.intent.id
        elif isinstance(body, CaseChanged) and (body.case_id, body.what) == (case.case_id, "relabelled"):
            corrected = said
    if corrected is None or case.intent is None or corrected[1] == case.intent:
        return None
    return Correction(text=corrected[0], intent=case.intent)


def _cases(store: Store) -> Iterator[Case]:
    after = None
    while page := store.cases(after=after, limit=_PAGE):
        yield from page
        after = page[-1].case_id


def _bodies(store: Store, session_id: SessionId) -> Iterator[object]:
    after = 0
    while page := store.events(session_id, after=after, limit=_PAGE):
        yield from (event.body for event in page)
        after = page[-1].seq
