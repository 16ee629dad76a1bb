"""Makes probabilities honest, and chooses when to abstain, on out-of-fold predictions."""

import numpy as np
from numpy.typing import NDArray

from assistant.heads import Thresholds, log_softmax

TARGET_ERROR = 0.2
"""Share of wrong answers among those that pass the confidence threshold on out-of-fold data."""

_LEAST_GAIN = 0.5
_PAIR = 0.6

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
Booleans = NDArray[np.bool_]


def fit_temperature(log_probabilities: Floats, labels: Indices) -> float:
    """The divisor of the logits that makes the labels likeliest; golden-section search over its logarithm."""

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(log_probabilities / np.float32(np.exp(log_temperature)))
        return float(-scaled[np.arange(len(labels)), labels].mean())

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

    `low_confidence` is the least confidence above which at most TARGET_ERROR of the rows are wrong. `margin` is the
    widest gap between the leading two below which the rest is right less than half of the time.
    """
    ordered = np.sort(probabilities, axis=1)
    winner = probabilities.argmax(axis=1)
    rows = served[winner]
    first, second = ordered[rows, -1].astype(np.float64), ordered[rows, -2].astype(np.float64)
    right = (winner == labels)[rows]
    low = least_confidence(first, right, TARGET_ERROR)
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
    """The figures of the model card, from calibrated out-of-fold probabilities."""
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
