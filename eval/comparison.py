"""`python -m eval.comparison STUDY OUT`: what each part of the recipe brings, and what more utterances would.

Every variant learns from the same utterances, drawn evenly by intent, and is judged on real messages (STUDY, labelled
by two annotators) and on the project's own exam. Trainings are kept under `data_dir`: a run that was stopped goes on.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rich.progress import Progress

from assistant.adapters.encoders import OnnxEncoder
from assistant.compose import open_classifier, quiet_libraries
from assistant.errors import AssistantError
from assistant.glossary import load_glossary
from assistant.heads import Floats, Heads, Indices, log_softmax
from assistant.settings import Settings
from assistant.taxonomy import load_taxonomy
from assistant.training.assembly import Rows
from assistant.training.conversion import Source, ensure_encoder
from assistant.training.deltas import Deltas, factors_of
from assistant.training.fitting import NGRAM_C, fit_linear, ngram_features, ngram_rows
from assistant.training.trainer import encoded, gathered, start_of, tuned_from
from assistant.training.tuning import Examples, Recipe, Run, Start, Tuned
from eval.cases import DATA, IntentCase, load
from eval.errors import instructive
from eval.index import message_encoder
from eval.report import Report, curve_plot, print_table, write

if TYPE_CHECKING:
    import torch

ROWS = 8_000
CURVE = (1_000, 2_000, 4_000, 8_000)
RECIPE = Recipe(starts=1, epochs=2)
SEEDS = (0, 1, 2)
NEIGHBOURS = 15
_SEED = 20261125
_CONTRAST, _HEAT = 0.3, 0.1
_DRAWN = 1000
_EVERY_RANK = 384


class Views(NamedTuple):
    """Log-probabilities of the intents for the real messages and for the exam, (messages, intents)."""

    study: Floats
    exam: Floats

    def mixed(self, other: "Views", share: float) -> "Views":
        """Averaged with another's, whose share this is."""
        return Views(*((1 - share) * mine + share * its for mine, its in zip(self, other, strict=True)))


class Contrastive(Run):
    """With a supervised contrastive loss beside the others (Khosla et al., 2020)."""

    def loss(self, vectors: "torch.Tensor", rows: Indices) -> "torch.Tensor":
        import torch

        labels = self.intents[rows]
        itself = torch.eye(len(rows), dtype=torch.bool)
        likeness = (vectors @ vectors.T / _HEAT).masked_fill(itself, -torch.inf)
        alike = (labels[:, None] == labels) & ~itself
        some = alike.any(1)
        log_share = (likeness - likeness.logsumexp(1, keepdim=True)).masked_fill(~alike, 0.0)
        pull = -(log_share.sum(1)[some] / alike.sum(1)[some]).mean() if bool(some.any()) else vectors.new_zeros(())
        return super().loss(vectors, rows) + _CONTRAST * pull


class Distilled(Run):
    """Learns the probabilities that other models give instead of the labels (Hinton et al., 2015)."""

    def __init__(self, taught: Floats, source: Source, examples: Examples, start: Start, recipe: Recipe, seed: int):
        import torch

        super().__init__(source, examples, start, recipe, seed)
        self._taught = torch.from_numpy(taught)
        self.identity = hashlib.sha256(self.identity.encode() + taught.tobytes()).hexdigest()

    def intent_loss(self, scores: "torch.Tensor", rows: Indices) -> "torch.Tensor":
        from torch.nn.functional import cross_entropy

        return cross_entropy(scores, self._taught[rows])


@dataclass(frozen=True)
class Trained:
    """A tuned encoder with its heads, and what it says."""

    tuned: Tuned
    vectors: tuple[Floats, Floats, Floats]
    """Standardised, of the rows learnt from, the real messages, the exam."""

    @cached_property
    def views(self) -> Views:
        """What its intent head says."""
        head = self.tuned.heads["intent"]
        return Views(*(log_softmax(head.scores(vectors)) for vectors in self.vectors[1:]))

    @cached_property
    def learnt(self) -> Floats:
        """What its intent head says of the rows it learnt from."""
        return log_softmax(self.tuned.heads["intent"].scores(self.vectors[0]))


