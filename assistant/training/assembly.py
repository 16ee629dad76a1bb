"""From tuned parts to models that serve: letter heads, calibration, metadata, card, files."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from assistant.adapters.encoders import OnnxEncoder
from assistant.glossary import Glossary
from assistant.heads import (
    BUCKETS,
    META_FILE,
    WEIGHTS_FILE,
    Adapted,
    Floats,
    Halves,
    Heads,
    HeadsMeta,
    Indices,
    Thresholds,
    ngram_buckets,
)
from assistant.settings import Settings
from assistant.taxonomy import FALLBACK, Taxonomy
from assistant.training.calibration import Calibration, Votes, calibrate
from assistant.training.conversion import ensure_encoder
from assistant.training.data import Utterance, sha256_of
from assistant.training.deltas import DELTAS_FILE, Deltas
from assistant.training.fitting import NGRAM_C, LinearHead, act_affinity, fit_linear, ngram_features
from assistant.training.model_card import model_card
from assistant.training.tuning import NO_ACT, Examples, Recipe, Start, Tuned
from assistant.types.understanding import Act

SEED = 20261123
CARD_FILE = "MODEL_CARD.md"
ACTS: tuple[Act, ...] = get_args(Act)

Array = Floats | Halves


@dataclass(frozen=True)
class Rows:
    """Labelled messages as arrays: canonical texts, intent indices, act indices or NO_ACT."""

    texts: list[str]
    intents: Indices
    acts: Indices

    @classmethod
    def of(cls, utterances: Sequence[Utterance], glossary: Glossary, taxonomy: Taxonomy) -> Self:
        """Utterances as the heads see them."""
        return cls(
            [glossary.canonical(row.text) for row in utterances],
            np.array([taxonomy.ids.index(row.intent) for row in utterances], np.int64),
            np.array([ACTS.index(row.act) if row.act else NO_ACT for row in utterances], np.int64),
        )

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.texts + other.texts,
            np.concatenate([self.intents, other.intents]),
            np.concatenate([self.acts, other.acts]),
        )

    @property
    def with_act(self) -> NDArray[np.bool_]:
        """Which rows carry an act."""
        some: NDArray[np.bool_] = self.acts != NO_ACT
        return some

    @property
    def examples(self) -> Examples:
        """The same, for tuning."""
        return Examples(self.texts, self.intents, self.acts)


@dataclass(frozen=True)
class Material:
    """What models are made from, beside the encoder: rows to learn from, rows to judge by, and where they came from."""

    taxonomy: Taxonomy
    glossary_path: Path
    source: Path
    utterances: Sequence[Utterance]
    learn: Rows
    judge: Rows


@dataclass(frozen=True)
class Models:
    """Models that serve, not yet written."""

    meta: HeadsMeta
    arrays: Mapping[str, Array]
    deltas: Deltas | None
    card: str
    vectors: Floats
    """Of the rows that were judged by."""

    @property
    def heads(self) -> Heads:
        """As they will be read back."""
        return Heads(self.meta, self.arrays, "")


def assemble(
    settings: Settings,
    material: Material,
    start: Start,
    tuned: Tuned | None,
    recipe: Recipe,
    progress: Progress,
    *,
    quick: bool = False,
    adapted: Adapted | None = None,
) -> Models:
    """Fit letters, convert the encoder, calibrate on the rows that were not learnt from.

    Without `tuned` the heads of `start` stand on the encoder as it came. Raises ConfigurationError.
    """
    taxonomy, learn, judge = material.taxonomy, material.learn, material.judge
    sizes = {"intent": len(taxonomy.ids), "act": len(ACTS)}
    letters, idf = _letter_heads(learn, sizes, progress)
    deltas = tuned.deltas if tuned else None
    encoder = OnnxEncoder(ensure_encoder(settings, progress.console, deltas), workers=os.cpu_count() or 1)
    affinity = act_affinity(learn.intents[learn.with_act], learn.acts[learn.with_act], (sizes["intent"], sizes["act"]))
    arrays = _arrays(start, tuned.heads if tuned else start.heads, letters, idf, affinity)
    meta = HeadsMeta(
        encoder_version=encoder.version,
        deltas=deltas.digest if deltas else None,
        dimension=encoder.dimension,
        taxonomy_version=taxonomy.version,
        intents=taxonomy.ids,
        acts=ACTS,
        buckets=BUCKETS,
        data_sha256=sha256_of(material.source),
        glossary_sha256=sha256_of(material.glossary_path),
        seed=SEED,
        quick=quick,
        adapted=adapted,
        ngram_weight=0.0,
        temperature=1.0,
        act_temperature=1.0,
        thresholds=Thresholds(low_confidence=0, margin=0, pair=1),
        metrics={},
    )
    vectors = encoder.encode(judge.texts, "query")
    found = _calibrated(Heads(meta, arrays, ""), judge, vectors, taxonomy, affinity)
    meta = meta.model_copy(update=found.fields())
    card = model_card(meta, taxonomy, material.utterances, encoder.meta, recipe, found.probabilities, judge.intents)
    return Models(meta, arrays, deltas, card, vectors)


def write(models: Models, folder: Path) -> None:
    """Put weights, metadata and card in place of what the folder holds."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        WEIGHTS_FILE: save({name: np.ascontiguousarray(values) for name, values in models.arrays.items()}),
        CARD_FILE: models.card.encode(),
        **({DELTAS_FILE: models.deltas.packed()} if models.deltas else {}),
        # Last: whoever reads the new metadata finds the new weights.
        META_FILE: (models.meta.model_dump_json(indent=2) + "\n").encode(),
    }
    with tempfile.TemporaryDirectory(dir=folder, prefix=".training-") as work:
        for name, content in contents.items():
            (Path(work) / name).write_bytes(content)
        for name in contents:
            (Path(work) / name).replace(folder / name)
    if models.deltas is None:
        (folder / DELTAS_FILE).unlink(missing_ok=True)


