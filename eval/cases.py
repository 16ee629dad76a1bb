"""Rows of evaluation files: read, checked, and named without repeating what other people wrote."""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from assistant.errors import InvalidInput
from assistant.settings import ROOT
from assistant.types.understanding import Act
from assistant.types.value import Value
from eval.metrics import IntentRow

DATA = Path(__file__).resolve().parent / "data"
START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
"""When every suite takes place: Monday 23 November 2026, 10:00 in Shanghai, a working hour."""
DialogueOutcome = Literal["warned", "escalated", "refused", "clarified_then_served", "self_served"]


class Row(BaseModel):
    """One line of a file; keys that are not ours are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


RowType = TypeVar("RowType", bound=BaseModel)


class IntentCase(Row):
    """A message and its right label: `gold` wins over `intent`; `accept` holds every defensible one.

    `secondary` is what else is asked for; null says that nothing is, and a row without the key says nothing of it.
    """

    text: str = Field(min_length=1)
    intent: str | None = None
    gold: str | None = None
    accept: tuple[str, ...] = ()
    act: Act | None = None
    clear: bool = False
    secondary: str | None = None
    lang: str | None = None

    @model_validator(mode="after")
    def _has_a_label(self) -> Self:
        if not (self.intent or self.gold or self.accept):
            raise ValueError("neither intent, gold nor accept names a label")
        return self

    @property
    def row(self) -> IntentRow:
        """What the metrics need. A row whose `gold` is null keeps no right answer, only defensible ones."""
        gold = self.gold if "gold" in self.model_fields_set else self.intent
        return IntentRow(gold=gold, accept=frozenset(self.accept), clear=self.clear, act=self.act)


class SlotCase(Row):
    """A message read on an Asia/Shanghai day, and every slot it names; a slot left out is to be empty."""

    text: str = Field(min_length=1)
    at: date
    slots: dict[str, Any]


class Expected(Row):
    """What is right about a conversation. `must_mention`: lists of alternatives count, prose is for readers."""

    outcome: DialogueOutcome
    intents: tuple[str, ...] = ()
    must_mention: tuple[str | tuple[str, ...], ...] = ()
    must_not: tuple[str, ...] = ()
    priority: Literal["low", "normal", "high", "urgent"] | None = None
    bank: dict[str, Any] = Field(default_factory=dict, description="End state; any change it does not name is wrong.")


class DialogueCase(Row):
    """What a customer says in order; a turn in square brackets is a harness event."""

    id: str = Field(min_length=1)
    customer: str = "C0001"
    locale: Literal["zh-CN", "en"] = "zh-CN"
    customer_turns: tuple[str, ...] = Field(min_length=1)
    expected: Expected


class DataSource(Value):
    """A file of rows as a report names it: no folder, since folders tell whose machine it was."""

    name: str
    sha256: str
    rows: int
    ours: bool = Field(description="Inside the repository: its sentences may stand in a report.")

    def label(self, text: str) -> dict[str, str]:
        """How a report names a row: its text where it is ours, else the SHA-1 of it."""
        return {"text": text} if self.ours else {"sha1": sha1(text)}


def sha1(text: str) -> str:
    """Names a sentence without repeating it."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def load(path: Path, model: type[RowType]) -> tuple[tuple[RowType, ...], DataSource]:
    """All rows of a JSONL file. Raises InvalidInput naming the file, the line and what is wrong with it."""
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InvalidInput(f"cannot read {path.name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not UTF-8 at byte {error.start}") from error
    rows = tuple(_row(path.name, number, line, model) for number, line in enumerate(lines, 1) if line.strip())
    if not rows:
        raise InvalidInput(f"{path.name} has no rows")
    ours = path.resolve().is_relative_to(ROOT)
    digest = hashlib.sha256(content).hexdigest()
    return rows, DataSource(name=path.name, sha256=digest, rows=len(rows), ours=ours)


def load_dialogues(path: Path) -> tuple[tuple[DialogueCase, ...], DataSource]:
    """All dialogues of a file. Raises InvalidInput, also where two have one id."""
    rows, source = load(path, DialogueCase)
    names = [row.id for row in rows]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"{path.name}: the id {twice[0]} is used twice")
    return rows, source


def _row(name: str, number: int, line: str, model: type[RowType]) -> RowType:
    try:
        return model.model_validate(json.loads(line))
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{name} line {number} is not JSON: {error.msg} at column {error.colno}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "row"
        raise InvalidInput(f"{name} line {number}, {where}: {first['msg']}") from error
