"""The models that serve, and the policy index as the repository's documents give it today."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assistant.adapters.bm25 import PolicyWords
from assistant.adapters.chroma import ChromaVectors
from assistant.adapters.encoders import OnnxEncoder
from assistant.adapters.policy_files import load_policies
from assistant.adapters.retrieval import HybridRetriever
from assistant.compose import open_mapped
from assistant.knowledge import passages_of
from assistant.ports import Encoder
from assistant.settings import Settings
from assistant.training.conversion import ensure_encoder, ensure_message_encoder
from assistant.types.answers import Passage
from assistant.words import load_synonyms


def search_encoder(settings: Settings) -> OnnxEncoder:
    """The encoder that finds policies, converted where that has not been done yet."""
    return OnnxEncoder(ensure_encoder(settings), threads=settings.encoder_threads)


def message_encoder(settings: Settings) -> OnnxEncoder:
    """The encoder that reads messages, converted where that has not been done yet; it remembers none of them."""
    return OnnxEncoder(ensure_message_encoder(settings), threads=settings.encoder_threads, remembered=0)


def policy_passages(settings: Settings) -> tuple[Passage, ...]:
    """The passages of the policies as they stand. Raises ConfigurationError."""
    return passages_of(load_policies(settings.knowledge_dir / "policies", settings.data_dir / "policies"))


@contextmanager
def policy_index(settings: Settings, encoder: Encoder) -> Iterator[HybridRetriever]:
    """A retriever over a fresh index in a folder of its own."""
    glossary = settings.knowledge_dir / "glossary.yaml"
    words = PolicyWords(load_synonyms(glossary))
    passages = policy_passages(settings)
    with tempfile.TemporaryDirectory(prefix="policies-", ignore_cleanup_errors=True) as folder:
        mapped = open_mapped(settings, encoder, message_encoder(settings))
        retriever = HybridRetriever(ChromaVectors(Path(folder)), encoder, words, mapped=mapped)
        retriever.publish(passages)
        yield retriever
