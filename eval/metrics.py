"""Figures of the intent suite: pure functions of arrays. A figure without rows to rest on is None, never zero."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from assistant.training.calibration import coverage_at, expected_calibration_error
from assistant.types.understanding import Prediction

OUT_OF_SCOPE = "out_of_scope"
UNCLEAR = "unclear"
BINS = 10
_RESAMPLES = 1000

Booleans = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Names = NDArray[np.str_]


@dataclass(frozen=True)
class IntentRow:
    """One row of an intents file: what is right about a message."""

    gold: str | None
    accept: frozenset[str] = frozenset()
    clear: bool = False
    act: str | None = None

    def accepts(self, intent: str) -> bool:
        """Whether an answer is defensible; without an `accept` list only gold is."""
        return intent in self.accept if self.accept else intent == self.gold


@dataclass(frozen=True)
class IntentTable:
    """Rows and predictions side by side, one entry a message in every array."""

    gold: Names
    """Empty where the annotators differ."""
    predicted: Names
    strict: Booleans
    lenient: Booleans
    among_three: Booleans
    clear: Booleans
    has_act: Booleans
    act_right: Booleans
    confidence: Doubles
    oos_score: Doubles
    said_oos: Booleans
    said_unclear: Booleans
    human_gold: Booleans
    human_said: Booleans

    @classmethod
    def of(
        cls,
        rows: Sequence[IntentRow],
        predictions: Sequence[Prediction],
        oos_scores: Sequence[float],
        human: frozenset[str] = frozenset(),
    ) -> Self:
        """`oos_scores`: the probability of out_of_scope; `human`: the intents whose route is a person."""
        pairs = list(zip(rows, predictions, strict=True))
        return cls(
            gold=np.array([row.gold or "" for row in rows], np.str_),
            predicted=np.array([prediction.intent for prediction in predictions], np.str_),
            strict=_flags(prediction.intent == row.gold for row, prediction in pairs),
            lenient=_flags(row.accepts(prediction.intent) for row, prediction in pairs),
            among_three=_flags(row.gold in _leading(prediction) for row, prediction in pairs),
            clear=_flags(row.clear for row in rows),
            has_act=_flags(row.act is not None for row in rows),
            act_right=_flags(row.act == prediction.act for row, prediction in pairs),
            confidence=np.array([prediction.confidence for prediction in predictions], np.float64),
            oos_score=np.asarray(oos_scores, np.float64),
            said_oos=_flags(OUT_OF_SCOPE in (said.intent, said.abstained) for said in predictions),
            said_unclear=_flags(UNCLEAR in (said.intent, said.abstained) for said in predictions),
            human_gold=_flags(row.gold in human for row in rows),
            human_said=_flags(prediction.intent in human for prediction in predictions),
        )

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The same table of some rows, repeated where they repeat."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def scored(self) -> Booleans:
        """Rows with one right answer."""
        return np.asarray(self.gold != "", np.bool_)


def intent_metrics(table: IntentTable) -> dict[str, float | None]:
    """Every figure of the suite but the latency, by the key of the report."""
    return {name: figure(table) for name, figure in _FIGURES.items()}


def intent_intervals(
    table: IntentTable, seed: int = 0, resamples: int = _RESAMPLES
) -> dict[str, tuple[float, float] | None]:
    """Bootstrap 95 % intervals over rows; None for a figure that some resample cannot be computed on."""
    random = np.random.default_rng(seed)
    size = len(table.gold)
    if not size:
        return dict.fromkeys(_FIGURES)
    drawn = [intent_metrics(table.take(random.integers(0, size, size))) for _ in range(resamples)]
    return {name: _interval([figures[name] for figures in drawn]) for name in _FIGURES}


def per_label(table: IntentTable) -> dict[str, dict[str, float]]:
    """Rows, precision, recall and F1 of each label that occurs in gold or prediction (scored rows only)."""
    gold, predicted = table.gold[table.scored], table.predicted[table.scored]
    result: dict[str, dict[str, float]] = {}
    for label in np.unique(np.concatenate([gold, predicted])):
        hits = int(np.sum((gold == label) & (predicted == label)))
        of_gold, of_predicted = int(np.sum(gold == label)), int(np.sum(predicted == label))
        result[str(label)] = {
            "rows": of_gold,
            "precision": hits / of_predicted if of_predicted else 0.0,
            "recall": hits / of_gold if of_gold else 0.0,
            "f1": 2 * hits / (of_gold + of_predicted),
        }
    return result


def macro_f1(gold: Names, predicted: Names) -> float | None:
    """Mean F1 over the labels that occur in `gold`."""
    if not len(gold):
        return None
    names, codes = np.unique(np.concatenate([gold, predicted]), return_inverse=True)
    of_gold, of_predicted = codes[: len(gold)], codes[len(gold) :]
    size = len(names)
    hits = np.bincount(of_gold[of_gold == of_predicted], minlength=size)
    wanted, said = np.bincount(of_gold, minlength=size), np.bincount(of_predicted, minlength=size)
    occurring = wanted > 0
    return float(np.mean(2 * hits[occurring] / (wanted[occurring] + said[occurring])))


def auroc(scores: Doubles, positive: Booleans) -> float | None:
    """Probability that a positive row scores above a negative one; ties count half. None without both kinds."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[place]
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _mean(flags: Booleans, among: Booleans) -> float | None:
    return float(flags[among].mean()) if among.any() else None


def _coverage(accuracy: float) -> Callable[[IntentTable], float | None]:
    def figure(table: IntentTable) -> float | None:
        scored = table.scored
        return coverage_at(table.confidence[scored], table.strict[scored], accuracy) if scored.any() else None

    return figure


def _ece(table: IntentTable) -> float | None:
    scored = table.scored
    if not scored.any():
        return None
    return expected_calibration_error(table.confidence[scored], table.strict[scored], BINS)


_FIGURES: dict[str, Callable[[IntentTable], float | None]] = {
    "accuracy_strict": lambda table: _mean(table.strict, table.scored),
    "accuracy_lenient": lambda table: _mean(table.lenient, np.ones_like(table.lenient)),
    "accuracy_clear": lambda table: _mean(table.strict, table.scored & table.clear),
    "recall_at_3": lambda table: _mean(table.among_three, table.scored),
    "macro_f1": lambda table: macro_f1(table.gold[table.scored], table.predicted[table.scored]),
    "act_accuracy": lambda table: _mean(table.act_right, table.has_act),
    "ece": _ece,
    "coverage_at_95": _coverage(0.95),
    "coverage_at_98": _coverage(0.98),
    "oos_recall": lambda table: _mean(table.said_oos, table.gold == OUT_OF_SCOPE),
    "oos_false_alarm": lambda table: _mean(table.said_oos, table.scored & (table.gold != OUT_OF_SCOPE)),
    "oos_auroc": lambda table: auroc(table.oos_score[table.scored], table.gold[table.scored] == OUT_OF_SCOPE),
    "unclear_recall": lambda table: _mean(table.said_unclear, table.gold == UNCLEAR),
    "human_route_recall": lambda table: _mean(table.human_said, table.human_gold),
}


def _interval(values: Sequence[float | None]) -> tuple[float, float] | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _leading(prediction: Prediction) -> tuple[str, ...]:
    """The three likeliest; alternatives repeat the prediction itself."""
    return tuple(dict.fromkeys([prediction.intent, *(other.id for other in prediction.alternatives)]))[:3]


def _flags(values: Iterable[bool]) -> Booleans:
    return np.fromiter(values, np.bool_)
