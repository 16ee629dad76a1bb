"""The unit-test double of `ports.Encoder`: hashed words, so that texts that share words are near each other."""

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assistant.words import tokens


class HashingEncoder:
    """Deterministic vectors without a model; it knows no meaning, only shared words."""

    def __init__(self, dimension: int = 256) -> None:
        self.version = f"hashing-{dimension}"
        self.dimension = dimension

    def encode(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for token in tokens(text) or [text]:
                digest = hashlib.blake2b(token.encode(), digest_size=8).digest()
                row[int.from_bytes(digest[:4], "big") % self.dimension] += 1.0 if digest[4] & 1 else -1.0
            row[0] += 1e-3  # no text is the zero vector
        norms: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / norms).astype(np.float32)
