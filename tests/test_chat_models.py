"""Chat models behind their port: a real OpenAI client on a server that streams, and tiny local transformers weights."""

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from assistant.adapters.chat_models import LangChainChatModel, open_chat_model
from assistant.errors import ChatModelUnavailable, ConfigurationError
from assistant.prompts import load_prompts
from assistant.rewriting import Rewriter
from assistant.settings import ROOT, Settings
from assistant.types.answers import Answer, Citation
from assistant.types.value import DocumentId
from tests.doubles_chat_model import PIECES, StreamingServer

ANSWER = Answer(
    text="从第一个还款日起，提前还款不收费。",
    citations=(
        Citation(
            document_id=DocumentId("early"),
            version="2026",
            title="提前还款",
            section="收费吗",
            quote="从第一个还款日起，提前还款不收费。",
            effective_from=date(2026, 1, 1),
        ),
    ),
)


@pytest.fixture
def server() -> Iterator[StreamingServer]:
    one = StreamingServer()
    yield one
    one.close()


def open_on(server: StreamingServer, **changes: Any) -> LangChainChatModel:
    return open_chat_model(
        Settings(**{"chat_model": "openai:small", "chat_model_url": server.url, "chat_model_timeout": 5.0, **changes})
    )


def test_a_completion_arrives_piece_by_piece(server: StreamingServer) -> None:
    server.pause = 0.15
    stream = open_on(server).stream("规则", "问题")
    begin = time.monotonic()
    assert next(stream) == PIECES[0]
    first = time.monotonic() - begin
    assert tuple(stream) == PIECES[1:]
    assert time.monotonic() - begin > first + 0.2
    (request,) = server.requests
    assert [(one["role"], one["content"]) for one in request["messages"]] == [("system", "规则"), ("user", "问题")]
    assert (request["model"], request["stream"], request["temperature"]) == ("small", True, 0)
    assert "tools" not in request


def test_the_key_goes_to_the_endpoint_and_into_no_message(server: StreamingServer) -> None:
    server.status = 401
    with pytest.raises(ChatModelUnavailable) as refused:
        list(open_on(server, chat_model_key="sk-secret").stream("规则", "我的秘密问题"))
    assert server.headers[0]["authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in str(refused.value)
    assert "我的秘密问题" not in str(refused.value)


def test_a_failing_endpoint_is_asked_once_and_is_unavailable(server: StreamingServer) -> None:
    server.status = 500
    with pytest.raises(ChatModelUnavailable, match="openai:small"):
        list(open_on(server).stream("规则", "问题"))
    assert len(server.requests) == 1


def test_a_silent_endpoint_times_out(server: StreamingServer) -> None:
    server.pause = 2.0
    begin = time.monotonic()
    with pytest.raises(ChatModelUnavailable):
        list(open_on(server, chat_model_timeout=0.3).stream("规则", "问题"))
    assert time.monotonic() - begin < 1.5


def test_a_dripping_endpoint_times_out_as_a_whole(server: StreamingServer) -> None:
    server.pieces, server.pause = ("字",) * 100, 0.1
    begin = time.monotonic()
    with pytest.raises(ChatModelUnavailable, match=r"within 0\.5 s"):
        list(open_on(server, chat_model_timeout=0.5).stream("规则", "问题"))
    assert time.monotonic() - begin < 1.5


def test_an_endpoint_that_is_down_is_unavailable(server: StreamingServer) -> None:
    model = open_on(server, chat_model_url="http://127.0.0.1:1/v1")
    with pytest.raises(ChatModelUnavailable):
        list(model.stream("规则", "问题"))


def test_a_broken_stream_is_unavailable(server: StreamingServer) -> None:
    server.breaks_off = True
    with pytest.raises(ChatModelUnavailable):
        list(open_on(server).stream("规则", "问题"))


def test_a_stream_may_be_left_before_its_end(server: StreamingServer) -> None:
    server.pieces = ("字",) * 1000
    stream = open_on(server).stream("规则", "问题")
    assert next(stream) == "字"
    stream.close()  # type: ignore[attr-defined]


def test_a_wording_from_the_endpoint_is_sent_and_an_unsupported_one_is_caught(server: StreamingServer) -> None:
    rewriter = Rewriter(open_on(server), load_prompts(ROOT / "prompts"))
    assert rewriter.rewrite("要收费吗", ANSWER, "zh-CN").answer.composer == "chat_model"
    server.pieces = ("提前还款", "一律收5%。")
    caught = rewriter.rewrite("要收费吗", ANSWER, "zh-CN")
    assert caught.answer == ANSWER
    assert caught.unsupported == ("5%",)


@pytest.mark.parametrize("name", ["gpt", "openai:", "transformers:", "ollama:x", ""])
def test_a_name_of_neither_form_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="openai:MODEL or transformers:FOLDER"):
        open_chat_model(Settings(chat_model=name, chat_model_url="http://127.0.0.1:1/v1"))


def test_an_endpoint_needs_an_address() -> None:
    with pytest.raises(ConfigurationError, match="ASSISTANT_CHAT_MODEL_URL"):
        open_chat_model(Settings(chat_model="openai:small"))


# --- local weights ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of one layer with random weights and byte-level tokens: it babbles, through the real library."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    bytes_only = Tokenizer(models.BPE())
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    bytes_only.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=258, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    bytes_only.train_from_iterator(["a"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_local_weights_stream_the_same_words_each_time(tiny_model: Path) -> None:
    model = open_chat_model(Settings(chat_model=f"transformers:{tiny_model}", chat_model_timeout=60.0))
    first, second = (list(model.stream("规则", "还款")) for _ in range(2))
    assert first
    assert first == second
    assert model.version == f"transformers:{tiny_model.name}"


def test_babble_of_local_weights_never_replaces_an_answer(tiny_model: Path) -> None:
    model = open_chat_model(Settings(chat_model=f"transformers:{tiny_model}", chat_model_timeout=60.0))
    rewritten = Rewriter(model, load_prompts(ROOT / "prompts")).rewrite("要收费吗", ANSWER, "zh-CN")
    assert rewritten.answer == ANSWER
    assert rewritten.refused


def test_a_folder_without_a_chat_model_is_refused_and_nothing_is_downloaded(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing is downloaded"):
        open_chat_model(Settings(chat_model=f"transformers:{tmp_path}"))
    for file in tiny_model.iterdir():
        if file.name != "chat_template.jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ConfigurationError, match="no chat template"):
        open_chat_model(Settings(chat_model=f"transformers:{tmp_path}"))
