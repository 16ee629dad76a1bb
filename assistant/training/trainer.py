"""Trains the understanding models: tunes the encoder, fits heads, calibrates. Serving needs nothing of this."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from assistant.adapters.encoders import OnnxEncoder
from assistant.glossary import load_glossary
from assistant.heads import Floats, HeadsMeta
from assistant.settings import Settings
from assistant.taxonomy import Taxonomy, load_taxonomy
from assistant.training.assembly import ACTS, SEED, Material, Rows, assemble, progress_on, write
from assistant.training.conversion import ensure_encoder, open_source
from assistant.training.data import Utterance, load_utterances, stratified_folds
from assistant.training.fitting import VECTOR_C, fit_linear
from assistant.training.tuning import Recipe, Run, Start, Tuned, tune

QUICK_ROWS = 40
"""Utterances an intent that a quick run learns from."""
_CHUNK = 512
_HELD_OUT = 10
"""One row in so many is held out for calibration where no file of its own is given."""


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
    recipe = recipe or Recipe()
    material = gathered(settings, data, calibration, quick=quick)
    folder = settings.data_dir / "training"
    encoder = OnnxEncoder(ensure_encoder(settings, console), workers=os.cpu_count() or 1)
    with progress_on(console) as progress:
        vectors = encoded(material.learn.texts, encoder, folder, progress)
        start = start_of(vectors, material.learn, len(material.taxonomy.ids))
        tuned = None if quick else tuned_from(start, settings, material.learn, recipe, folder, progress)
        models = assemble(settings, material, start, tuned, recipe, progress, quick=quick)
    write(models, out or settings.weights_dir)
    return models.meta


def gathered(settings: Settings, data: Path | None, calibration: Path | None, *, quick: bool = False) -> Material:
    """Rows to learn from and rows to judge by, as `train` documents them. Raises InvalidInput."""
    taxonomy = load_taxonomy()
    source, learnt, judged = _split(settings, taxonomy, data, calibration)
    learnt = _few(learnt) if quick else learnt
    glossary_path = settings.knowledge_dir / "glossary.yaml"
    glossary = load_glossary(glossary_path)
    learn, judge = Rows.of(learnt, glossary, taxonomy), Rows.of(judged, glossary, taxonomy)
    return Material(taxonomy, glossary_path, source, learnt, learn, judge)


def start_of(vectors: Floats, learn: Rows, intents: int) -> Start:
    """Logistic regression on the encoder as it is: where tuning begins, and all there is of a quick run."""
    mean, scale = vectors.mean(axis=0), vectors.std(axis=0) + np.float32(1e-6)
    standard, some = (vectors - mean) / scale, learn.with_act
    heads = {
        "intent": fit_linear(standard, learn.intents, VECTOR_C, intents),
        "act": fit_linear(standard[some], learn.acts[some], VECTOR_C, len(ACTS)),
    }
    return Start(mean, scale, heads)


def tuned_from(
    start: Start,
    settings: Settings,
    learn: Rows,
    recipe: Recipe,
    folder: Path,
    progress: Progress,
    *,
    name: str = "tuning the encoder",
    seed: int = SEED,
    kind: Callable[..., Run] = Run,
) -> Tuned:
    """Tune under a progress bar; checkpoints lie in `folder`. Raises ConfigurationError without an encoder."""
    bar = progress.add_task(name, total=None)
    source = open_source(settings.encoder)

    def after_step(done: int, steps: int) -> None:
        progress.update(bar, completed=done, total=steps)

    return tune(source, learn.examples, start, recipe, seed, folder, after_step, kind)


def encoded(texts: Sequence[str], encoder: OnnxEncoder, folder: Path, progress: Progress) -> Floats:
    """Vectors of all texts, in chunks that are kept by content: of the encoder and of the texts."""
    folder.mkdir(parents=True, exist_ok=True)
    task = progress.add_task("encoding", total=len(texts))
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


def _split(
    settings: Settings, taxonomy: Taxonomy, data: Path | None, calibration: Path | None
) -> tuple[Path, Sequence[Utterance], Sequence[Utterance]]:
    """The file or folder that is learnt from, its rows, and the rows that are only judged by."""
    own = settings.knowledge_dir / "utterances"
    source = data or own / "training"
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


def _save(path: Path, rows: Floats) -> None:
    # Renamed when complete: a stopped run leaves no half a chunk.
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.save(file, rows)
    part.replace(path)
