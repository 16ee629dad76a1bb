"""Tuning: low-rank changes and their file, a run that learns, and one that is stopped and goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel

from assistant.errors import ConfigurationError
from assistant.training import tuning
from assistant.training.conversion import Source, tuned
from assistant.training.deltas import DELTAS_FILE, Deltas, factors_of
from assistant.training.fitting import LinearHead
from assistant.training.tuning import NO_ACT, Examples, Recipe, Start, Tuned, tune

WORDS = ["[UNK]", "query", ":", "pay", "bill", "limit", "raise", "refund", "when", "how", "please", "my", "the"]
RECIPE = Recipe(starts=2, epochs=6, settling=2, batch=8, rate=3e-3, settling_rate=3e-3, head_rate=1e-2, rank=4)
SEED = 7


def tiny_source() -> Source:
    """A real BERT of two layers with weights drawn by chance, and a tokenizer of whole words."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    model = BertModel(config, add_pooling_layer=False)
    model.train(False)
    return Source(model, tokenizer, "digest of the weights", 2, 16, "mean", "query: ", "passage: ", 64)


def examples() -> Examples:
    wishes, openings, endings = ("pay bill", "raise limit", "refund"), ("how", "please"), ("my", "the", "when", "")
    texts = [f"{opening} {wish} {ending}" for wish in wishes for opening in openings for ending in endings]
    intents = np.repeat(np.arange(3), 8)
    return Examples(texts, intents, np.where(np.arange(24) % 8 < 6, np.arange(24) // 4 % 2, NO_ACT))


def start() -> Start:
    zeros = {"intent": 3, "act": 2}
    heads = {n: LinearHead(np.zeros((k, 16), np.float32), np.zeros(k, np.float32)) for n, k in zeros.items()}
    return Start(np.zeros(16, np.float32), np.full(16, 0.25, np.float32), heads)


def run(folder: Path) -> Tuned:
    return tune(tiny_source(), examples(), start(), RECIPE, SEED, folder, lambda done, steps: None)


def vectors_of(source: Source) -> np.ndarray:
    """Normalised sentence vectors of the examples, shape (24, 16)."""
    vectors = []
    for text in examples().texts:
        ids = torch.tensor([source.tokenizer.encode(f"query: {text}").ids])
        with torch.inference_mode():
            hidden = source.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            vectors.append(torch.nn.functional.normalize(hidden.mean(1), dim=-1)[0].numpy())
    return np.stack(vectors)


def test_what_is_shipped_of_a_run_is_what_was_learnt(tmp_path: Path) -> None:
    source, one_start = tiny_source(), replace(RECIPE, starts=1)
    result = tune(source, examples(), start(), one_start, SEED, tmp_path, lambda done, steps: None)
    source.model.train(False)
    learnt, shipped, before = (vectors_of(one) for one in (source, tuned(tiny_source(), result.deltas), tiny_source()))
    lost, moved = 1 - (learnt * shipped).sum(axis=1), 1 - (learnt * before).sum(axis=1)
    assert lost.max() < moved.min() / 20
    head = result.heads["intent"]
    assert ((shipped / 0.25 @ head.weight.T + head.bias).argmax(axis=1) == examples().intents).all()


@pytest.mark.parametrize(
    "stop",
    [5, 19, 26, 37, 41],
    ids=["while learning freely", "between starts", "in another start", "at the cut", "while settling"],
)
def test_a_stopped_run_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    whole = run(tmp_path / "whole")
    monkeypatch.setattr(tuning, "_SAVE_EVERY", 3)

    def stopping(done: int, steps: int) -> None:
        assert steps == 42
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(tiny_source(), examples(), start(), RECIPE, SEED, tmp_path / "halves", stopping)
    heard: list[int] = []
    again = tune(
        tiny_source(), examples(), start(), RECIPE, SEED, tmp_path / "halves", lambda done, _: heard.append(done)
    )
    assert stop - 3 <= heard[0] < stop
    assert again.deltas.digest == whole.deltas.digest
    assert np.array_equal(again.heads["intent"].weight, whole.heads["intent"].weight)


def test_starts_that_see_the_same_average_to_what_each_ends_with(tmp_path: Path) -> None:
    one_batch = replace(RECIPE, batch=24, settling=0, dropout=0.0, rank=16)

    def ended(starts: int) -> tuple[Tuned, np.ndarray]:
        recipe = replace(one_batch, starts=starts)
        result = tune(tiny_source(), examples(), start(), recipe, SEED, tmp_path, lambda done, steps: None)
        return result, vectors_of(tuned(tiny_source(), result.deltas))

    (once, vectors), (thrice, averaged) = ended(1), ended(3)
    assert np.allclose(vectors, averaged, atol=1e-3)
    assert np.allclose(once.heads["intent"].weight, thrice.heads["intent"].weight, atol=5e-3)
    assert not np.allclose(vectors, vectors_of(tiny_source()), atol=0.02)


def test_another_start_learns_in_another_order(tmp_path: Path) -> None:
    twice = run(tmp_path)
    once = tune(tiny_source(), examples(), start(), replace(RECIPE, starts=1), SEED, tmp_path, lambda done, steps: None)
    assert not np.allclose(once.heads["intent"].weight, twice.heads["intent"].weight, atol=1e-3)


def test_a_run_that_goes_on_ships_the_changes_of_both(tmp_path: Path) -> None:
    first = run(tmp_path)
    going_on = replace(start(), heads=first.heads, deltas=first.deltas)
    still = replace(RECIPE, epochs=0, settling=0, rank=16)
    kept = tune(tiny_source(), examples(), going_on, still, SEED, tmp_path, lambda done, steps: None)
    further = tune(tiny_source(), examples(), going_on, RECIPE, SEED, tmp_path, lambda done, steps: None)
    before, unmoved, after = (vectors_of(tuned(tiny_source(), one.deltas)) for one in (first, kept, further))
    assert np.allclose(unmoved, before, atol=0.01)
    assert not np.allclose(after, before, atol=0.01)
    # Bound to the weights that both began with.
    assert further.deltas.base == first.deltas.base == tiny_source().digest


def test_another_recipe_does_not_go_on_where_this_one_was(tmp_path: Path) -> None:
    run(tmp_path)
    heard: list[int] = []
    other = replace(RECIPE, rate=1e-3)
    tune(tiny_source(), examples(), start(), other, SEED, tmp_path, lambda done, _: heard.append(done))
    assert heard[0] == 0


def test_factors_are_the_nearest_of_their_rank() -> None:
    random = np.random.default_rng(3)
    change = (random.normal(size=(20, 3)) @ random.normal(size=(3, 12))).astype(np.float32)
    up, down = factors_of(change, 3)
    assert up.shape == (20, 3)
    assert down.shape == (3, 12)
    assert np.allclose(up @ down, change, atol=1e-4)


def deltas() -> Deltas:
    random = np.random.default_rng(4)
    factors = {"layer.weight": (random.normal(size=(8, 2)), random.normal(size=(2, 6)))}
    return Deltas.of("the base", factors, {"layer.bias": np.arange(8, dtype=np.float32)})  # type: ignore[arg-type]


def test_eight_bits_keep_a_change_to_a_hundredth() -> None:
    random = np.random.default_rng(4)
    exact = random.normal(size=(8, 2)) @ random.normal(size=(2, 6))
    merged = deltas().merged({"layer.weight": np.ones((8, 6), np.float32), "layer.bias": np.zeros(8, np.float32)})
    assert np.abs(merged["layer.weight"] - 1 - exact).max() < 0.02 * np.abs(exact).max()
    assert merged["layer.bias"].tolist() == list(range(8))


def test_the_file_gives_the_changes_back(tmp_path: Path) -> None:
    (tmp_path / DELTAS_FILE).write_bytes(deltas().packed())
    again = Deltas.load(tmp_path)
    assert again is not None
    assert (again.base, again.digest) == ("the base", deltas().digest)
    assert Deltas.load(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "weights", [{}, {"layer.weight": np.ones((8, 7), np.float32), "layer.bias": np.zeros(8, np.float32)}]
)
def test_changes_of_another_encoder_are_refused(weights: dict[str, np.ndarray]) -> None:
    with pytest.raises(ConfigurationError, match="assistant train"):
        deltas().merged(weights)


def test_changes_are_bound_to_the_weights_they_were_made_from() -> None:
    with pytest.raises(ConfigurationError, match="another encoder"):
        tuned(tiny_source(), deltas())


def test_a_damaged_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / DELTAS_FILE).write_bytes(b"not it")
    with pytest.raises(ConfigurationError, match="assistant train"):
        Deltas.load(tmp_path)