class Laboratory:
    """All that variants share: rows, frozen vectors, judges."""

    def __init__(self, settings: Settings, study: Sequence[str], exam: Sequence[str], progress: Progress) -> None:
        glossary = load_glossary(settings.knowledge_dir / "glossary.yaml")
        self._settings = settings
        self._folder = settings.data_dir / "comparison"
        self._progress = progress
        self._material = gathered(settings, None, None)
        self._judged = [[glossary.canonical(text) for text in texts] for texts in (study, exam)]
        self._encoder = OnnxEncoder(ensure_encoder(settings), workers=2)
        self._classes = len(self._material.taxonomy.ids)

    def rows(self, size: int) -> Rows:
        """So many utterances, as near to evenly by intent as there are; a smaller draw is part of a larger one."""
        every = self._material.learn
        random, turn = np.random.default_rng(_SEED), np.empty(len(every.texts))
        for intent in range(self._classes):
            of_intent = random.permutation(np.flatnonzero(every.intents == intent))
            turn[of_intent] = np.arange(len(of_intent))
        chosen = np.sort(np.argsort(turn, kind="stable")[:size])
        return Rows([every.texts[row] for row in chosen], every.intents[chosen], every.acts[chosen])

    def frozen(self, rows: Rows) -> tuple[Start, tuple[Floats, Floats, Floats]]:
        """Logistic regression on the encoder as it came, and its standardised vectors of all three sets."""
        learnt = encoded(rows.texts, self._encoder, self._folder, self._progress)
        start = start_of(learnt, rows, self._classes)
        return start, self._standard(start, self._encoder, rows)

    def letters(self, rows: Rows) -> Views:
        """Logistic regression on character n-grams."""
        ngrams, idf = ngram_features(rows.texts)
        head = fit_linear(ngrams, rows.intents, NGRAM_C, self._classes)
        return Views(*(log_softmax(head.scores(ngram_rows(texts, idf))) for texts in self._judged))

    def neighbours(self, rows: Rows, vectors: tuple[Floats, Floats, Floats]) -> Views:
        """The labels of the nearest utterances, the nearer the more."""
        from sklearn.neighbors import KNeighborsClassifier

        model = KNeighborsClassifier(NEIGHBOURS, weights="distance", metric="cosine").fit(vectors[0], rows.intents)
        return Views(*(np.log(model.predict_proba(part) + 1e-6).astype(np.float32) for part in vectors[1:]))

    def tuned(self, name: str, rows: Rows, recipe: Recipe, seed: int, kind: Callable[..., Run] = Run) -> Trained:
        """Tune on these rows, convert, encode."""
        start, _ = self.frozen(rows)
        tuned = tuned_from(
            start, self._settings, rows, recipe, self._folder, self._progress, name=name, seed=seed, kind=kind
        )
        return self.converted(rows, start, tuned)

    def converted(self, rows: Rows, start: Start, tuned: Tuned) -> Trained:
        """What a tuned encoder says after int8."""
        apart = self._settings.model_copy(update={"data_dir": self._folder})
        encoder = OnnxEncoder(ensure_encoder(apart, deltas=tuned.deltas), workers=2)
        return Trained(tuned, self._standard(start, encoder, rows))

    def _standard(self, start: Start, encoder: OnnxEncoder, rows: Rows) -> tuple[Floats, Floats, Floats]:
        parts = (encoded(texts, encoder, self._folder, self._progress) for texts in (rows.texts, *self._judged))
        learnt, study, exam = ((part - start.mean) / start.scale for part in parts)
        return learnt, study, exam


def cut(deltas: Deltas, rank: int) -> Deltas:
    """The same changes at a lower rank, as cutting alone leaves them."""
    stems = {name.rpartition(".")[0] for name in deltas.arrays}
    changes = {stem: deltas.change(stem) for stem in stems}
    factors = {stem: factors_of(change, rank) for stem, change in changes.items() if change.ndim > 1}
    vectors = {stem: change for stem, change in changes.items() if change.ndim == 1}
    return Deltas.of(deltas.base, factors, vectors)


def variants(lab: Laboratory, letters_share: float) -> dict[str, Views]:
    """Every variant by its name in the report."""
    rows = lab.rows(ROWS)
    letters = lab.letters(rows)
    start, vectors = lab.frozen(rows)
    frozen = Views(*(log_softmax(start.heads["intent"].scores(part)) for part in vectors[1:]))
    found = {
        "letters (character n-grams, logistic regression)": letters,
        "frozen encoder, logistic regression": frozen,
        "frozen encoder, nearest neighbours": lab.neighbours(rows, vectors),
        "frozen encoder + letters": frozen.mixed(letters, letters_share),
    }
    settled = [lab.tuned(f"tuned, seed {seed}", rows, RECIPE, seed) for seed in SEEDS]
    free = lab.tuned("tuned freely", rows, replace(RECIPE, settling=0, rank=_EVERY_RANK), 0)
    short = lab.converted(rows, start, Tuned(free.tuned.heads, cut(free.tuned.deltas, RECIPE.rank)))
    averaged = lab.tuned("tuned from two starts", rows, replace(RECIPE, starts=2), 0)
    contrast = lab.tuned("tuned with contrast", rows, RECIPE, 0, Contrastive)
    ensemble = Views(*(np.mean([one.views[part] for one in settled], axis=0) for part in (0, 1)))
    taught = np.exp(np.mean([one.learnt for one in settled], axis=0)).astype(np.float32)
    taught /= taught.sum(axis=1, keepdims=True)
    student = lab.tuned("distilled", rows, RECIPE, 0, partial(Distilled, taught))
    found |= {
        "tuned freely, whole change": free.views,
        f"tuned freely, cut to rank {RECIPE.rank}": short.views,
        f"tuned, cut to rank {RECIPE.rank}, settled": settled[0].views,
        "the same, another seed": settled[1].views,
        "the same, a third seed": settled[2].views,
        "settled, nearest neighbours": lab.neighbours(rows, settled[0].vectors),
        "settled, with a contrastive loss": contrast.views,
        "settled + letters": settled[0].views.mixed(letters, letters_share),
        "settled, two starts averaged": averaged.views,
        "settled, two starts averaged + letters (as shipped)": averaged.views.mixed(letters, letters_share),
        "settled, contrastive + letters": contrast.views.mixed(letters, letters_share),
        "ensemble of three seeds": ensemble,
        "ensemble of three seeds + letters": ensemble.mixed(letters, letters_share),
        "ensemble distilled into one": student.views,
        "ensemble distilled into one + letters": student.views.mixed(letters, letters_share),
    }
    return found