def progress_on(console: Console | None) -> Progress:
    """A progress bar with the numbers and the time that is left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console or Console(stderr=True),
    )


def _letter_heads(learn: Rows, sizes: Mapping[str, int], progress: Progress) -> tuple[dict[str, LinearHead], Floats]:
    """Heads on character n-grams, and the n-grams' inverse document frequencies."""
    bar = progress.add_task("fitting letters", total=len(sizes))
    ngrams, idf = ngram_features(learn.texts)
    heads = {}
    for name, labels, rows in (
        ("intent", learn.intents, np.full(len(learn.texts), True)),
        ("act", learn.acts, learn.with_act),
    ):
        heads[name] = fit_linear(ngrams[rows], labels[rows], NGRAM_C, sizes[name])
        progress.advance(bar)
    return heads, idf


def _calibrated(heads: Heads, judge: Rows, vectors: Floats, taxonomy: Taxonomy, affinity: Floats) -> Calibration:
    buckets = [ngram_buckets(text) for text in judge.texts]
    votes = {name: Votes(*heads.votes(name, vectors, buckets)) for name in ("intent", "act")}
    served = np.array([intent.group != FALLBACK for intent in taxonomy.intents])
    return calibrate(votes["intent"], judge.intents, served, votes["act"], judge.acts, judge.with_act, affinity)


def _arrays(
    start: Start, heads: Mapping[str, LinearHead], letters: Mapping[str, LinearHead], idf: Floats, affinity: Floats
) -> dict[str, Array]:
    """The arrays of the weights file; n-gram weights in half precision, for half the size."""
    arrays: dict[str, Array] = {"mean": start.mean, "scale": start.scale, "idf": idf, "act.affinity": affinity}
    for name, head in heads.items():
        arrays[f"{name}.vector.weight"], arrays[f"{name}.vector.bias"] = head.weight, head.bias
        arrays[f"{name}.ngram.weight"] = letters[name].weight.astype(np.float16)
        arrays[f"{name}.ngram.bias"] = letters[name].bias
    return arrays
