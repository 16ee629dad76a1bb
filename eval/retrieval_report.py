"""The retrieval suite as a report: the fused retriever, with each of its halves beside it."""

from pathlib import Path

from assistant.adapters.search_maps import Fusion
from assistant.calendar import local_date
from assistant.compose import open_classifier
from assistant.heads import Heads
from assistant.settings import Settings
from assistant.types.value import IntentId
from eval.cases import DATA, START, load
from eval.index import message_encoder, policy_index, search_encoder
from eval.report import Report
from eval.suites_retrieval import RetrievalRow, by_kind, compare, evaluate_retrieval

_BEFORE = 0.5
"""How probable it is that a follow-up is still about what was asked before."""


def report_retrieval(settings: Settings, data: Path | None) -> Report:
    """Search for every query as of a fixed day, on an index of today's documents. Raises InvalidInput."""
    rows, source = load(data or DATA / "retrieval_exam.jsonl", RetrievalRow)
    day = local_date(START)
    encoder = search_encoder(settings)
    with policy_index(settings, encoder) as retriever:
        classifier = open_classifier(settings, message_encoder(settings), Heads.load(settings.weights_dir))

        def likely(row: RetrievalRow) -> dict[IntentId, float]:
            """As the dialogue policy has it: a follow-up may be about what was asked before."""
            before = {classifier.predict(text).intent: _BEFORE for text in row.context[-1:]}
            return before | {one.id: one.confidence for one in classifier.predict(row.query).alternatives}

        metrics, intervals, ranked = evaluate_retrieval(retriever, rows, day, likely)
        halves = {"dense only": Fusion(words=0, intents=0), "BM25 only": Fusion(near=0, intents=0)}
        variants = compare({name: retriever.fused_by(fusion) for name, fusion in halves.items()}, rows, day, likely)
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
