"""The index switched under load: does every search get an answer, and from one publication only."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from assistant.adapters.retrieval import HybridRetriever
from assistant.errors import AssistantError
from assistant.types.answers import Passage
from assistant.types.value import Locale


@dataclass
class Watch:
    """What one searching thread saw."""

    latencies_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    mixed: int = 0
    empty: int = 0
    seen: set[str] = field(default_factory=set)
    """The publications that answered."""


@dataclass(frozen=True)
class SwitchFigures:
    """What all threads saw; `mixed` answers held passages of two publications."""

    publications: int
    publishing_seconds: float
    """One publication, the mean."""
    queries: int
    failures: int
    mixed: int
    empty: int
    seen: int
    latency_ms_p50: float
    latency_ms_p99: float
    reasons: tuple[str, ...]


def edition(passages: Sequence[Passage], number: int) -> tuple[Passage, ...]:
    """The passages as one publication, which each of them names as its version."""
    return tuple(
        passage.model_copy(
            update={"version": str(number), "passage_id": f"{passage.passage_id.replace('@', '.')}@{number}"}
        )
        for passage in passages
    )


def switch_under_load(
    writer: HybridRetriever,
    readers: Sequence[HybridRetriever],
    texts: tuple[Sequence[Passage], Sequence[Passage]],
    queries: Sequence[tuple[str, Locale]],
    on: date,
    publications: int,
    threads: int,
) -> SwitchFigures:
    """Publish one text and the other in turn, as fast as it goes, while threads search the readers without pause.

    Every publication is a new one, so that those before the last two are removed under the readers' hands.
    """
    writer.publish(edition(texts[1], 0))
    stop = threading.Event()
    watches = [Watch() for _ in range(threads)]

    def search(number: int) -> None:
        reader, watch = readers[number % len(readers)], watches[number]
        place = number
        while not stop.is_set():
            text, language = queries[place % len(queries)]
            place += 1
            begin = time.perf_counter()
            try:
                found = reader.search(text, on=on, language=language)
            except AssistantError as error:
                watch.failures.append(f"{type(error).__name__}: {error}")
                continue
            watch.latencies_ms.append((time.perf_counter() - begin) * 1000)
            versions = {one.passage.version for one in found}
            watch.seen |= versions
            watch.mixed += len(versions) > 1
            watch.empty += not versions

    searching = [threading.Thread(target=search, args=(number,)) for number in range(threads)]
    for thread in searching:
        thread.start()
    begin = time.perf_counter()
    try:
        for number in range(1, publications + 1):
            writer.publish(edition(texts[(number + 1) % 2], number))
        seconds = time.perf_counter() - begin
    finally:
        stop.set()
        for thread in searching:
            thread.join()
    latencies = [latency for watch in watches for latency in watch.latencies_ms] or [float("nan")]
    reasons = [reason for watch in watches for reason in watch.failures]
    return SwitchFigures(
        publications=publications,
        publishing_seconds=seconds / publications,
        queries=sum(len(watch.latencies_ms) + len(watch.failures) for watch in watches),
        failures=len(reasons),
        mixed=sum(watch.mixed for watch in watches),
        empty=sum(watch.empty for watch in watches),
        seen=len(set().union(*(watch.seen for watch in watches))),
        latency_ms_p50=float(np.percentile(latencies, 50)),
        latency_ms_p99=float(np.percentile(latencies, 99)),
        reasons=tuple(sorted(set(reasons))),
    )
