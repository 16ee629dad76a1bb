"""Chat models through LangChain: any OpenAI-compatible endpoint, or local transformers weights."""

import os
import queue
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.errors import ChatModelUnavailable, ConfigurationError
from assistant.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

MAX_TOKENS = 400


class LangChainChatModel:
    """`ports.ChatModel` over a LangChain model: no tools, no memory, temperature 0, no retries."""

    def __init__(
        self, model: "BaseChatModel", version: str, timeout: float, options: Mapping[str, Any] | None = None
    ) -> None:
        """`timeout`: seconds for a whole completion; `options` go with every call to the LangChain model."""
        self.version = version
        self._model = model
        self._timeout = timeout
        self._options = dict(options or {})

    def stream(self, system: str, user: str) -> Iterator[str]:
        """Pieces of one completion. Raises ChatModelUnavailable, also where it takes longer than the time-out."""
        import httpx
        from langchain_core.messages import HumanMessage, SystemMessage
        from openai import OpenAIError

        # A client's time-out is between two pieces; a slow drip would outlast the customer's patience.
        deadline = time.monotonic() + self._timeout
        try:
            for chunk in self._model.stream([SystemMessage(system), HumanMessage(user)], **self._options):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no whole completion within {self._timeout:g} s")
                if isinstance(chunk.content, str) and chunk.content:
                    yield chunk.content
        except (
            OpenAIError,
            httpx.HTTPError,
            OSError,
            RuntimeError,
            ValueError,
            TypeError,
            LookupError,
            queue.Empty,
        ) as error:
            # The text of an error may quote the request, which holds a customer's words.
            cause = str(error) if isinstance(error, TimeoutError) else type(error).__name__
            raise ChatModelUnavailable(f"the chat model {self.version} failed: {cause}") from error


def open_chat_model(settings: Settings) -> LangChainChatModel:
    """The model that `ASSISTANT_CHAT_MODEL` names. Raises ConfigurationError."""
    # LangChain reports runs to a hosted service where these are set; nothing leaves the machine through us.
    os.environ.update(LANGSMITH_TRACING="false", LANGCHAIN_TRACING_V2="false")
    kind, _, name = (settings.chat_model or "").partition(":")
    if kind == "openai" and name:
        return LangChainChatModel(_openai(settings, name), f"openai:{name}", settings.chat_model_timeout)
    if kind == "transformers" and name:
        return _transformers(Path(name).expanduser(), settings.chat_model_timeout)
    raise ConfigurationError(
        f"ASSISTANT_CHAT_MODEL is {settings.chat_model!r}; it must be openai:MODEL or transformers:FOLDER"
    )


def _openai(settings: Settings, name: str) -> "BaseChatModel":
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    if settings.chat_model_url is None:
        raise ConfigurationError("ASSISTANT_CHAT_MODEL_URL must name the endpoint of an openai: model")
    return ChatOpenAI(
        model=name,
        base_url=settings.chat_model_url,
        # Local servers ask for no key, but the client wants one.
        api_key=settings.chat_model_key or SecretStr("none"),
        timeout=settings.chat_model_timeout,
        max_retries=0,
        temperature=0,
        max_completion_tokens=MAX_TOKENS,
        stream_usage=False,
    )


def _transformers(folder: Path, timeout: float) -> LangChainChatModel:
    if not (folder / "config.json").is_file():
        raise ConfigurationError(f"{folder} holds no transformers model (config.json): nothing is downloaded")
    try:
        from langchain_huggingface import ChatHuggingFace, HuggingFacePipeline
        from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline
    except ImportError as error:
        raise ConfigurationError(f"a local chat model needs `pip install assistant[train]` ({error})") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(f"the model in {folder} cannot be opened: {error}") from error
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigurationError(f"the tokenizer in {folder} has no chat template: it is no chat model")
    local = HuggingFacePipeline(pipeline=pipeline("text-generation", model=model, tokenizer=tokenizer))
    # LangChain streams a pipeline with the options of the call only, not with those it was made with.
    options = {"max_new_tokens": MAX_TOKENS, "max_time": timeout, "do_sample": False}
    chat = ChatHuggingFace(llm=local, model_id=str(folder), tokenizer=tokenizer)
    return LangChainChatModel(chat, f"transformers:{folder.name}", timeout, {"pipeline_kwargs": options})
