"""Trains the understanding models: tunes the encoder, fits heads, calibrates. Serving needs nothing of this."""

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from assistant.adapters.encoders import OnnxEncoder
from assistant.glossary import load_glossary
from assistant.heads import (
    BUCKETS,
    META_FILE,
    WEIGHTS_FILE,
    Floats,
    Halves,
    Heads,
    HeadsMeta,
    Indices,
    Thresholds,
    ngram_buckets,
)
from assistant.settings import Settings
from assistant.taxonomy import FALLBACK, Taxonomy, load_taxonomy
from assistant.training.calibration import Calibration, Votes, calibrate
from assistant.training.conversion import ensure_encoder, open_source
from assistant.training.data import Utterance, load_utterances, sha256_of, stratified_folds
from assistant.training.deltas import DELTAS_FILE, Deltas
from assistant.training.fitting import NGRAM_C, VECTOR_C, LinearHead, act_affinity, fit_linear, ngram_features
from assistant.training.model_card import model_card
from assistant.training.tuning import NO_ACT, Examples, Recipe, Start, Tuned, tune
from assistant.types.understanding import Act

SEED = 20261123
CARD_FILE = "MODEL_CARD.md"
QUICK_ROWS = 40
"""Utterances an intent that a quick run learns from."""
_CHUNK = 512
_HELD_OUT = 10
"""One row in so many is held out for calibration where no file of its own is given."""

Array = Floats | Halves
_ACTS: tuple[Act, ...] = get_args(Act)


@dataclass(frozen=True)
class _Rows:
    """Utterances as arrays: canonical texts, intent indices, act indices or NO_ACT."""

    utterances: Sequence[Utterance]
    texts: list[str]
    intents: Indices
    acts: Indices

    @property
    def with_act(self) -> NDArray[np.bool_]:
        """Which rows carry an act."""
        some: NDArray[np.bool_] = self.acts != NO_ACT
        return some


def train(
    settings: Settings,
    *,
    quick: bool = False,
    data: Path | None = None,
    calibration: Path | None = None,
    out: Path | None = None,
    console: Console | None = None,
    recipe: Recipe | None = None,
) -> HeadsMeta:
    """Train, calibrate and write the models with their card; the same data and seed give the same files.

    `quick` leaves the encoder as it is and learns from few rows. `calibration` holds rows that are not learnt from; of
    `data` without it a part is held out. Encodings and checkpoints are kept under `data_dir`, so that a run that was
    stopped goes on where it was. Raises InvalidInput for bad data, ConfigurationError without an encoder.
    """
    taxonomy, recipe = load_taxonomy(), recipe or Recipe()
    source, learnt, judged = _data(settings, taxonomy, data, calibration)
    glossary_path = settings.knowledge_dir / "glossary.yaml"
    glossary = load_glossary(glossary_path)
    learn, judge = (
        _Rows(
            utterances=rows,
            texts=[glossary.canonical(row.text) for row in rows],
            intents=np.array([taxonomy.ids.index(row.intent) for row in rows], np.int64),
            acts=np.array([_ACTS.index(row.act) if row.act else NO_ACT for row in rows], np.int64),
        )
        for rows in (_few(learnt) if quick else learnt, judged)
    )
    sizes = {"intent": len(taxonomy.ids), "act": len(_ACTS)}
    folder = settings.data_dir / "training"
    encoder = OnnxEncoder(ensure_encoder(settings, console), workers=os.cpu_count() or 1)
    with _progress(console) as progress:
        start = _start(_encode(learn.texts, encoder, folder, progress), learn, sizes)
        deltas: Deltas | None = None
        heads = start.heads
        if not quick:
            tuned = _tuned(settings, learn, start, recipe, folder, progress)
            deltas, heads = tuned.deltas, tuned.heads
        letters, idf = _letter_heads(learn, sizes, progress)
    if deltas is not None:
        encoder = OnnxEncoder(ensure_encoder(settings, console, deltas), workers=os.cpu_count() or 1)
    affinity = act_affinity(learn.intents[learn.with_act], learn.acts[learn.with_act], (sizes["intent"], sizes["act"]))
    arrays = _arrays(start, heads, letters, idf, affinity)
    meta = HeadsMeta(
        encoder_version=encoder.version,
        deltas=deltas.digest if deltas else None,
        dimension=encoder.dimension,
        taxonomy_version=taxonomy.version,
        intents=taxonomy.ids,
        acts=_ACTS,
        buckets=BUCKETS,
        data_sha256=sha256_of(source),
        glossary_sha256=sha256_of(glossary_path),
        seed=SEED,
        quick=quick,
        ngram_weight=0.0,
        temperature=1.0,
        act_temperature=1.0,
        thresholds=Thresholds(low_confidence=0, margin=0, pair=1),
        metrics={},
    )
    found = _calibrated(Heads(meta, arrays, ""), judge, encoder.encode(judge.texts, "query"), taxonomy, affinity)
    meta = meta.model_copy(update=found.fields())
    card = model_card(meta, taxonomy, learn.utterances, encoder.meta, recipe, found.probabilities, judge.intents)
    _write(out or settings.weights_dir, meta, arrays, deltas, card)
    return meta


