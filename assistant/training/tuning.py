"""Tunes an encoder and its heads on labelled utterances, with torch; a stopped run goes on where it was.

First every matrix of the encoder but the word table learns freely, together with one linear head for the intents and
one for the acts; the heads start where logistic regression on the untuned vectors ended. That is done more than once,
on rows in another order, and the weights it ends with are averaged (model soups; Wortsman et al., 2022): which way one
run falls on messages unlike those it learnt from is partly chance. Then each change is cut to its best low-rank
factors, and the factors learn on: cutting alone cost a point or two, which this last stretch wins back.
The same rows, recipe and seed give the same weights on the same machine, also across a stop.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.heads import Floats, Indices
from assistant.training.conversion import Source
from assistant.training.conversion import tuned as merge
from assistant.training.deltas import Deltas, factors_of
from assistant.training.fitting import LinearHead

if TYPE_CHECKING:
    import torch

NO_ACT = -100
"""Label of rows that carry no act (torch's own mark for rows a loss leaves out)."""
_SAVE_EVERY = 250
_BUCKET = 16
"""Batches whose rows are sorted by length together, so that little is padding."""
_MAX_TOKENS = 96
_CLIP = 1.0
_DECAY = 0.01


@dataclass(frozen=True)
class Recipe:
    """How to tune; the defaults are what measured best."""

    starts: int = 2
    """How often the encoder learns freely from where it starts; the ends are averaged."""
    epochs: int = 3
    """Passes of each start."""
    settling: int = 1
    """Passes in which the factors of the average learn."""
    batch: int = 32
    rate: float = 1e-4
    """Peak learning rate of the encoder; it rises over `warmup` of a start and falls in a line to nothing."""
    settling_rate: float = 3e-4
    head_rate: float = 1e-3
    warmup: float = 0.06
    smoothing: float = 0.1
    dropout: float = 0.1
    act_weight: float = 0.3
    """Weight of the act loss beside the intent loss."""
    rank: int = 60
    """Of the change that is kept of each matrix."""


@dataclass(frozen=True)
class Examples:
    """Rows to learn from: texts, and per row the index of the intent and of the act (or NO_ACT)."""

    texts: Sequence[str]
    intents: Indices
    acts: Indices


@dataclass(frozen=True)
class Start:
    """Where tuning begins: the statistics that standardise vectors, and heads by name (`intent`, `act`)."""

    mean: Floats
    scale: Floats
    heads: Mapping[str, LinearHead]
    deltas: Deltas | None = None
    """What an earlier run changed in the encoder: tuning goes on from there, and ships the changes of both as one."""


@dataclass(frozen=True)
class Tuned:
    """What a run ends with: heads by name, and what changed in the encoder."""

    heads: Mapping[str, LinearHead]
    deltas: Deltas


class Run:
    """One tuning run: model, heads, optimiser, and the batch that belongs to each step; `loss` may be overridden."""

    def __init__(self, source: Source, examples: Examples, start: Start, recipe: Recipe, seed: int) -> None:
        import torch

        self._model, self._recipe, self._seed = source.model, recipe, seed
        self._examples = examples
        self._ids = [
            encoding.ids[:_MAX_TOKENS]
            for encoding in source.tokenizer.encode_batch([source.query_prefix + text for text in examples.texts])
        ]
        self.intents = torch.from_numpy(examples.intents)
        self._acts = torch.from_numpy(examples.acts)
        self._mean, self._scale = torch.from_numpy(start.mean), torch.from_numpy(start.scale)
        self._heads = {name: _linear(head) for name, head in start.heads.items()}
        self._halves = _has_fast_halves()
        for module in self._model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = recipe.dropout
        self._drop = torch.nn.Dropout(recipe.dropout)
        self._base = source.digest
        self._before = {name: values.detach().clone() for name, values in self._model.named_parameters()}
        if start.deltas is not None:
            merge(source, start.deltas)
        self._factors: dict[str, Any] = {}
        self._sum: dict[str, torch.Tensor] = {}
        self._epoch: tuple[int, list[Indices]] = (-1, [])
        self._an_epoch = len(self._ids) // recipe.batch
        self._a_start = recipe.epochs * self._an_epoch
        self._free = recipe.starts * self._a_start
        self.steps = self._free + recipe.settling * self._an_epoch
        self.identity = self._identity(source, start)
        self._learn(recipe.rate)
        self._first = {name: values.detach().clone() for name, values in self._learning.items()}

    def _learn(self, rate: float) -> None:
        """Set up what learns: the linear layers and vectors of the model as they are now, and the heads."""
        import torch

        linear = {id(module.weight) for module in self._model.modules() if isinstance(module, torch.nn.Linear)}
        matrices = {id(part) for factors in self._factors.values() for part in factors.parameters()} or linear
        for parameter in self._model.parameters():
            parameter.requires_grad_(parameter.ndim == 1 or id(parameter) in matrices)
        model = {name: values for name, values in self._model.named_parameters() if values.requires_grad}
        heads = {f"head.{name}.{key}": p for name, head in self._heads.items() for key, p in head.named_parameters()}
        self._learning = model | heads
        self._rates = {name: self._recipe.head_rate if name in heads else rate for name in self._learning}
        groups: list[dict[str, Any]] = [
            {"params": [values], "lr": 0.0, "weight_decay": _DECAY if values.ndim > 1 else 0.0}
            for values in self._learning.values()
        ]
        self._optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98))

    def _end_start(self) -> None:
        """Add what this start ended with to the sum, and go back to where it began."""
        import torch

        with torch.no_grad():
            for name, values in self._learning.items():
                self._sum[name] = self._sum.get(name, 0) + values.detach().clone()
                values.copy_(self._first[name])
        self._learn(self._recipe.rate)

    def _compress(self) -> None:
        """Put the factors of each matrix's change, averaged over the starts, in the place of the matrix."""
        import torch
        from torch.nn.utils import parametrize

        with torch.no_grad():
            for name, values in self._sum.items():
                self._learning[name].copy_(values / self._recipe.starts)
        for name, module in self._model.named_modules():
            if isinstance(module, torch.nn.Linear):
                before = self._before[f"{name}.weight"]
                factors = _low_rank(*factors_of((module.weight.detach() - before).numpy(), self._recipe.rank))
                with torch.no_grad():
                    module.weight.copy_(before)
                parametrize.register_parametrization(module, "weight", factors)
                self._factors[f"{name}.weight"] = factors
        self._learn(self._recipe.settling_rate)

    def _identity(self, source: Source, start: Start) -> str:
        content = hashlib.sha256(f"{type(self).__name__} {source.digest}".encode())
        content.update((start.deltas.digest if start.deltas else "").encode())
        content.update(json.dumps([asdict(self._recipe), self._seed, list(self._examples.texts)]).encode())
        arrays = [self._examples.intents, self._examples.acts, start.mean, start.scale]
        for head in start.heads.values():
            arrays += [head.weight, head.bias]
        for array in arrays:
            content.update(np.ascontiguousarray(array).tobytes())
        return content.hexdigest()

    # --- a step ---

    def step(self, number: int) -> None:
        """Learn from the batch of this step; the step alone decides what is drawn by chance."""
        import torch

        torch.manual_seed(self._seed * 1_000_003 + number)
        if 0 < number <= self._free and number % self._a_start == 0:
            self._end_start()
        if number >= self._free and not self._factors:
            self._compress()
        for group, rate in zip(self._optimiser.param_groups, self._rates.values(), strict=True):
            group["lr"] = rate * self._pace(number)
        self._model.train()
        rows = self._batch(number)
        loss = self.loss(self._vectors(rows), rows)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(self._learning.values()), _CLIP)
        self._optimiser.step()

    def _pace(self, number: int) -> float:
        begin, end = self._free, self.steps
        if number < self._free:
            begin = number - number % self._a_start
            end = begin + self._a_start
        warm = max(1.0, self._recipe.warmup * (end - begin))
        return min(1.0, (number - begin + 1) / warm) * max(0.01, 1 - (number - begin) / (end - begin))

    def _batch(self, number: int) -> Indices:
        """Rows in random order, cut into stretches that are sorted by length, cut into batches, in random order."""
        size = self._recipe.batch
        epoch, place = divmod(number, self._an_epoch)
        if self._epoch[0] != epoch:
            random = np.random.default_rng([self._seed, epoch])
            order = random.permutation(len(self._ids))
            batches: list[Indices] = []
            for begin in range(0, len(order), size * _BUCKET):
                stretch = order[begin : begin + size * _BUCKET]
                stretch = stretch[np.argsort([len(self._ids[row]) for row in stretch], kind="stable")]
                batches += [stretch[at : at + size] for at in range(0, len(stretch) - size + 1, size)]
            self._epoch = (epoch, [batches[index] for index in random.permutation(len(batches))])
        return self._epoch[1][place]

    def loss(self, vectors: "torch.Tensor", rows: Indices) -> "torch.Tensor":
        """What is made small: of unit vectors, shape (batch, dimension), and the places of their examples."""
        from torch.nn.functional import cross_entropy

        standard = self._drop((vectors - self._mean) / self._scale)
        loss = self.intent_loss(self._heads["intent"](standard), rows)
        acts = self._acts[rows]
        if bool((acts != NO_ACT).any()):
            act_loss = cross_entropy(self._heads["act"](standard), acts, ignore_index=NO_ACT)
            loss = loss + self._recipe.act_weight * act_loss
        return loss

    def intent_loss(self, scores: "torch.Tensor", rows: Indices) -> "torch.Tensor":
        """The part of it that the intents have: of scores, shape (batch, intents)."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(scores, self.intents[rows], label_smoothing=self._recipe.smoothing)

    def _vectors(self, rows: Indices) -> "torch.Tensor":
        import torch

        longest = max(len(self._ids[row]) for row in rows)
        ids = torch.ones((len(rows), longest), dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(self._ids[row])] = torch.tensor(self._ids[row])
            mask[place, : len(self._ids[row])] = 1
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._halves):
            hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        spread = mask[..., None].float()
        return torch.nn.functional.normalize((hidden * spread).sum(1) / spread.sum(1), dim=-1)

    # --- stop and go on ---

    def save(self, path: Path, done: int) -> None:
        """Weights, moments of the optimiser, sums over ended starts, steps done; renamed into place when complete."""
        from safetensors.torch import save_file

        tensors = {f"weight/{name}": parameter.detach() for name, parameter in self._learning.items()}
        for name, parameter in self._learning.items():
            for key, value in self._optimiser.state[parameter].items():
                tensors[f"{key}/{name}"] = value
        if not self._factors:
            tensors |= {f"sum/{name}": values for name, values in self._sum.items()}
        part = path.with_suffix(".part")
        save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata={"done": str(done)})
        part.replace(path)

    def resume(self, path: Path) -> int:
        """Steps that an earlier run of the same identity has done; its weights are taken over."""
        import torch
        from safetensors import safe_open

        if not path.is_file():
            return 0
        with safe_open(path, framework="pt") as file, torch.no_grad():
            done = int(file.metadata()["done"])
            if done > self._free:
                self._compress()
            elif done > self._a_start:
                self._sum = {name: file.get_tensor(f"sum/{name}") for name in self._learning}
            for name, parameter in self._learning.items():
                parameter.copy_(file.get_tensor(f"weight/{name}"))
                self._optimiser.state[parameter] = {
                    key: file.get_tensor(f"{key}/{name}") for key in ("step", "exp_avg", "exp_avg_sq")
                }
        return done

    def result(self) -> Tuned:
        """The heads and the changes, as they are now."""
        if not self._factors:
            if self._free:
                self._end_start()
            self._compress()
        factors = {name: (of.up.detach().numpy(), of.down.detach().numpy()) for name, of in self._factors.items()}
        now = dict(self._model.named_parameters())
        vectors = {
            name: (now[name] - before).detach().numpy() for name, before in self._before.items() if before.ndim == 1
        }
        heads = {
            name: LinearHead(head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy())
            for name, head in self._heads.items()
        }
        return Tuned(heads, Deltas.of(self._base, factors, vectors))


def tune(
    source: Source,
    examples: Examples,
    start: Start,
    recipe: Recipe,
    seed: int,
    folder: Path,
    after_step: Callable[[int, int], None],
    kind: Callable[[Source, Examples, Start, Recipe, int], Run] = Run,
) -> Tuned:
    """Tune an encoder; its model is used up by it. `after_step` hears steps done and steps in all.

    Checkpoints lie under `folder`, named by everything the run depends on. `kind` makes the run: `Run`, or one
    with another loss.
    """
    run = kind(source, examples, start, recipe, seed)
    checkpoint = folder / f"tuning-{run.identity[:16]}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    done = run.resume(checkpoint)
    after_step(done, run.steps)
    while done < run.steps:
        run.step(done)
        done += 1
        after_step(done, run.steps)
        if done % _SAVE_EVERY == 0 or done == run.steps:
            run.save(checkpoint, done)
    return run.result()


def _low_rank(up: Floats, down: Floats) -> "torch.nn.Module":
    """What a parametrised matrix adds to the one it had before: the product of two factors that learn."""
    import torch

    class LowRank(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = torch.nn.Parameter(torch.from_numpy(np.ascontiguousarray(up)))
            self.down = torch.nn.Parameter(torch.from_numpy(np.ascontiguousarray(down)))

        def forward(self, before: torch.Tensor) -> torch.Tensor:
            return before + self.up @ self.down

    return LowRank()


def _linear(head: LinearHead) -> "torch.nn.Linear":
    import torch

    linear = torch.nn.Linear(head.weight.shape[1], head.weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(head.weight))
        linear.bias.copy_(torch.from_numpy(head.bias))
    return linear


def _has_fast_halves() -> bool:
    """Whether this processor multiplies bfloat16 matrices natively: 1.6 times the speed there, slower elsewhere."""
    import torch

    return bool(torch.cpu._is_amx_tile_supported())
