"""The labelled utterances the understanding models are trained on."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.errors import InvalidInput
from assistant.feedback import Correction
from assistant.taxonomy import Taxonomy
from assistant.types.understanding import Act
from assistant.types.value import IntentId


class Utterance(BaseModel):
    """One line of a data file; keys not listed here are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: Annotated[str, Field(min_length=1)]
    intent: IntentId
    act: Act | None = None
    lang: str = "zh"
    author: str = ""


class _Corrected(BaseModel):
    """A line of an evaluation file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: Annotated[str, Field(min_length=1)]
    intent: IntentId | None = None
    gold: IntentId | None = None

    @property
    def label(self) -> IntentId | None:
        """`gold` wins where both stand; a null one says that nobody knows."""
        return self.gold if "gold" in self.model_fields_set else self.intent


def load_utterances(path: Path, taxonomy: Taxonomy) -> tuple[Utterance, ...]:
    """Read a JSONL file, or all of a folder in the order of their names. Raises InvalidInput with file and line."""
    utterances = tuple(
        _parse(line, f"{file}:{number}", taxonomy) for file in files_of(path) for number, line in lines_of(file)
    )
    if missing := [name for name in taxonomy.ids if name not in {utterance.intent for utterance in utterances}]:
        raise InvalidInput(f"{path} has no utterance of: {', '.join(missing)}")
    return utterances


def files_of(path: Path) -> list[Path]:
    """The JSONL files of a folder in the order of their names, or the one file that the path names."""
    return sorted(path.glob("*.jsonl")) if path.is_dir() else [path]


def load_corrections(path: Path) -> tuple[Correction, ...]:
    """Labelled messages, as evaluation files have them (`intent` or `gold`); those without a label are left out.

    Raises InvalidInput with file and line.
    """
    found = []
    for number, line in lines_of(path):
        try:
            row = _Corrected.model_validate_json(line)
        except ValidationError as error:
            raise InvalidInput(f"{path}:{number}: {error}") from error
        if row.label is not None:
            found.append(Correction(text=row.text, intent=row.label))
    return tuple(found)


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file that are not blank, with their numbers. Raises InvalidInput."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as UTF-8: {error}") from error
    yield from ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _parse(line: str, where: str, taxonomy: Taxonomy) -> Utterance:
    try:
        utterance = Utterance.model_validate(json.loads(line))
    except (json.JSONDecodeError, ValidationError) as error:
        raise InvalidInput(f"{where}: {error}") from error
    if utterance.intent not in taxonomy:
        raise InvalidInput(f"{where}: unknown intent {utterance.intent!r}; intents.yaml lists {len(taxonomy.ids)}")
    # Small talk and the fallbacks have no act, whatever an author wrote.
    return utterance if taxonomy[utterance.intent].has_act else utterance.model_copy(update={"act": None})


def sha256_of(path: Path) -> str:
    """Content hash of a data file, or of a folder's files one after the other."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files_of(path))).hexdigest()


def stratified_folds(labels: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row: every label spread evenly, the same for the same seed."""
    random = np.random.default_rng(seed)
    names = np.asarray(labels)
    assigned = np.empty(len(names), np.int64)
    start = 0
    for name in np.unique(names):
        rows = random.permutation(np.flatnonzero(names == name))
        # Labels take turns at who gets the odd row, so that folds stay equal in size.
        assigned[rows] = (np.arange(len(rows)) + start) % folds
        start += len(rows)
    return assigned
