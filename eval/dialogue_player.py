"""Plays scripted customers against the real application: real encoder, index, database and sandbox bank."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from assistant.adapters.banking import SandboxBank
from assistant.calendar import SHANGHAI
from assistant.compose import Application, compose
from assistant.errors import AssistantError, InvalidInput
from assistant.institution import load_institution
from assistant.ports import CoreBanking, Encoder, Retriever
from assistant.settings import Settings
from assistant.types.messages import Reply
from assistant.types.value import CustomerId, SessionId
from assistant.types.views import PublicEvent
from eval.cases import START, DialogueCase

_PAUSE = timedelta(seconds=5)
_EVENT = re.compile(r"\[(?P<name>[a-z_ ]+?)(?::\s*(?P<value>[^\]]+))?\]")
_HOUR = re.compile(r"[0-2]?[0-9]:[0-5][0-9]")
_ADDRESS = "127.0.0.1"

BankMaker = Callable[[SandboxBank], CoreBanking]
State = dict[str, Any]


class ScriptClock:
    """Stands still but for the script."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        return self._now

    def set(self, now: datetime) -> None:
        """Move to an aware instant."""
        self._now = now.astimezone(UTC)

    def step(self) -> None:
        """The time a person takes to write."""
        self._now += _PAUSE


@dataclass(frozen=True)
class Played:
    """What came of one dialogue. The two first states are of the same instant, so that time alone changes nothing."""

    replies: tuple[Reply, ...]
    failures: tuple[str, ...]
    """Errors that a caller would have seen, by turn."""
    events: tuple[PublicEvent, ...]
    before: State
    after: State
    end: State
    others_changed: bool
    """Another customer's books were touched."""


@dataclass(frozen=True)
class Stage:
    """What all dialogues share: settings without state, and the parts that are dear to build."""

    settings: Settings
    message_encoder: Encoder
    retriever: Retriever
    bank_of: BankMaker = field(default=lambda bank: bank)
    """Puts something between the application and the ledger: a fault, in the tests of this suite."""


def play(stage: Stage, case: DialogueCase) -> Played:
    """One dialogue on a fresh database and a fresh bank. Raises InvalidInput for an event that is not known."""
    with application(stage) as (running, clock, bank):
        return _Script(running, clock, bank, case).run()


@contextmanager
def application(stage: Stage) -> Iterator[tuple[Application, ScriptClock, SandboxBank]]:
    """The whole application on a fresh database and a fresh bank, under a clock that can be set."""
    with tempfile.TemporaryDirectory(prefix="dialogue-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        apart = {"data_dir": place / "data", "keys_dir": place / "keys", "database_url": None}
        clock = ScriptClock()
        institution = load_institution(stage.settings.knowledge_dir / "institution.yaml")
        bank = SandboxBank(place / "bank.sqlite", clock, institution)
        running = compose(
            stage.settings.model_copy(update=apart),
            clock=clock,
            bank=stage.bank_of(bank),
            retriever=stage.retriever,
            message_encoder=stage.message_encoder,
        )
        try:
            yield running, clock, bank
        finally:
            running.close()
            bank.close()


class _Script:
    """One conversation, turn by turn."""

    def __init__(self, application: Application, clock: ScriptClock, bank: SandboxBank, case: DialogueCase) -> None:
        self._application = application
        self._clock = clock
        self._bank = bank
        self._case = case
        self._customer = CustomerId(case.customer)
        opened = application.sessions.open(case.locale, "evaluation")
        self._session: SessionId = opened.session_id
        self._replies: list[Reply] = []
        self._failures: list[str] = []

    def run(self) -> Played:
        before = _books(self._bank)
        for number, turn in enumerate(self._case.customer_turns, 1):
            self._clock.step()
            try:
                self._turn(number, turn.strip())
            except InvalidInput:
                raise
            except AssistantError as error:
                self._failures.append(f"turn {number}: {type(error).__name__}")
        end = self._bank.state(self._customer)
        self._clock.set(START)
        after = _books(self._bank)
        name = str(self._customer)
        others = {other for other in before if other != name and before[other] != after[other]}
        return Played(
            replies=tuple(self._replies),
            failures=tuple(self._failures),
            events=self._application.sessions.events(self._session),
            before=before[name],
            after=after[name],
            end=end,
            others_changed=bool(others),
        )

    def _turn(self, number: int, turn: str) -> None:
        event = _EVENT.fullmatch(turn)
        if event is None:
            self._replies.append(self._application.assistant.respond(self._session, turn, f"turn-{number}"))
            return
        match event["name"], event["value"]:
            case "identity_check", ("pass" | "fail") as result:
                self._identify(right=result == "pass")
            case "confirm", None:
                self._tap("confirm")
            case "confirm twice", None:
                self._tap("confirm")
                self._tap("confirm")
            case "cancel", None:
                self._tap("cancel")
            case "human", None:
                self._replies.append(self._application.assistant.ask_human(self._session, f"turn-{number}"))
            case "time", str(value):
                self._clock.set(_instant(value, self._clock.now()))
            case _:
                raise InvalidInput(f"dialogue {self._case.id}, turn {number}: {turn} is no harness event")

    def _identify(self, *, right: bool) -> None:
        verification = self._application.verification
        # Sandbox customers C0001 to C0050 have the numbers 13800000001 to 13800000050.
        verification.request(self._session, f"138{int(self._customer[1:]):08d}", _ADDRESS)
        code = self._application.sessions.outbox(self._session)[-1].code
        typed = code if right else f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
        self._replies.append(verification.confirm(self._session, typed).reply)

    def _tap(self, choice: Literal["confirm", "cancel"]) -> None:
        proposal = next((reply.proposal for reply in reversed(self._replies) if reply.proposal is not None), None)
        if proposal is None:
            self._failures.append(f"{choice}: no proposal was ever shown")
            return
        reply = self._application.assistant.tap(self._session, choice, proposal.proposal_id, proposal.digest)
        self._replies.append(reply)


def _books(bank: SandboxBank) -> dict[str, State]:
    from assistant.adapters.sandbox_customers import CUSTOMERS

    return {name: bank.state(CustomerId(name)) for name in (f"C{number:04d}" for number in range(1, CUSTOMERS + 1))}


def _instant(value: str, now: datetime) -> datetime:
    """A bare hour means today in Shanghai. Raises InvalidInput."""
    text = value.strip()
    try:
        if _HOUR.fullmatch(text):
            hour, minute = map(int, text.split(":"))
            return now.astimezone(SHANGHAI).replace(hour=hour, minute=minute, second=0)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"[time: {text}] is neither an hour nor an ISO instant") from error
    return found if found.tzinfo else found.replace(tzinfo=SHANGHAI)
