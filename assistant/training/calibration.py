"""Weighs the two views, makes probabilities honest and chooses when to abstain, on rows that were not learnt from."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.heads import Thresholds, log_softmax

TARGET_ERROR = 0.05
"""Share of wrong answers among those that pass the confidence threshold."""

WORTH_ANSWERING = 0.6
"""Calibrated confidence from which an answer serves better than a question back, whatever the share of errors."""

_LEAST_GAIN = 0.5
_PAIR = 0.6

_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Votes:
    """What meaning and letters say of each row: log-probabilities, shape (rows, classes)."""

    meaning: Floats
    letters: Floats

    def mixed(self, weight: float) -> Floats:
        """The mixture that `Heads` serves before its temperature; `weight` is the letters'."""
        both: Floats = (np.float32(1 - weight) * self.meaning + np.float32(weight) * self.letters).astype(np.float32)
        return both


@dataclass(frozen=True)
class Calibration:
    """What was chosen, and how good it is on the rows it was chosen on."""

    ngram_weight: float
    temperature: float
    act_temperature: float
    thresholds: Thresholds
    metrics: dict[str, float]
    probabilities: Floats
    """Of the intents, shape (rows, classes)."""

    def fields(self) -> dict[str, Any]:
        """By the names of `HeadsMeta`."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "probabilities"}


def calibrate(
    intent: Votes, labels: Indices, served: Booleans, act: Votes, acts: Indices, with_act: Booleans, affinity: Floats
) -> Calibration:
    """Choose weight, temperatures and thresholds; `affinity` is what an intent says of the act (classes, acts)."""
    weight = min(_WEIGHTS, key=lambda share: _loss_at_best(intent.mixed(share), labels))
    temperature = round(fit_temperature(intent.mixed(weight), labels), 4)
    probabilities = np.exp(log_softmax(intent.mixed(weight) / np.float32(temperature)))
    thresholds = choose_thresholds(probabilities, labels, served)
    act_scores = (act.mixed(weight) + affinity[probabilities.argmax(axis=1)])[with_act]
    metrics = held_out_metrics(probabilities, labels, served, thresholds)
    metrics["act_accuracy"] = round(float((act_scores.argmax(axis=1) == acts[with_act]).mean()), 4)
    return Calibration(
        ngram_weight=weight,
        temperature=temperature,
        act_temperature=round(fit_temperature(act_scores, acts[with_act]), 4),
        thresholds=thresholds,
        metrics=metrics,
        probabilities=probabilities,
    )


def _loss_at_best(log_probabilities: Floats, labels: Indices) -> float:
    return _loss(log_probabilities, labels, fit_temperature(log_probabilities, labels))


def _loss(log_probabilities: Floats, labels: Indices, temperature: float) -> float:
    scaled = log_softmax(log_probabilities / np.float32(temperature))
    return float(-scaled[np.arange(len(labels)), labels].mean())


def fit_temperature(log_probabilities: Floats, labels: Indices) -> float:
    """The divisor of the logits that makes the labels likeliest; golden-section search over its logarithm."""

    def loss(log_temperature: float) -> float:
        return _loss(log_probabilities, labels, float(np.exp(log_temperature)))

    golden = (np.sqrt(5) - 1) / 2
    low, high = np.log(0.05), np.log(10.0)
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def choose_thresholds(probabilities: Floats, labels: Indices, served: Booleans) -> Thresholds:
    """Thresholds for rows whose likeliest label is served (not a fallback).

    `low_confidence` is the least confidence above which at most TARGET_ERROR of the rows are wrong, and no less than
    WORTH_ANSWERING. `margin` is the widest gap between the leading two below which the rest is right less than half of
    the time.
    """
    ordered = np.sort(probabilities, axis=1)
    winner = probabilities.argmax(axis=1)
    rows = served[winner]
    first, second = ordered[rows, -1].astype(np.float64), ordered[rows, -2].astype(np.float64)
    right = (winner == labels)[rows]
    low = max(WORTH_ANSWERING, least_confidence(first, right, TARGET_ERROR))
    kept = first >= low
    margin = _widest_doubtful_margin((first - second)[kept], right[kept])
    return Thresholds(low_confidence=round(low, 4), margin=round(margin, 4), pair=_PAIR)


def least_confidence(confidence: Doubles, right: Booleans, error: float) -> float:
    """The lowest threshold whose kept rows are wrong at most this often; 1 where there is none."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    passing = np.flatnonzero(wrong <= error)
    return float(confidence[order][passing[-1]]) if len(passing) else 1.0


def _widest_doubtful_margin(margin: Doubles, right: Booleans) -> float:
    best = 0.0
    for candidate in np.arange(0.02, 0.42, 0.02):
        doubtful = margin < candidate
        if doubtful.sum() >= 10 and right[doubtful].mean() < _LEAST_GAIN:
            best = float(candidate)
    return best


def coverage_at(confidence: Doubles, right: Booleans, accuracy: float) -> float:
    """The largest share, most confident first, that is right this often; rows of equal confidence go together."""
    if not len(confidence):
        return 0.0
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    rate = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last_of_equals = np.append(ordered[1:] != ordered[:-1], True)
    passing = np.flatnonzero((rate >= accuracy) & last_of_equals)
    return float((passing[-1] + 1) / len(order)) if len(passing) else 0.0


def expected_calibration_error(confidence: Doubles, right: Booleans, bins: int = 10) -> float:
    """Mean distance between confidence and accuracy over bins of equal mass."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(part) * abs(confidence[part].mean() - right[part].mean()) for part in parts) / len(order))


def held_out_metrics(
    probabilities: Floats, labels: Indices, served: Booleans, thresholds: Thresholds
) -> dict[str, float]:
    """The figures of the model card, from calibrated probabilities."""
    winner = probabilities.argmax(axis=1)
    right = winner == labels
    confidence = probabilities.max(axis=1).astype(np.float64)
    ordered = np.sort(probabilities, axis=1)
    leading = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    acted = served[winner] & (confidence >= thresholds.low_confidence)
    acted &= ordered[:, -1] - ordered[:, -2] >= thresholds.margin
    figures = {
        "accuracy": right.mean(),
        "recall_at_3": (leading == labels[:, None]).any(axis=1).mean(),
        "macro_f1": macro_f1(winner, labels),
        "ece": expected_calibration_error(confidence, right),
        "coverage_at_95": coverage_at(confidence, right, 0.95),
        "coverage_at_98": coverage_at(confidence, right, 0.98),
        "acted_on": acted.mean(),
        "accuracy_acted_on": right[acted].mean() if acted.any() else 0.0,
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def macro_f1(predicted: Indices, labels: Indices) -> float:
    """Mean F1 over the labels that occur in `labels`."""
    size = int(max(predicted.max(), labels.max())) + 1
    hits = np.bincount(labels[predicted == labels], minlength=size)
    gold, said = np.bincount(labels, minlength=size), np.bincount(predicted, minlength=size)
    occurring = gold > 0
    return float(np.mean(2 * hits[occurring] / (gold[occurring] + said[occurring])))
