"""The retrieval suite scores what it is shown: a seeded fault lowers the figure that it should."""

import json
import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType

import pytest

from assistant.errors import ConfigurationError, InvalidInput
from assistant.types.answers import Audience, Passage, ScoredPassage
from assistant.types.understanding import Product
from assistant.types.value import DocumentId, IntentId, Locale
from eval.suites_retrieval import RetrievalRow, by_kind, compare, evaluate_retrieval, load_rows

TODAY = date(2026, 11, 23)


def passage(name: str) -> Passage:
    document, number = name.split("#")
    return Passage(
        passage_id=f"{document}@1#{number}",
        document_id=DocumentId(document),
        version="1",
        title="题",
        section="节",
        text="文",
        audience="customer",
        language="zh-CN",
        effective_from=date(2026, 1, 1),
        owner="部",
    )


class ListedRetriever:
    """Returns the listed passages for each query, and notes what it was asked."""

    version = "listed"

    def __init__(self, lists: dict[str, list[str]]) -> None:
        self._lists = lists
        self.asked: list[tuple[str, date, Locale]] = []

    def search(
        self,
        query: str,
        *,
        on: date,
        audience: Audience = "customer",
        product: Product | None = None,
        language: Locale = "zh-CN",
        context: str | None = None,
        intents: Mapping[IntentId, float] = MappingProxyType({}),
        limit: int = 5,
    ) -> tuple[ScoredPassage, ...]:
        self.asked.append((f"{context} {query}" if context else query, on, language))
        names = self._lists.get(f"{context} {query}" if context else query, [])[:limit]
        return tuple(ScoredPassage(passage=passage(name), score=1.0) for name in names)

    def publish(self, passages: object) -> str:
        raise InvalidInput("a fixed list")


ROWS = (
    RetrievalRow(query="甲", relevant=("a",), sections=("a#2",)),
    RetrievalRow(query="乙", relevant=("b@1", "c"), as_of=date(2025, 5, 1)),
    RetrievalRow(query="ding", relevant=("d@1#1",), lang="en"),
    RetrievalRow(query="那呢", relevant=("e",), context=("前一个问题", "戊")),
)
PERFECT = {"甲": ["a#2"], "乙": ["c#1"], "ding": ["d#1"], "戊 那呢": ["e#9"]}


def test_a_perfect_retriever_scores_one_everywhere() -> None:
    metrics, intervals, _ = evaluate_retrieval(ListedRetriever(PERFECT), ROWS, TODAY)
    for name in ("recall_at_1", "recall_at_10", "mrr", "ndcg_at_10", "section_recall_at_1"):
        assert metrics[name] == 1.0
    assert intervals["mrr"] == (1.0, 1.0)
    assert metrics["latency_ms_p50"] >= 0


def test_rows_are_asked_with_their_day_their_language_and_the_question_before() -> None:
    retriever = ListedRetriever(PERFECT)
    evaluate_retrieval(retriever, ROWS, TODAY)
    assert retriever.asked == [
        ("甲", TODAY, "zh-CN"),
        ("乙", date(2025, 5, 1), "zh-CN"),
        ("ding", TODAY, "en"),
        ("戊 那呢", TODAY, "zh-CN"),
    ]


def test_each_fault_lowers_the_figure_it_should() -> None:
    faulty = {"甲": ["x#1", "x#2", "a#1", "a#2"], "乙": [], "ding": ["d#2"], "戊 那呢": ["e#1"]}
    metrics, _, ranked = evaluate_retrieval(ListedRetriever(faulty), ROWS, TODAY)
    # Two passages of one document are one place among documents, two among sections.
    assert [row.rank for row in ranked] == [2, None, None, 1]
    assert ranked[0].section_rank == 4
    assert metrics["recall_at_1"] == 0.25
    assert metrics["recall_at_3"] == 0.5
    assert metrics["mrr"] == (0.5 + 1) / 4
    assert metrics["ndcg_at_10"] == pytest.approx((1 / math.log2(3) + 1) / 4)
    assert metrics["section_recall_at_3"] == 0.0


def test_slices_and_variants_stand_side_by_side() -> None:
    _, _, ranked = evaluate_retrieval(ListedRetriever(PERFECT | {"乙": []}), ROWS, TODAY)
    kinds = by_kind(ranked)
    assert {kind: figures["recall_at_1"] for kind, figures in kinds.items()} == {
        "colloquial": 1.0,
        "as_of": 0.0,
        "english": 1.0,
        "follow_up": 1.0,
    }
    report = compare({"good": ListedRetriever(PERFECT), "empty": ListedRetriever({})}, ROWS, TODAY)
    assert (report["good"]["mrr"], report["empty"]["mrr"]) == (1.0, 0.0)


def test_a_row_that_is_none_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        json.dumps({"query": "甲", "relevant": ["a"], "extra": 1}) + '\n\n{"query": "乙"}\n', encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"rows\.jsonl:3"):
        load_rows(path)
