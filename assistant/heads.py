"""The arithmetic of the understanding heads in numpy: features of a text, linear heads, their file.

Two views of a text vote: the encoder's vector (standardised) and hashed character n-grams (tf-idf). Each has its own
linear head; the log-probabilities are averaged with a fixed weight and divided by a temperature that was fitted on
held-out predictions.
"""

import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from assistant.errors import ConfigurationError
from assistant.types.value import Value

BUCKETS = 8192
LONGEST_NGRAM = 3
WEIGHTS_FILE = "heads.safetensors"
META_FILE = "heads.json"
# A message of any length costs the same to look at; what a customer wants stands in its first lines.
_MOST_CHARACTERS = 1000

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]
Indices = NDArray[np.int64]


class Thresholds(Value):
    """When a prediction is not acted on; chosen on held-out predictions."""

    low_confidence: float = Field(ge=0, le=1, description="Below this calibrated confidence the answer is withheld.")
    margin: float = Field(ge=0, le=1, description="Two leading intents nearer than this are ambiguous.")
    pair: float = Field(ge=0, le=1, description="Two leading intents with this much together are the choice to offer.")


class Adapted(Value):
    """What an institution's own words added to the weights that it began with."""

    began_with: str = Field(description="Version of the weights before.")
    messages: int = Field(description="Messages of the logs that were read surely enough to learn from.")
    messages_sha256: str | None = Field(description="Of the logs; none where there were none.")
    corrections: int = Field(description="Messages labelled by people.")


class HeadsMeta(Value):
    """What trained heads are bound to, and how they are read."""

    encoder_version: str
    deltas: str | None = Field(description="Digest of the changes that tune the encoder; none where it stays as it is.")
    dimension: int
    taxonomy_version: int
    intents: tuple[str, ...]
    acts: tuple[str, ...]
    buckets: int
    ngram_weight: float = Field(ge=0, le=1)
    temperature: float = Field(gt=0)
    act_temperature: float = Field(gt=0)
    thresholds: Thresholds
    data_sha256: str
    glossary_sha256: str
    seed: int
    quick: bool
    adapted: Adapted | None = None
    metrics: Mapping[str, float] = Field(description="Figures on rows that were not learnt from.")


class Heads:
    """Trained weights: arrays by name, and their metadata."""

    def __init__(self, meta: HeadsMeta, arrays: Mapping[str, Floats | Halves], version: str) -> None:
        self.meta = meta
        self.version = version
        self._arrays = {name: np.asarray(values, np.float32) for name, values in arrays.items()}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read heads from a folder. Raises ConfigurationError."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            raw = (folder / WEIGHTS_FILE).read_bytes()
            text = (folder / META_FILE).read_bytes()
            heads = cls(HeadsMeta.model_validate_json(text), load(raw), hashlib.sha256(raw + text).hexdigest()[:16])
        except (OSError, SafetensorError, ValidationError) as error:
            raise ConfigurationError(f"no usable heads in {folder}: run `assistant train` ({error})") from error
        heads._check_shapes(folder)
        return heads

    def intent_probabilities(self, vector: Floats, buckets: Indices) -> Floats:
        """Calibrated probabilities of the intents, in the order of `meta.intents`."""
        return self._mix("intent", vector, buckets, self.meta.temperature)

    def act_probabilities(self, vector: Floats, buckets: Indices, intent: int) -> Floats:
        """Calibrated probabilities of the acts given an intent (its index), in the order of `meta.acts`."""
        return self._mix("act", vector, buckets, self.meta.act_temperature, self._arrays["act.affinity"][intent])

    def ngram_probabilities(self, buckets: Indices) -> Floats:
        """Probabilities of the intents from letters alone; not calibrated."""
        return np.exp(log_softmax(self._by_letters("intent", buckets)))

    def votes(self, head: str, vectors: Floats, buckets: Sequence[Indices]) -> tuple[Floats, Floats]:
        """What each view says of many texts before calibration: two arrays of log-probabilities, (rows, classes)."""
        letters = np.stack([self._by_letters(head, row) for row in buckets])
        return log_softmax(self._by_meaning(head, vectors)), log_softmax(letters)

    @property
    def standard(self) -> tuple[Floats, Floats]:
        """Mean and scale that standardise vectors."""
        return self._arrays["mean"], self._arrays["scale"]

    def linear(self, head: str) -> tuple[Floats, Floats]:
        """Weight and bias of a head on vectors."""
        return self._arrays[f"{head}.vector.weight"], self._arrays[f"{head}.vector.bias"]

    def _by_meaning(self, head: str, vectors: Floats) -> Floats:
        arrays = self._arrays
        standard = (vectors - arrays["mean"]) / arrays["scale"]
        return np.asarray(standard @ arrays[f"{head}.vector.weight"].T + arrays[f"{head}.vector.bias"], np.float32)

    def _by_letters(self, head: str, buckets: Indices) -> Floats:
        weights: Floats = self._arrays[f"{head}.ngram.weight"][:, buckets]
        return weights @ tfidf(self._arrays["idf"], buckets) + self._arrays[f"{head}.ngram.bias"]

    def _mix(
        self, head: str, vector: Floats, buckets: Indices, temperature: float, affinity: Floats | None = None
    ) -> Floats:
        weight = self.meta.ngram_weight
        by_meaning, by_letters = self._by_meaning(head, vector), self._by_letters(head, buckets)
        mixed: Floats = np.asarray(
            (1 - weight) * log_softmax(by_meaning) + weight * log_softmax(by_letters), np.float32
        )
        if affinity is not None:
            mixed += affinity
        return np.exp(log_softmax(mixed / np.float32(temperature)))

    def _check_shapes(self, folder: Path) -> None:
        meta = self.meta
        expected: dict[str, tuple[int, ...]] = {
            "mean": (meta.dimension,),
            "scale": (meta.dimension,),
            "idf": (meta.buckets,),
        }
        expected["act.affinity"] = (len(meta.intents), len(meta.acts))
        for head, labels in (("intent", len(meta.intents)), ("act", len(meta.acts))):
            expected[f"{head}.vector.weight"] = (labels, meta.dimension)
            expected[f"{head}.ngram.weight"] = (labels, meta.buckets)
            expected[f"{head}.vector.bias"] = expected[f"{head}.ngram.bias"] = (labels,)
        found = {name: values.shape for name, values in self._arrays.items()}
        if found != expected:
            raise ConfigurationError(f"{folder / WEIGHTS_FILE} does not fit its {META_FILE}: run `assistant train`")


def ngram_buckets(text: str) -> Indices:
    """The distinct buckets of a canonical text's character 1- to 3-grams, ascending."""
    folded = re.sub(r"\s+", " ", text.casefold()).strip()[:_MOST_CHARACTERS]
    grams = {
        folded[start : start + length]
        for length in range(1, LONGEST_NGRAM + 1)
        for start in range(len(folded) - length + 1)
    }
    # crc32 is the same on every machine and version, which Python's own hash is not.
    return np.array(sorted({zlib.crc32(gram.encode()) % BUCKETS for gram in grams}), np.int64)


def tfidf(idf: Floats, buckets: Indices) -> Floats:
    """Unit-length weights of the buckets that occur; presence counts, not frequency."""
    values = idf[buckets]
    length = float(np.sqrt(np.sum(values * values)))
    return values / length if length else values


def log_softmax(scores: Floats) -> Floats:
    """Along the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
