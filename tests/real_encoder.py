"""The converted default encoders, opened once for all tests that need the real ones."""

from functools import cache

from assistant.adapters.encoders import OnnxEncoder
from assistant.settings import Settings
from assistant.training.conversion import ensure_encoder, ensure_message_encoder


@cache
def real_encoder() -> OnnxEncoder:
    """Converted on first use, which `make setup` has done before."""
    return OnnxEncoder(ensure_encoder(Settings()))


@cache
def real_message_encoder() -> OnnxEncoder:
    """The one the shipped heads read messages with."""
    return OnnxEncoder(ensure_message_encoder(Settings()))
