"""The slot suite: what a message names, all of it and nothing more."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from assistant.glossary import load_glossary
from assistant.settings import Settings
from assistant.slots import extract
from assistant.types.understanding import Slots
from eval.cases import DATA, DataSource, SlotCase, load
from eval.report import Report

_RESAMPLES = 1000
Extract = Callable[[str, date], Slots]


def evaluate_slots(settings: Settings, data: Path | None) -> Report:
    """Score the slot reader, on the blind exam or another file. Raises InvalidInput."""
    cases, source = load(data or DATA / "slots_exam.jsonl", SlotCase)
    glossary = load_glossary(settings.knowledge_dir / "glossary.yaml")
    return score(lambda text, on: extract(text, on, glossary), cases, source)


def score(read: Extract, cases: Sequence[SlotCase], source: DataSource) -> Report:
    """The report of one reader on some rows."""
    found = [read(case.text, case.at).model_dump(mode="json", exclude_none=True) for case in cases]
    right = np.array([said == case.slots for said, case in zip(found, cases, strict=True)])
    return Report(
        suite="slots",
        data=source,
        versions={},
        metrics={"exact_match": float(right.mean())},
        intervals={"exact_match": bootstrap(right)},
        per_label={name: _per_slot(name, cases, found) for name in Slots.model_fields},
        rows=[
            {**source.label(case.text), "right": bool(hit), **({} if hit else _difference(case, said, source))}
            for case, said, hit in zip(cases, found, right, strict=True)
        ],
    )


def bootstrap(hits: np.ndarray[Any, np.dtype[np.bool_]], seed: int = 0) -> tuple[float, float]:
    """A 95 % interval of a share."""
    random = np.random.default_rng(seed)
    shares = [random.choice(hits, len(hits)).mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


def _per_slot(name: str, cases: Sequence[SlotCase], found: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    wanted = [case.slots.get(name) for case in cases]
    said = [slots.get(name) for slots in found]
    hits = sum(right is not None and right == value for right, value in zip(wanted, said, strict=True))
    of_wanted, of_said = sum(value is not None for value in wanted), sum(value is not None for value in said)
    return {
        "rows": of_wanted,
        "precision": hits / of_said if of_said else None,
        "recall": hits / of_wanted if of_wanted else None,
    }


def _difference(case: SlotCase, said: dict[str, Any], source: DataSource) -> dict[str, Any]:
    """What differs; of foreign sentences only the names of the slots, since a brand is quoted from the sentence."""
    names = sorted(name for name in {*case.slots, *said} if case.slots.get(name) != said.get(name))
    if not source.ours:
        return {"differ": names}
    return {
        "expected": {name: case.slots.get(name) for name in names},
        "found": {name: said.get(name) for name in names},
    }
