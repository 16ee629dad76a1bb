"""The figures of the intent suite, on tables small enough to check by hand."""

import numpy as np
import pytest

from assistant.training.calibration import coverage_at, expected_calibration_error
from assistant.types.understanding import Abstention, Act, Alternative, Prediction
from assistant.types.value import IntentId
from eval.metrics import IntentRow, IntentTable, auroc, intent_intervals, intent_metrics, macro_f1, per_label


def said(
    intent: str,
    confidence: float = 0.9,
    others: tuple[str, ...] = (),
    act: Act | None = None,
    off: Abstention | None = None,
) -> Prediction:
    ranked = (Alternative(id=IntentId(intent), confidence=confidence),)
    ranked += tuple(Alternative(id=IntentId(other), confidence=0.01) for other in others)
    return Prediction(intent=IntentId(intent), act=act, confidence=confidence, abstained=off, alternatives=ranked[:3])


def table_of(*pairs: tuple[IntentRow, Prediction], scores: tuple[float, ...] | None = None) -> IntentTable:
    rows, predictions = zip(*pairs, strict=True)
    return IntentTable.of(rows, predictions, scores or [0.0] * len(rows), frozenset({"human_agent"}))


def test_rows_without_gold_count_for_the_lenient_figure_only() -> None:
    table = table_of(
        (IntentRow("refund", clear=True), said("refund")),
        (IntentRow("coupon"), said("promotion")),
        (IntentRow(None, frozenset({"coupon", "refund"})), said("refund")),
    )
    figures = intent_metrics(table)
    assert figures["accuracy_strict"] == pytest.approx(1 / 2)
    assert figures["accuracy_lenient"] == pytest.approx(2 / 3)
    assert figures["accuracy_clear"] == 1


def test_accept_lists_forgive_in_the_lenient_figure_and_not_in_the_strict_one() -> None:
    figures = intent_metrics(table_of((IntentRow("refund", frozenset({"refund", "coupon"})), said("coupon"))))
    assert (figures["accuracy_strict"], figures["accuracy_lenient"]) == (0, 1)


def test_recall_at_three_counts_the_prediction_and_the_next_two() -> None:
    figures = intent_metrics(
        table_of(
            (IntentRow("c"), said("a", others=("b", "c", "d"))),
            (IntentRow("d"), said("a", others=("b", "c", "d"))),
        )
    )
    assert figures["recall_at_3"] == pytest.approx(0.5)


def test_macro_f1_weighs_rare_labels_like_common_ones() -> None:
    gold = np.array(["a", "a", "a", "b"])
    assert macro_f1(gold, np.array(["a", "a", "a", "a"])) == pytest.approx((6 / 7) / 2)


def test_act_accuracy_leaves_out_rows_without_an_act() -> None:
    figures = intent_metrics(
        table_of((IntentRow("refund", act="ask"), said("refund", act="ask")), (IntentRow("greeting"), said("greeting")))
    )
    assert figures["act_accuracy"] == 1


def test_figures_without_rows_are_none_and_not_zero() -> None:
    figures = intent_metrics(table_of((IntentRow("refund"), said("refund"))))
    for name in ("accuracy_clear", "act_accuracy", "oos_recall", "oos_auroc", "unclear_recall", "human_route_recall"):
        assert figures[name] is None


def test_out_of_scope_figures_count_abstentions_and_false_alarms() -> None:
    table = table_of(
        (IntentRow("out_of_scope"), said("out_of_scope", off="out_of_scope")),
        (IntentRow("out_of_scope"), said("refund")),
        (IntentRow("refund"), said("out_of_scope", off="out_of_scope")),
        (IntentRow("refund"), said("refund")),
        scores=(0.9, 0.3, 0.6, 0.1),
    )
    figures = intent_metrics(table)
    assert figures["oos_recall"] == 0.5
    assert figures["oos_false_alarm"] == 0.5
    assert figures["oos_auroc"] == pytest.approx(0.75)


def test_a_message_for_a_person_counts_when_any_intent_for_a_person_is_said() -> None:
    rows = IntentRow("human_agent"), IntentRow("human_agent")
    table = table_of((rows[0], said("human_agent")), (rows[1], said("refund")))
    assert intent_metrics(table)["human_route_recall"] == 0.5


def test_unclear_messages_count_by_label_or_by_abstention() -> None:
    table = table_of((IntentRow("unclear"), said("unclear", off="unclear")), (IntentRow("unclear"), said("refund")))
    assert intent_metrics(table)["unclear_recall"] == 0.5


def test_auroc_counts_ties_as_half() -> None:
    assert auroc(np.array([0.5, 0.5]), np.array([True, False])) == 0.5


def test_coverage_is_the_largest_share_at_the_wanted_accuracy() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    assert coverage_at(confidence, np.array([True, True, False, True]), 0.75) == 1
    assert coverage_at(confidence, np.array([True, True, False, True]), 0.9) == 0.5
    assert coverage_at(confidence, np.array([False, True, True, True]), 0.95) == 0


def test_rows_of_equal_confidence_are_covered_together() -> None:
    assert coverage_at(np.array([0.9, 0.9]), np.array([True, False]), 0.95) == 0


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    confidence = np.repeat([0.2, 0.8], 50)
    right = np.concatenate([np.arange(50) < 10, np.arange(50) < 30])
    assert expected_calibration_error(confidence, right, bins=2) == pytest.approx(0.1)


def test_calibration_bins_hold_equal_numbers_of_rows() -> None:
    # By width all rows would share one bin, and the errors of both halves would cancel out.
    confidence = np.concatenate([np.full(50, 0.91), np.full(50, 0.99)])
    right = np.concatenate([np.ones(50, bool), np.arange(50) < 45])
    assert expected_calibration_error(confidence, right, bins=10) == pytest.approx(0.09, abs=0.04)


def test_intervals_hold_the_figure_and_repeat_with_the_seed() -> None:
    pairs = [(IntentRow("a"), said("a" if index % 4 else "b", confidence=0.5 + index / 400)) for index in range(200)]
    table = table_of(*pairs)
    intervals = intent_intervals(table, seed=7, resamples=200)
    low, high = intervals["accuracy_strict"] or (1, 0)
    assert 0.65 < low < 0.75 < high < 0.85
    assert intervals == intent_intervals(table, seed=7, resamples=200)
    assert intervals["oos_recall"] is None


def test_per_label_lists_what_was_asked_and_what_was_said() -> None:
    labels = per_label(table_of((IntentRow("a"), said("a")), (IntentRow("a"), said("b"))))
    assert labels["a"] == {"rows": 2, "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}
    assert labels["b"] == {"rows": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