def _data(
    settings: Settings, taxonomy: Taxonomy, data: Path | None, calibration: Path | None
) -> tuple[Path, Sequence[Utterance], Sequence[Utterance]]:
    """The file that is learnt from, its rows, and the rows that are only judged by."""
    own = settings.knowledge_dir / "utterances"
    source = data or own / "utterances.jsonl"
    if data is None and calibration is None:
        calibration = own / "calibration.jsonl"
    rows = load_utterances(source, taxonomy)
    if calibration is not None:
        return source, rows, load_utterances(calibration, taxonomy)
    folds = stratified_folds([row.intent for row in rows], _HELD_OUT, SEED)
    held_out = [row for row, fold in zip(rows, folds, strict=True) if fold == 0]
    return source, [row for row, fold in zip(rows, folds, strict=True) if fold != 0], held_out


def _few(rows: Sequence[Utterance]) -> list[Utterance]:
    """The first rows of every intent."""
    taken: Counter[str] = Counter()
    few = []
    for row in rows:
        taken[row.intent] += 1
        if taken[row.intent] <= QUICK_ROWS:
            few.append(row)
    return few


def _start(vectors: Floats, learn: _Rows, sizes: Mapping[str, int]) -> Start:
    """Logistic regression on the encoder as it is: where tuning begins, and all there is of a quick run."""
    mean, scale = vectors.mean(axis=0), vectors.std(axis=0) + np.float32(1e-6)
    standard = (vectors - mean) / scale
    some = learn.with_act
    heads = {
        "intent": fit_linear(standard, learn.intents, VECTOR_C, sizes["intent"]),
        "act": fit_linear(standard[some], learn.acts[some], VECTOR_C, sizes["act"]),
    }
    return Start(mean, scale, heads)


def _tuned(settings: Settings, learn: _Rows, start: Start, recipe: Recipe, folder: Path, progress: Progress) -> Tuned:
    bar = progress.add_task("tuning the encoder", total=None)
    return tune(
        open_source(settings.encoder),
        Examples(learn.texts, learn.intents, learn.acts),
        start,
        recipe,
        SEED,
        folder,
        lambda done, steps: progress.update(bar, completed=done, total=steps),
    )


def _letter_heads(learn: _Rows, sizes: Mapping[str, int], progress: Progress) -> tuple[dict[str, LinearHead], Floats]:
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


def _calibrated(heads: Heads, judge: _Rows, vectors: Floats, taxonomy: Taxonomy, affinity: Floats) -> Calibration:
    buckets = [ngram_buckets(text) for text in judge.texts]
    votes = {name: Votes(*heads.votes(name, vectors, buckets)) for name in ("intent", "act")}
    served = np.array([intent.group != FALLBACK for intent in taxonomy.intents])
    return calibrate(votes["intent"], judge.intents, served, votes["act"], judge.acts, judge.with_act, affinity)


def _encode(texts: Sequence[str], encoder: OnnxEncoder, folder: Path, progress: Progress) -> Floats:
    """Vectors of all texts, in chunks that are kept by content: of the encoder and of the texts."""
    folder.mkdir(parents=True, exist_ok=True)
    task = progress.add_task("encoding utterances", total=len(texts))
    parts = []
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        key = hashlib.sha256("\n".join([encoder.meta.content, *chunk]).encode()).hexdigest()
        path = folder / f"{key[:32]}.npy"
        if not path.exists():
            _save(path, encoder.encode(chunk, "query"))
        parts.append(np.load(path))
        progress.advance(task, len(chunk))
    return np.concatenate(parts)


def _save(path: Path, rows: Floats) -> None:
    # Renamed when complete: a stopped run leaves no half a chunk.
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.save(file, rows)
    part.replace(path)


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


def _write(folder: Path, meta: HeadsMeta, arrays: Mapping[str, Array], deltas: Deltas | None, card: str) -> None:
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        WEIGHTS_FILE: save({name: np.ascontiguousarray(values) for name, values in arrays.items()}),
        CARD_FILE: card.encode(),
        **({DELTAS_FILE: deltas.packed()} if deltas else {}),
        # Last: whoever reads the new metadata finds the new weights.
        META_FILE: (meta.model_dump_json(indent=2) + "\n").encode(),
    }
    with tempfile.TemporaryDirectory(dir=folder, prefix=".training-") as work:
        for name, content in contents.items():
            (Path(work) / name).write_bytes(content)
        for name in contents:
            (Path(work) / name).replace(folder / name)
    if deltas is None:
        (folder / DELTAS_FILE).unlink(missing_ok=True)


def _progress(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console or Console(stderr=True),
    )
