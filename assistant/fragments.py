"""What one step of a plan contributes to a reply, and the scene it plays in."""

from collections.abc import Callable
from dataclasses import dataclass

from assistant.types.actions import Proposal, Receipt
from assistant.types.answers import Citation
from assistant.types.cases import Case
from assistant.types.events import EventBody
from assistant.types.messages import Choice, Outcome, Pending, Session, Turn
from assistant.types.understanding import Understanding
from assistant.types.value import Instant
from assistant.voice import SILENCE, Phrase, Voice


@dataclass(frozen=True)
class Scene:
    """What every step of one turn shares; `heard` is None where the customer tapped rather than wrote."""

    turn: Turn
    session: Session
    heard: Understanding | None
    now: Instant
    voice: Voice
    stage: Callable[[str], None]


@dataclass(frozen=True)
class Fragment:
    """Words with their grounds, and what changes because of them."""

    outcome: Outcome
    words: Phrase
    details: Phrase = SILENCE
    citations: tuple[Citation, ...] = ()
    shown: Proposal | None = None
    ended: tuple[Proposal, ...] = ()
    receipt: Receipt | None = None
    case: Case | None = None
    queue_position: int | None = None
    choices: tuple[Choice, ...] = ()
    pending: Pending | None = None
    events: tuple[EventBody, ...] = ()


def choice(voice: Voice, name: str) -> Choice:
    """The quick reply `choice_<name>` of the catalogue."""
    return Choice(label=voice.label(f"choice_{name}_label"), message=voice.label(f"choice_{name}_message"))


def choices(voice: Voice, *names: str) -> tuple[Choice, ...]:
    """Quick replies, and always the way to a person last."""
    return tuple(choice(voice, name) for name in (*names, "human"))
