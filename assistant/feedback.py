"""What agents teach: the corrections they made while they worked on cases."""

from assistant.paging import all_cases, all_events
from assistant.ports import Store
from assistant.types.cases import Case
from assistant.types.events import CaseChanged, ReplySent, TurnAccepted
from assistant.types.messages import Said
from assistant.types.value import IntentId, Value

_ASKS_FOR_A_PERSON = IntentId("human_agent")


class Correction(Value):
    """A masked message, and what an agent said it was about."""

    text: str
    intent: IntentId


def corrections(store: Store) -> tuple[Correction, ...]:
    """One for each relabelled case whose message the assistant had read otherwise, oldest case first."""
    found = (_correction(store, case) for case in sorted(all_cases(store), key=lambda case: case.opened_at))
    return tuple(one for one in found if one is not None)


def _correction(store: Store, case: Case) -> Correction | None:
    """About the last message before the relabelling that says more than that the customer wants a person."""
    texts: dict[str, str] = {}
    said: tuple[str, IntentId] | None = None
    corrected = None
    for body in (event.body for event in all_events(store, case.session_id)):
        if isinstance(body, TurnAccepted) and isinstance(body.turn.input, Said):
            texts[body.turn.trace_id] = body.turn.input.text
        elif isinstance(body, ReplySent) and body.reply.intent and body.reply.trace_id in texts:
            if body.reply.intent.id != _ASKS_FOR_A_PERSON:
                said = texts[body.reply.trace_id], body.reply.intent.id
        elif isinstance(body, CaseChanged) and (body.case_id, body.what) == (case.case_id, "relabelled"):
            corrected = (*said, body.intent) if said and body.intent else None
    if corrected is None:
        return None
    text, read, label = corrected
    return None if read == label else Correction(text=text, intent=label)
