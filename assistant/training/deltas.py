"""What tuning changed in an encoder, small enough to ship: low-rank factors of each matrix, the vectors whole.

A tuned matrix is W + U·diag(s)·V with U of shape (outputs, rank) and V of shape (rank, inputs), both in eight bits:
twice the rank in the same bytes loses less than sixteen bits do, and the merged matrix becomes eight bits anyway.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from assistant.errors import ConfigurationError

DELTAS_FILE = "encoder.safetensors"
_UP, _DOWN, _SCALE, _WHOLE = ".up", ".down", ".scale", ".delta"
_LARGEST = 127

Floats = NDArray[np.float32]
Array = NDArray[np.int8] | NDArray[np.float16] | Floats


class Deltas:
    """Changes by parameter name, bound to the weights they were made from."""

    def __init__(self, base: str, arrays: Mapping[str, Array]) -> None:
        """`base` is the SHA-256 of the weights before tuning; `arrays` are factors and vectors by suffixed name."""
        self.base = base
        self.arrays = dict(arrays)

    @classmethod
    def of(cls, base: str, factors: Mapping[str, tuple[Floats, Floats]], vectors: Mapping[str, Floats]) -> Self:
        """From the (up, down) factors of each matrix's change, and the change of each vector."""
        arrays: dict[str, Array] = {name + _WHOLE: change.astype(np.float16) for name, change in vectors.items()}
        for name, (up, down) in factors.items():
            tall, wide = np.abs(up).max(axis=0) + 1e-12, np.abs(down).max(axis=1) + 1e-12
            arrays[name + _UP] = np.rint(up / tall * _LARGEST).astype(np.int8)
            arrays[name + _DOWN] = np.rint(down / wide[:, None] * _LARGEST).astype(np.int8)
            arrays[name + _SCALE] = (tall * wide / _LARGEST**2).astype(np.float32)
        return cls(base, arrays)

    @property
    def digest(self) -> str:
        """SHA-256 of everything: two encoders tuned alike have one digest."""
        content = hashlib.sha256(self.base.encode())
        for name in sorted(self.arrays):
            content.update(name.encode())
            content.update(np.ascontiguousarray(self.arrays[name]).tobytes())
        return content.hexdigest()

    def merged(self, weights: Mapping[str, Floats]) -> dict[str, Floats]:
        """The tuned weights. Raises ConfigurationError where names or shapes do not fit."""
        merged = dict(weights)
        try:
            for name in self.arrays:
                stem, _, kind = name.rpartition(".")
                if f".{kind}" not in (_WHOLE, _SCALE):
                    continue
                change = self.change(stem)
                if change.shape != weights[stem].shape:
                    raise ValueError(f"{stem} has shape {weights[stem].shape}, its change {change.shape}")
                merged[stem] = weights[stem] + change
        except (KeyError, ValueError) as error:
            raise ConfigurationError(f"changes of another encoder: run `assistant train` ({error})") from error
        return merged

    def change(self, stem: str) -> Floats:
        """What is added to a parameter. Raises KeyError for one that is not changed."""
        if stem + _WHOLE in self.arrays:
            return self.arrays[stem + _WHOLE].astype(np.float32)
        up, down, scale = (self.arrays[stem + part].astype(np.float32) for part in (_UP, _DOWN, _SCALE))
        return np.asarray((up * scale) @ down, np.float32)

    def packed(self) -> bytes:
        """The file's content."""
        from safetensors.numpy import save

        arrays = {name: np.ascontiguousarray(array) for name, array in self.arrays.items()}
        return save(arrays, metadata={"base": self.base})

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The changes in a folder of weights; None where its heads stand on the encoder as it is.

        Raises ConfigurationError where the file is damaged.
        """
        from safetensors import SafetensorError, safe_open

        path = folder / DELTAS_FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                base = (file.metadata() or {})["base"]
                return cls(base, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - not a mapping
        except (OSError, SafetensorError, KeyError) as error:
            raise ConfigurationError(f"{path} cannot be read: run `assistant train` ({error})") from error


def factors_of(change: Floats, rank: int) -> tuple[Floats, Floats]:
    """(up, down) whose product is the matrix of this rank nearest to the change (Eckart and Young, 1936)."""
    left, values, right = np.linalg.svd(change, full_matrices=False)
    root = np.sqrt(values[:rank])
    return left[:, :rank] * root, root[:, None] * right[:rank]
