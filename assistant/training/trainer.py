"""Trains the understanding heads on frozen encodings. Needs scikit-learn; serving does not."""

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from assistant.adapters.encoders import OnnxEncoder
from assistant.glossary import load_glossary
from assistant.heads import BUCKETS, META_FILE, WEIGHTS_FILE, Floats, HeadsMeta, Indices, log_softmax
from assistant.settings import Settings
from assistant.taxonomy import FALLBACK, Taxonomy, load_taxonomy
from assistant.training.calibration import choose_thresholds, fit_temperature, held_out_metrics
from assistant.training.conversion import ensure_encoder
from assistant.training.data import Utterance, load_utterances, sha256_of
from assistant.training.fitting import (
    NGRAM_WEIGHT,
    Features,
    FittedHead,
    act_affinity,
    fit_head,
    held_out_folds,
    held_out_log_probabilities,
    ngram_features,
)
from assistant.training.model_card import model_card
from assistant.types.understanding import Act

SEED = 20261123
CARD_FILE = "MODEL_CARD.md"
_CHUNK = 512

Array = NDArray[np.float32] | NDArray[np.float16]
_ACTS: tuple[Act, ...] = get_args(Act)


@dataclass(frozen=True)
class _Task:
    """One head's rows, their class indices and the number of classes."""

    rows: Indices
    labels: Indices
    classes: int


def train(
    settings: Settings,
    *,
    quick: bool = False,
    data: Path | None = None,
    out: Path | None = None,
    console: Console | None = None,
) -> HeadsMeta:
    """Train, calibrate and write heads with their model card; the same data and seed give the same files.

    `quick` holds out with two folds instead of five. Encodings are kept under `data_dir`, so that a run that was
    stopped goes on where it was. Raises InvalidInput for bad data, ConfigurationError without an encoder.
    """
    taxonomy = load_taxonomy()
    source = data or settings.knowledge_dir / "utterances" / "utterances.jsonl"
    utterances = load_utterances(source, taxonomy)
    glossary_path = settings.knowledge_dir / "glossary.yaml"
    glossary = load_glossary(glossary_path)
    encoder = OnnxEncoder(ensure_encoder(settings, console), workers=os.cpu_count() or 1)
    texts = [glossary.canonical(utterance.text) for utterance in utterances]
    tasks = {"intent": _intent_task(utterances, taxonomy), "act": _act_task(utterances)}
    folds = 2 if quick else 5
    with _progress(console) as progress:
        vectors = _encode(texts, encoder, settings.data_dir / "training", progress)
        ngrams, idf = ngram_features(texts)
        features = Features(vectors, ngrams, idf)
        bar = progress.add_task("fitting heads", total=len(tasks) * (folds + 1))
        held_out = {
            name: held_out_log_probabilities(
                features, task.rows, task.labels, task.classes, folds, SEED, lambda: progress.advance(bar)
            )
            for name, task in tasks.items()
        }
        heads = {}
        for name, task in tasks.items():
            heads[name] = fit_head(features, task.rows, task.labels, task.classes)
            progress.advance(bar)
    held_out["act"] += _held_out_affinity(tasks, held_out["intent"], folds)
    meta = _describe(encoder, taxonomy, tasks, held_out, sha256_of(source), sha256_of(glossary_path), quick)
    card = model_card(meta, taxonomy, utterances, encoder.meta, held_out["intent"], tasks["intent"].labels)
    _write(out or settings.weights_dir, meta, _arrays(heads, idf, _affinity(tasks)), card)
    return meta


def _intent_task(utterances: Sequence[Utterance], taxonomy: Taxonomy) -> _Task:
    index = {name: position for position, name in enumerate(taxonomy.ids)}
    labels = np.array([index[utterance.intent] for utterance in utterances], np.int64)
    return _Task(np.arange(len(utterances)), labels, len(taxonomy.ids))


