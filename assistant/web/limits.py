"""Rate limits: token buckets in this process."""

import math
import threading
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException

KEPT = 10_000
"""Buckets held before the full ones are forgotten: a full bucket says nothing that a new one would not."""


class TokenBuckets:
    """One bucket a key, `per_minute` tokens deep, filled evenly. Thread-safe."""

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._depth = float(per_minute)
        self._per_second = per_minute / 60
        self._now = now
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> None:
        """Spend one token. Raises a 429 with Retry-After where there is none."""
        with self._lock:
            now = self._now()
            if len(self._buckets) >= KEPT and key not in self._buckets:
                self._forget_full(now)
            tokens = self._tokens(key, now)
            if tokens >= 1:
                self._buckets[key] = (tokens - 1, now)
                return
        seconds = max(1, math.ceil((1 - tokens) / self._per_second))
        raise HTTPException(
            429,
            detail=f"More than {self._depth:.0f} of these in a minute; try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )

    @property
    def held(self) -> int:
        """Buckets in memory."""
        with self._lock:
            return len(self._buckets)

    def _tokens(self, key: str, now: float) -> float:
        tokens, at = self._buckets.get(key, (self._depth, now))
        return min(self._depth, tokens + (now - at) * self._per_second)

    def _forget_full(self, now: float) -> None:
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if self._tokens(key, now) < self._depth}
