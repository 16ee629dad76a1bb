"""The converted default encoder, opened once for all tests that need the real one."""

from functools import cache

from assistant.adapters.encoders import OnnxEncoder
from assistant.settings import Settings
from assistant.training.conversion import ensure_encoder


@cache
def real_encoder() -> OnnxEncoder:
    """Converted on first use, which `make setup` has done before."""
    return OnnxEncoder(ensure_encoder(Settings()))
