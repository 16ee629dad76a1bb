"""What search learnt from questions: linear maps that bring a customer's words and a policy's words together.

A question becomes the unit vector of s + W·s + Z·m, where s is the vector of the encoder as it came and m that of the
encoder that reads messages, standardised; a passage the unit vector of p + U·p. All three are square in the dimension.
"""

import hashlib
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from assistant.errors import ConfigurationError
from assistant.glossary import Glossary
from assistant.ports import Encoder
from assistant.types.value import Value

MAPS_FILE = "search.safetensors"
META_FILE = "search.json"
Vectors = NDArray[np.float32]


class Fusion(Value):
    """What counts how much for a passage: cosine, probability of its intents, share of the best BM25 score."""

    near: float = 50.0
    intents: float = 3.0
    words: float = 4.0
    enough: float = 48.0
    """The sum from which a passage counts as an answer; it is taken off, so that what is below 0 answers nothing."""


class MapsMeta(Value):
    """What the maps belong to and how they were made."""

    encoder: str
    message_encoder: str
    fusion: Fusion
    questions_sha256: str
    rows: int
    metrics: dict[str, float]


class SearchMaps:
    """The maps of one pair of encoders."""

    def __init__(self, meta: MapsMeta, arrays: dict[str, NDArray[np.float16]], version: str) -> None:
        """`arrays`: `question`, `reading`, `passage`, each (dimension, dimension); `mean`, `scale` of readings."""
        self.meta = meta
        self.version = version
        self._arrays = {name: np.asarray(values, np.float32) for name, values in arrays.items()}

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The maps in a folder of weights; None where it has none. Raises ConfigurationError where they are damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        if not (folder / MAPS_FILE).is_file():
            return None
        try:
            raw, text = (folder / MAPS_FILE).read_bytes(), (folder / META_FILE).read_bytes()
            version = hashlib.sha256(raw + text).hexdigest()[:16]
            return cls(MapsMeta.model_validate_json(text), load(raw), version)
        except (OSError, SafetensorError, ValidationError) as error:
            raise ConfigurationError(
                f"no usable search maps in {folder}: run `assistant train --search` ({error})"
            ) from error

    def of_questions(self, came: Vectors, read: Vectors) -> Vectors:
        """Vectors of questions, (rows, dimension), from those of the two encoders."""
        standard = (read - self._arrays["mean"]) / self._arrays["scale"]
        moved = came @ self._arrays["question"].T + standard @ self._arrays["reading"].T
        return _unit(np.asarray(came + moved, np.float32))

    def of_passages(self, vectors: Vectors) -> Vectors:
        """Vectors of passages, (rows, dimension), from those of the encoder as it came."""
        return _unit(np.asarray(vectors + vectors @ self._arrays["passage"].T, np.float32))


class MappedQuestions:
    """A customer's question as a vector of the mapped space."""

    def __init__(self, maps: SearchMaps, came: Encoder, messages: Encoder, glossary: Glossary) -> None:
        """`came` is the encoder as it came, `messages` the one that reads messages: those the maps were learnt with."""
        self.maps = maps
        self._came, self._messages, self._glossary = came, messages, glossary

    def encode(self, question: str) -> Vectors:
        """One unit vector. Raises EncoderUnavailable."""
        # Read in the words that intents are read in, whose vector the messages' encoder may remember from that.
        read = self._messages.encode([self._glossary.canonical(question)], "query")
        vector: Vectors = self.maps.of_questions(self._came.encode([question], "query"), read)[0]
        return vector


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)
