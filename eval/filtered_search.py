"""Search under filters that leave more or less of an index: how long it takes, and how much of the best it finds."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assistant.adapters.bm25 import PolicyWords
from assistant.adapters.chroma import ChromaVectors, PublishedVectors
from assistant.adapters.passage_index import searched
from assistant.adapters.retrieval import HybridRetriever
from assistant.adapters.search_maps import Fusion
from assistant.errors import RetrieverUnavailable
from assistant.knowledge import ENGLISH
from assistant.ports import Encoder
from assistant.types.answers import Audience, Passage
from assistant.types.understanding import Product
from assistant.types.value import Locale
from eval.policy_variants import varied_passages

Vectors = NDArray[np.float32]
Query = tuple[str, Locale]

DAYS = {1.0: date(2026, 4, 1), 0.5: date(2026, 3, 1), 0.1: date(2026, 2, 1), 0.01: date(2026, 1, 1)}
"""The day on which this share of the documents is in force."""
SOLD: tuple[tuple[float, tuple[Product, ...]], ...] = (
    (0.1, ("pay_later", "cash_loan")),
    (0.5, ("pay_later",)),
    (1.0, ("merchant_loan",)),
)
"""Up to which share of the subjects is for which products: half for one, a tenth for another."""
BEST = 10
_MIXED = 0.5
_NOISE = 0.3


@dataclass(frozen=True)
class Scenario:
    """The filters of one search."""

    name: str
    on: date
    audience: Audience = "staff"
    product: Product | None = None

    def shows(self, passage: Passage) -> bool:
        """Whether the passage passes, apart from translations."""
        for_reader = self.audience == "staff" or passage.audience == "customer"
        for_product = self.product is None or not passage.products or self.product in passage.products
        return passage.in_force(self.on) and for_reader and for_product


SCENARIOS = (
    *(Scenario(f"on a day with {share:.0%} in force", day) for share, day in DAYS.items()),
    Scenario("product of half", DAYS[1.0], product="pay_later"),
    Scenario("product of a tenth", DAYS[1.0], product="cash_loan"),
    Scenario("customers, who see half", DAYS[1.0], "customer"),
    *(
        Scenario(f"customers, product of half, day with {share:.0%}", day, "customer", "pay_later")
        for share, day in DAYS.items()
    ),
)


@dataclass(frozen=True)
class ScenarioFigures:
    """What was measured under the filters of one scenario; latencies in milliseconds, encoding included."""

    share: float
    """Of all passages, what the filters leave; the mean over the languages of the queries."""
    latency_ms_p50: float
    latency_ms_p95: float
    recall_at_10: float | None
    """Share of the ten nearest by exact comparison that the search by meaning returned; None where nothing passes."""


def filtered(passages: Sequence[Passage], count: int, seed: int) -> tuple[Passage, ...]:
    """So many passages, the given ones first, with dates, readers and products drawn to filter by.

    Dates and readers are drawn for every document; products for every subject, as products have their own subjects, so
    that the nearest of a question can all be filtered out.
    """
    random = np.random.default_rng(seed)
    drawn: dict[str, tuple[date, Audience]] = {}
    sold: dict[str, tuple[Product, ...]] = {}
    subjects = [passage.document_id.removesuffix(ENGLISH) for passage in passages]
    found = []
    for place, passage in enumerate(varied_passages(passages, count, seed)):
        document, subject = passage.document_id.removesuffix(ENGLISH), subjects[place % len(subjects)]
        if document not in drawn:
            chance = random.random()
            since = DAYS[min(share for share in DAYS if chance <= share)]
            drawn[document] = since, "customer" if random.random() < 0.5 else "staff"
        if subject not in sold:
            chance = random.random()
            sold[subject] = next(products for share, products in SOLD if chance <= share)
        since, audience = drawn[document]
        update = {"effective_from": since, "effective_to": None, "audience": audience, "products": sold[subject]}
        found.append(passage.model_copy(update=update))
    return tuple(found)


def around(centres: Vectors, count: int, seed: int) -> Vectors:
    """So many unit vectors: row n lies near centre n, between it and another one and off their line by some noise."""
    random = np.random.default_rng(seed)
    size, dimension = centres.shape
    rows = np.empty((count, dimension), np.float32)
    for start in range(0, count, size):
        part = min(size, count - start)
        share = random.uniform(0, _MIXED, (part, 1))
        others = centres[random.integers(0, size, part)]
        noise = random.normal(size=(part, dimension)) * (_NOISE / np.sqrt(dimension))
        mixed = (1 - share) * centres[:part] + share * others + noise
        rows[start : start + part] = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return rows


class GivenVectors:
    """A double of `ports.Encoder` for large indexes: passages have the vectors given, other texts are encoded."""

    def __init__(self, encoder: Encoder, passages: Sequence[Passage], vectors: Vectors) -> None:
        self._encoder = encoder
        self.version = f"{encoder.version}-given"
        self.dimension = encoder.dimension
        self._rows = {searched(passage): row for passage, row in zip(passages, vectors, strict=True)}
        # A heading would be added to the text's vector: as zeros it leaves that as it is.
        self._rows |= dict.fromkeys((passage.section for passage in passages), np.zeros(self.dimension, np.float32))

    def encode(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> Vectors:
        """The given rows where all texts have one, else what the encoder says."""
        if all(text in self._rows for text in texts):
            return np.stack([self._rows[text] for text in texts])
        return self._encoder.encode(texts, kind)


@dataclass(frozen=True)
class IndexFigures:
    """What was measured on one index."""

    passages: int
    publishing_seconds: float
    opening_seconds: float
    scenarios: Mapping[str, ScenarioFigures]


def measure_index(
    folder: Path, encoder: Encoder, words: PolicyWords, passages: Sequence[Passage], queries: Sequence[Query]
) -> tuple[IndexFigures, Vectors]:
    """Publish the passages into a folder, search as another process would; the figures, and the vectors published."""
    writer = HybridRetriever(ChromaVectors(folder), encoder, words)
    publishing = _seconds(lambda: writer.publish(passages))
    writer.close()
    vectors = ChromaVectors(folder)
    retriever = HybridRetriever(vectors, encoder, words)
    try:
        opening = _seconds(lambda: retriever.version)
        name = vectors.current()
        if name is None:
            raise RetrieverUnavailable("the index that was just published is gone")
        published = vectors.open(name)
        by_meaning = retriever.fused_by(Fusion(words=0, intents=0))
        _latencies(retriever, queries[:5], SCENARIOS[0])  # the first searches load what is loaded on first use
        figures = {}
        for scenario in SCENARIOS:
            latencies = _latencies(retriever, queries, scenario)
            share, recall = _recall(by_meaning, published, encoder, queries, scenario)
            p50, p95 = np.percentile(latencies, [50, 95])
            figures[scenario.name] = ScenarioFigures(share, float(p50), float(p95), recall)
    finally:
        retriever.close()
    return IndexFigures(len(passages), publishing, opening, figures), published.vectors


def _latencies(retriever: HybridRetriever, queries: Sequence[Query], scenario: Scenario) -> list[float]:
    found = []
    for text, language in queries:
        begin = time.perf_counter()
        retriever.search(
            text, on=scenario.on, audience=scenario.audience, product=scenario.product, language=language, limit=BEST
        )
        found.append((time.perf_counter() - begin) * 1000)
    return found


def _recall(
    by_meaning: HybridRetriever,
    published: PublishedVectors,
    encoder: Encoder,
    queries: Sequence[Query],
    scenario: Scenario,
) -> tuple[float, float | None]:
    """The mean share that is allowed, and the mean recall of the search by meaning against exact comparison."""
    languages = {language for _, language in queries}
    allowed = {language: shown(published.passages, scenario, language) for language in languages}
    # Texts of another language count as nearer, by the rule of the retriever: without it ranks would differ.
    nearer = {
        language: np.array([published.language_gap * (passage.language != language) for passage in published.passages])
        for language in languages
    }
    recalls = []
    for text, language in queries:
        nearness = published.vectors @ encoder.encode([text], "query")[0] + nearer[language]
        best = np.argsort(-np.where(allowed[language], nearness, -np.inf), kind="stable")[:BEST]
        wanted = {published.passages[place].passage_id for place in best if allowed[language][place]}
        found = by_meaning.search(
            text, on=scenario.on, audience=scenario.audience, product=scenario.product, language=language, limit=BEST
        )
        names = {one.passage.passage_id for one in found}
        if wanted:
            recalls.append(len(wanted & names) / len(wanted))
    share = float(np.mean([allowed[language].mean() for _, language in queries]))
    return share, float(np.mean(recalls)) if recalls else None


def shown(passages: Sequence[Passage], scenario: Scenario, language: Locale) -> NDArray[np.bool_]:
    """Which passages pass, worked out one by one: a document that has a text in the language is shown in no other."""
    passing = [scenario.shows(passage) for passage in passages]
    originals = [passage.document_id.removesuffix(ENGLISH) for passage in passages]
    told = {
        original
        for original, passage, passes in zip(originals, passages, passing, strict=True)
        if passes and passage.language == language
    }
    return np.array(
        [
            passes and (passage.language == language or original not in told)
            for original, passage, passes in zip(originals, passages, passing, strict=True)
        ]
    )


def _seconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin
