"""The retrieval suite: does the right document come first, and how long does it take."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from assistant.errors import ConfigurationError
from assistant.ports import Retriever
from assistant.types.answers import Passage
from assistant.types.value import IntentId, Locale

DEPTH = 10
_FETCH = 40
"""Passages asked for, so that ten documents are among them."""
_RESAMPLES = 1000
_CUTS = (1, 3, 5, 10)


class RetrievalRow(BaseModel):
    """One query and what answers it: `document`, `document@version` or `document@version#n`, any of them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    query: str
    relevant: tuple[str, ...] = Field(min_length=1)
    as_of: date | None = None
    context: tuple[str, ...] = ()
    lang: str = "zh"
    sections: tuple[str, ...] = Field((), description="`document#n`: the sections that answer, in any version.")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The slices of the report this row counts in."""
        marks = {"english": self.lang == "en", "as_of": self.as_of is not None, "follow_up": bool(self.context)}
        return tuple(name for name, holds in marks.items() if holds) or ("colloquial",)


class Ranked(BaseModel):
    """What came back for one row; ranks count from 1, None: not among the first ten."""

    model_config = ConfigDict(frozen=True)

    query: str
    kinds: tuple[str, ...]
    found: tuple[str, ...]
    rank: int | None
    section_rank: int | None
    latency_ms: float


Report = dict[str, dict[str, float]]


def load_rows(path: Path) -> tuple[RetrievalRow, ...]:
    """Read a JSONL file. Raises ConfigurationError naming the line."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                rows.append(RetrievalRow.model_validate(json.loads(line)))
            except ValueError as error:
                raise ConfigurationError(f"{path}:{number} is not a retrieval row: {error}") from error
    return tuple(rows)


Likely = Callable[[RetrievalRow], Mapping[IntentId, float]]


def _unknown(row: RetrievalRow) -> Mapping[IntentId, float]:
    del row
    return {}


def evaluate_retrieval(
    retriever: Retriever, rows: Sequence[RetrievalRow], clock_date: date, likely: Likely = _unknown
) -> tuple[dict[str, float], dict[str, tuple[float, float]], tuple[Ranked, ...]]:
    """Metrics, their bootstrap 95 % intervals, and each row. Ranks are of documents, as a row names them.

    recall_at_k: share of rows with a relevant document among the first k. The relevant ones of a row are alternatives,
    so that one is enough, and nDCG has one ideal place. `likely` gives what a row's query may be about.
    """
    ranked = tuple(_rank(retriever, row, clock_date, likely(row)) for row in rows)
    ranks = _ranks([row.rank for row in ranked])
    metrics = _figures(ranks)
    # Sections are asked for by rows that name them: a stricter figure than the documents'.
    sections = _ranks([row.section_rank for row, asked in zip(ranked, rows, strict=True) if asked.sections])
    metrics |= {f"section_recall_at_{cut}": float(np.mean(sections <= cut)) for cut in (1, 3) if len(sections)}
    metrics["latency_ms_p50"] = float(np.median([row.latency_ms for row in ranked]))
    metrics["latency_ms_p95"] = float(np.percentile([row.latency_ms for row in ranked], 95))
    return metrics, _intervals(ranks), ranked


def by_kind(ranked: Sequence[Ranked]) -> Report:
    """The document figures of each slice: colloquial, english, as_of, follow_up."""
    kinds = sorted({kind for row in ranked for kind in row.kinds})
    return {
        kind: {"rows": len(chosen), **_figures(_ranks([row.rank for row in chosen]))}
        for kind in kinds
        if (chosen := [row for row in ranked if kind in row.kinds])
    }


def compare(
    variants: Mapping[str, Retriever], rows: Sequence[RetrievalRow], clock_date: date, likely: Likely = _unknown
) -> Report:
    """The metrics of several retrievers side by side: dense only, BM25 only, fused."""
    return {name: evaluate_retrieval(retriever, rows, clock_date, likely)[0] for name, retriever in variants.items()}


def _rank(retriever: Retriever, row: RetrievalRow, clock_date: date, likely: Mapping[IntentId, float]) -> Ranked:
    language: Locale = "en" if row.lang == "en" else "zh-CN"
    begin = time.perf_counter()
    found = retriever.search(
        row.query,
        on=row.as_of or clock_date,
        language=language,
        context=row.context[-1] if row.context else None,
        intents=likely,
        limit=_FETCH,
    )
    latency = (time.perf_counter() - begin) * 1000
    passages = [scored.passage for scored in found]
    documents = list(dict.fromkeys(f"{passage.document_id}@{passage.version}" for passage in passages))[:DEPTH]
    firsts = [next(p for p in passages if f"{p.document_id}@{p.version}" == name) for name in documents]
    return Ranked(
        query=row.query,
        kinds=row.kinds,
        found=tuple(passage.passage_id for passage in passages[:DEPTH]),
        rank=_first(firsts, row.relevant) if not _are_passages(row.relevant) else _first(passages, row.relevant),
        section_rank=_first(passages[:DEPTH], row.sections),
        latency_ms=latency,
    )


def _are_passages(relevant: Sequence[str]) -> bool:
    return all("#" in name for name in relevant)


def _first(passages: Sequence[Passage], relevant: Sequence[str]) -> int | None:
    for rank, passage in enumerate(passages[:DEPTH], 1):
        number = passage.passage_id.rsplit("#", 1)[-1]
        names = {
            passage.document_id,
            f"{passage.document_id}@{passage.version}",
            passage.passage_id,
            f"{passage.document_id}#{number}",
        }
        if names & set(relevant):
            return rank
    return None


def _ranks(ranks: Sequence[int | None]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([np.inf if rank is None else rank for rank in ranks], np.float64)


def _figures(ranks: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[str, float]:
    return {
        **{f"recall_at_{cut}": float(np.mean(ranks <= cut)) for cut in _CUTS},
        "mrr": float(np.mean(1 / ranks)),
        "ndcg_at_10": float(np.mean(1 / np.log2(1 + ranks))),
    }


def _intervals(ranks: np.ndarray[tuple[int], np.dtype[np.float64]], seed: int = 0) -> dict[str, tuple[float, float]]:
    random = np.random.default_rng(seed)
    drawn = [_figures(random.choice(ranks, len(ranks))) for _ in range(_RESAMPLES)]
    return {
        name: (
            float(np.percentile([figures[name] for figures in drawn], 2.5)),
            float(np.percentile([figures[name] for figures in drawn], 97.5)),
        )
        for name in drawn[0]
    }