def _act_task(utterances: Sequence[Utterance]) -> _Task:
    rows = np.array([row for row, utterance in enumerate(utterances) if utterance.act is not None], np.int64)
    labels = np.array([_ACTS.index(act) for utterance in utterances if (act := utterance.act) is not None], np.int64)
    return _Task(rows, labels, len(_ACTS))


def _affinity(tasks: Mapping[str, _Task], of: NDArray[np.bool_] | slice = slice(None)) -> Floats:
    """What each intent says about the act, learnt from the chosen rows of the act task."""
    intent, act = tasks["intent"], tasks["act"]
    return act_affinity(intent.labels[act.rows][of], act.labels[of], (intent.classes, act.classes))


def _held_out_affinity(tasks: Mapping[str, _Task], intent_scores: Floats, folds: int) -> Floats:
    """The same for rows it was not learnt from, by the intent that is predicted for them."""
    act = tasks["act"]
    predicted = intent_scores[act.rows].argmax(axis=1)
    assigned = held_out_folds(act.labels, folds, SEED)
    result = np.zeros((len(act.rows), act.classes), np.float32)
    for fold in range(folds):
        test = assigned == fold
        result[test] = _affinity(tasks, ~test)[predicted[test]]
    return result


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


def _describe(
    encoder: OnnxEncoder,
    taxonomy: Taxonomy,
    tasks: Mapping[str, _Task],
    held_out: Mapping[str, Floats],
    data_sha256: str,
    glossary_sha256: str,
    quick: bool,
) -> HeadsMeta:
    temperature = fit_temperature(held_out["intent"], tasks["intent"].labels)
    act_temperature = fit_temperature(held_out["act"], tasks["act"].labels)
    probabilities = np.exp(log_softmax(held_out["intent"] / np.float32(temperature)))
    served = np.array([intent.group != FALLBACK for intent in taxonomy.intents])
    thresholds = choose_thresholds(probabilities, tasks["intent"].labels, served)
    metrics = held_out_metrics(probabilities, tasks["intent"].labels, served, thresholds)
    metrics["act_accuracy"] = round(float((held_out["act"].argmax(axis=1) == tasks["act"].labels).mean()), 4)
    return HeadsMeta(
        encoder_version=encoder.version,
        dimension=encoder.dimension,
        taxonomy_version=taxonomy.version,
        intents=taxonomy.ids,
        acts=_ACTS,
        buckets=BUCKETS,
        ngram_weight=NGRAM_WEIGHT,
        temperature=round(temperature, 4),
        act_temperature=round(act_temperature, 4),
        thresholds=thresholds,
        data_sha256=data_sha256,
        glossary_sha256=glossary_sha256,
        seed=SEED,
        quick=quick,
        metrics=metrics,
    )


def _arrays(heads: Mapping[str, FittedHead], idf: Floats, affinity: Floats) -> dict[str, Array]:
    """The arrays of the weights file; n-gram weights in half precision, for half the size."""
    arrays: dict[str, Array] = {
        "mean": heads["intent"].mean,
        "scale": heads["intent"].scale,
        "idf": idf,
        "act.affinity": affinity,
    }
    for name, head in heads.items():
        arrays[f"{name}.vector.weight"] = head.vector_weight
        arrays[f"{name}.vector.bias"] = head.vector_bias
        arrays[f"{name}.ngram.weight"] = head.ngram_weight.astype(np.float16)
        arrays[f"{name}.ngram.bias"] = head.ngram_bias
    return arrays


def _write(folder: Path, meta: HeadsMeta, arrays: Mapping[str, Array], card: str) -> None:
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        WEIGHTS_FILE: save({name: np.ascontiguousarray(values) for name, values in arrays.items()}),
        CARD_FILE: card.encode(),
        # Last: whoever reads the new metadata finds the new weights.
        META_FILE: (meta.model_dump_json(indent=2) + "\n").encode(),
    }
    with tempfile.TemporaryDirectory(dir=folder, prefix=".training-") as work:
        for name, content in contents.items():
            (Path(work) / name).write_bytes(content)
        for name in contents:
            (Path(work) / name).replace(folder / name)


def _progress(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console or Console(stderr=True),
    )
