"""The comparison of variants: what it draws, cuts, teaches and lists."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.progress import Progress

from assistant.heads import Indices
from assistant.settings import Settings
from assistant.taxonomy import load_taxonomy
from assistant.training.deltas import Deltas, factors_of
from assistant.training.tuning import Recipe, Run
from assistant.types.understanding import Prediction
from eval import comparison
from eval.cases import DataSource, IntentCase, load, sha1
from eval.comparison import Contrastive, Distilled, Laboratory, compare, cut
from eval.errors import instructive, kind_of
from tests.test_tuning import RECIPE, SEED, examples, start, tiny_source

ROWS: Indices = np.arange(24)


def test_a_smaller_draw_is_part_of_a_larger_one_and_even(settings: Settings) -> None:
    lab = Laboratory(settings, ["还款"], ["退款"], Progress(disable=True))
    small, large = lab.rows(670), lab.rows(1340)
    assert set(small.texts) < set(large.texts)
    assert np.bincount(small.intents).tolist() == [10] * 67


def test_cutting_keeps_the_nearest_change_of_that_rank() -> None:
    random = np.random.default_rng(3)
    change = (random.normal(size=(12, 4)) @ random.normal(size=(4, 8))).astype(np.float32)
    whole = Deltas.of("base", {"w": factors_of(change, 8)}, {"b": np.ones(5, np.float32)})
    short = cut(whole, 2)
    up, down = factors_of(change, 2)
    assert np.linalg.matrix_rank(short.change("w"), tol=0.1) == 2
    assert np.allclose(short.change("w"), up @ down, atol=0.05 * np.abs(change).max())
    assert np.array_equal(short.change("b"), np.ones(5, np.float32))


def test_contrast_rewards_vectors_of_one_intent_that_lie_together() -> None:
    plain = Run(tiny_source(), examples(), start(), RECIPE, SEED)
    contrast = Contrastive(tiny_source(), examples(), start(), RECIPE, SEED)
    assert contrast.identity != plain.identity
    together = torch.nn.functional.normalize(torch.eye(16)[torch.from_numpy(examples().intents)] + 0.01, dim=-1)
    torn = together[torch.from_numpy(np.arange(24) % 3 * 8)]

    def added(vectors: torch.Tensor) -> float:
        torch.manual_seed(0)
        both = contrast.loss(vectors, ROWS)
        torch.manual_seed(0)
        return (both - plain.loss(vectors, ROWS)).item()

    assert 0 <= added(together) < 0.5 * added(torn)


def test_a_student_is_pulled_to_what_it_is_taught_and_not_to_the_labels() -> None:
    taught = np.full((24, 3), 0.05, np.float32)
    taught[:, 2] = 0.9
    student = Distilled(taught, tiny_source(), examples(), start(), RECIPE, SEED)
    plain = Run(tiny_source(), examples(), start(), RECIPE, SEED)
    assert student.identity != plain.identity
    agreeing, labelled = torch.from_numpy(np.log(taught)), torch.eye(3)[torch.from_numpy(examples().intents)] * 5
    assert student.intent_loss(agreeing, ROWS) < student.intent_loss(labelled, ROWS)
    assert plain.intent_loss(labelled, ROWS) < plain.intent_loss(agreeing, ROWS)


def case(gold: str | None, *accept: str) -> IntentCase:
    return IntentCase(text=f"{gold} {accept}", gold=gold, accept=accept or (gold or "",))


def read(intent: str, confidence: float = 0.9, second: str = "complaint") -> Prediction:
    others = [{"id": intent, "confidence": confidence}, {"id": second, "confidence": 1 - confidence}]
    return Prediction.model_validate(
        {"intent": intent, "act": None, "confidence": confidence, "alternatives": others, "abstained": None}
    )


@pytest.mark.parametrize(
    ("row", "said", "kind"),
    [
        (case("refund"), "refund", "right by a narrow margin"),
        (case("refund", "refund", "coupon"), "coupon", "the other annotator's label"),
        (case(None, "refund", "coupon"), "limit_query", "annotators differ, and neither said this"),
        (case("limit_query"), "limit_increase", "neighbours within credit_limit"),
        (case("limit_query"), "unclear", "a request taken for small talk or for nothing"),
        (case("greeting"), "limit_query", "small talk or nothing taken for a request"),
    ],
)
def test_errors_are_sorted_by_kind(row: IntentCase, said: str, kind: str) -> None:
    assert kind_of(row, read(said), load_taxonomy()) == kind


class Told:
    """Says of each message what it was told to."""

    def __init__(self, said: dict[str, Prediction]) -> None:
        self._said = said

    def predict(self, text: str) -> Prediction:
        return self._said[text]


def test_the_surest_errors_come_first_and_narrow_hits_fill_up() -> None:
    rows = [case("refund"), case("coupon"), case("limit_query"), case("bill_query"), case(None, "greeting", "affirm")]
    said = (read("coupon", 0.6), read("refund", 0.95), read("limit_query", 0.9), read("bill_query", 0.55))
    classifier = Told(dict(zip((row.text for row in rows), (*said, read("affirm")), strict=True)))
    theirs = DataSource(name="theirs", sha256="", rows=5, ours=False)
    listed = instructive(classifier, load_taxonomy(), rows, theirs, most=3)
    assert [row["sha1"] for row in listed] == [sha1(rows[place].text) for place in (1, 0, 3)]
    assert [row["among_three"] for row in listed] == [False, False, True]
    assert rows[0].text not in json.dumps(listed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_variant_is_trained_judged_and_reported(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "ROWS", 402)
    monkeypatch.setattr(comparison, "CURVE", (268, 402))
    monkeypatch.setattr(comparison, "RECIPE", Recipe(starts=1, epochs=1))
    study = tmp_path / "study.jsonl"
    exam = load(Settings().knowledge_dir / "utterances" / "calibration.jsonl", IntentCase)[0][::20]
    exam = [row.model_copy(update={"clear": True}) for row in exam]
    study.write_text("".join(row.model_dump_json(exclude_unset=True) + "\n" for row in exam))
    report = compare(settings, study)
    assert len(report.per_label) == 19 + 2
    assert all(0.1 < (figures["strict"] or 0) <= 1 for figures in report.per_label.values())
    assert all("sha1" in row for row in report.rows)
    assert list(report.plots) == ["Strict accuracy by number of utterances"]
