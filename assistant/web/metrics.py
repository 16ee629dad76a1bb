"""Counters of this process in the Prometheus text format."""

import threading
from collections import Counter

from assistant.types.messages import Outcome

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the turn histogram."""


class Metrics:
    """What `/metrics` shows. No label carries anything that a customer wrote. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: Counter[str] = Counter()
        self._errors: Counter[int] = Counter()
        self._buckets: Counter[float] = Counter()
        self._seconds = 0.0

    def turn(self, outcome: Outcome, seconds: float) -> None:
        """One turn was answered."""
        with self._lock:
            self._turns[outcome] += 1
            self._seconds += seconds
            for bound in SECONDS:
                if seconds <= bound:
                    self._buckets[bound] += 1

    def error(self, status: int) -> None:
        """One request was answered with a status of 400 or more."""
        with self._lock:
            self._errors[status] += 1

    def render(self, open_streams: int) -> str:
        """The exposition, version 0.0.4."""
        with self._lock:
            total = sum(self._turns.values())
            lines = ["# HELP assistant_turns_total Turns answered.", "# TYPE assistant_turns_total counter"]
            lines += [f'assistant_turns_total{{outcome="{name}"}} {n}' for name, n in sorted(self._turns.items())]
            lines += [
                "# HELP assistant_turn_seconds Time to answer a turn.",
                "# TYPE assistant_turn_seconds histogram",
                *(f'assistant_turn_seconds_bucket{{le="{bound}"}} {self._buckets[bound]}' for bound in SECONDS),
                f'assistant_turn_seconds_bucket{{le="+Inf"}} {total}',
                f"assistant_turn_seconds_sum {self._seconds:.6f}",
                f"assistant_turn_seconds_count {total}",
                "# HELP assistant_http_errors_total Responses with a status of 400 or more.",
                "# TYPE assistant_http_errors_total counter",
            ]
            lines += [f'assistant_http_errors_total{{status="{code}"}} {n}' for code, n in sorted(self._errors.items())]
        lines += [
            "# HELP assistant_event_streams Live views connected now.",
            "# TYPE assistant_event_streams gauge",
            f"assistant_event_streams {open_streams}",
        ]
        return "\n".join(lines) + "\n"