def learning_curve(lab: Laboratory, letters_share: float) -> dict[int, Views]:
    """Settled + letters, on more and more utterances."""
    curve = {}
    for size in CURVE:
        rows = lab.rows(size)
        trained = lab.tuned(f"{size} utterances", rows, RECIPE, 0)
        curve[size] = trained.views.mixed(lab.letters(rows), letters_share)
    return curve


class Judge:
    """Scores views on real messages and on the exam, with intervals over rows."""

    def __init__(self, study: Sequence[IntentCase], exam: Sequence[IntentCase], labels: Sequence[str]) -> None:
        self._rows = [case.row for case in study]
        self._labels = np.array(labels)
        self._gold = np.array([row.gold or "" for row in self._rows])
        self._clear = np.array([row.clear for row in self._rows]) & (self._gold != "")
        self._exam = np.array([case.row.gold for case in exam])

    def figures(self, views: Views) -> dict[str, float | None]:
        """Of one variant; `low` and `high` are the bootstrap 95 % interval of strict accuracy on real messages."""
        said, said_in_exam = (self._labels[view.argmax(axis=1)] for view in views)
        leading = self._labels[np.argsort(-views.study, axis=1)[:, :3]]
        scored = self._gold != ""
        right = (said == self._gold)[scored]
        drawn = np.random.default_rng(_SEED).integers(0, len(right), (_DRAWN, len(right)))
        low, high = np.percentile(right[drawn].mean(axis=1), [2.5, 97.5])
        return {
            "strict": float(right.mean()),
            "low": float(low),
            "high": float(high),
            "lenient": float(np.mean([row.accepts(one) for row, one in zip(self._rows, said, strict=True)])),
            "clear": float((said == self._gold)[self._clear].mean()) if self._clear.any() else None,
            "among_three": float((leading == self._gold[:, None]).any(axis=1)[scored].mean()),
            "own_exam": float((said_in_exam == self._exam).mean()),
        }


def compare(settings: Settings, study_path: Path) -> Report:
    """Train every variant, judge it, and list the errors of the shipped models. Raises InvalidInput."""
    study, source = load(study_path, IntentCase)
    exam, _ = load(DATA / "intents_exam.jsonl", IntentCase)
    taxonomy, heads = load_taxonomy(), Heads.load(settings.weights_dir)
    judge = Judge(study, exam, taxonomy.ids)
    with Progress() as progress:
        lab = Laboratory(settings, [case.text for case in study], [case.text for case in exam], progress)
        found = {name: judge.figures(views) for name, views in variants(lab, heads.meta.ngram_weight).items()}
        curve = {size: judge.figures(views) for size, views in learning_curve(lab, heads.meta.ngram_weight).items()}
    classifier = open_classifier(settings, message_encoder(settings), heads)
    return Report(
        suite="intents-comparison",
        data=source,
        versions={"heads": classifier.version, "taxonomy": str(taxonomy.version)},
        metrics={"rows_learnt_from": ROWS},
        per_label=found | {f"settled + letters, {size} utterances": figures for size, figures in curve.items()},
        rows=instructive(classifier, taxonomy, study, source),
        plots={"Strict accuracy by number of utterances": _curve(curve)},
        notes=(
            "strict, lenient, clear, among_three: real messages; own_exam: the exam written for this project.",
            f"Each variant but those of the curve learnt from {ROWS} utterances, {RECIPE.epochs} passes freely and "
            f"{RECIPE.settling} on factors, from one start where nothing else is said; the shipped models learnt from "
            "all utterances.",
        ),
    )


def _curve(curve: Mapping[int, Mapping[str, float | None]]) -> bytes:
    lines = {name: [figures[name] or 0.0 for figures in curve.values()] for name in ("strict", "clear", "own_exam")}
    return curve_plot(list(curve), lines, "utterances learnt from", "accuracy")


def main() -> int:
    """Write the report; 1 where something is missing."""
    parser = argparse.ArgumentParser(prog="python -m eval.comparison", description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("out", type=Path)
    line = parser.parse_args()
    quiet_libraries()
    try:
        report = compare(Settings(), line.study)
    except AssistantError as error:
        print(error, file=sys.stderr)
        return 1
    write(report, line.out)
    print_table(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
