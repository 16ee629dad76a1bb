"""The retrieval suite as a report: the fused retriever, with each of its halves beside it."""

from pathlib import Path

from assistant.adapters.retrieval import Fusion
from assistant.calendar import local_date
from assistant.settings import Settings
from eval.cases import DATA, START, load
from eval.index import policy_index, search_encoder
from eval.report import Report
from eval.suites_retrieval import RetrievalRow, by_kind, compare, evaluate_retrieval


def report_retrieval(settings: Settings, data: Path | None) -> Report:
    """Search for every query as of a fixed day, on an index of today's documents. Raises InvalidInput."""
    rows, source = load(data or DATA / "retrieval_exam.jsonl", RetrievalRow)
    day = local_date(START)
    encoder = search_encoder(settings)
    with policy_index(settings, encoder) as retriever:
        metrics, intervals, ranked = evaluate_retrieval(retriever, rows, day)
        halves = {"dense only": Fusion(lexical=0), "BM25 only": Fusion(dense=0)}
        variants = compare({name: retriever.fused_by(fusion) for name, fusion in halves.items()}, rows, day)
        return Report(
            suite="retrieval",
            data=source,
            versions={"encoder": encoder.version, "policy": retriever.version},
            metrics=dict(metrics),
            intervals=dict(intervals),
            per_label={
                **by_kind(ranked),
                **{name: {"rows": len(rows), **_ranking(found)} for name, found in variants.items()},
            },
            rows=[
                {**source.label(row.query), "rank": row.rank, "section_rank": row.section_rank, "found": row.found[:3]}
                for row in ranked
            ],
            notes=[f"searched as of {day.isoformat()} unless a row names another day"],
        )


def _ranking(figures: dict[str, float]) -> dict[str, float]:
    """Without the latencies: after the fused run the encoder remembers every query."""
    return {name: value for name, value in figures.items() if "latency" not in name}
