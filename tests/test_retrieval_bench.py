"""The measurement of the policy index, at a tiny size: it reports what is demanded, and would notice what it should."""

import json
import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from assistant.adapters.bm25 import PolicyWords
from assistant.adapters.chroma import ChromaVectors
from assistant.adapters.passage_index import searched
from assistant.adapters.policy_files import load_policies, read_policies
from assistant.adapters.retrieval import HybridRetriever
from assistant.adapters.search_maps import Fusion
from assistant.errors import RetrieverUnavailable
from assistant.knowledge import passages_of
from assistant.settings import ROOT, Settings
from assistant.types.answers import Passage, ScoredPassage
from assistant.types.policies import PolicyDocument
from eval.cases import DataSource
from eval.filtered_search import DAYS, SCENARIOS, GivenVectors, around, filtered, measure_index, shown
from eval.index_switch import edition, switch_under_load
from eval.policy_variants import varied, varied_passages
from eval.policy_writers import ENDINGS, write_policy
from eval.report import Report, write
from eval.retrieval_bench import Sizes, failed, report_bench, verdicts
from tests.doubles_encoder import HashingEncoder

QUERIES = (("提前还款要手续费吗", "zh-CN"), ("how do I close my account", "en"), ("逾期一天会上征信吗", "zh-CN"))
TINY = Sizes(documents=8, passages=(60, 900), queries=3, publications=3, threads=2)


@pytest.fixture(scope="module")
def base() -> tuple[PolicyDocument, ...]:
    return load_policies(ROOT / "knowledge" / "policies")


@pytest.fixture(scope="module")
def passages(base: tuple[PolicyDocument, ...]) -> tuple[Passage, ...]:
    return passages_of(base)


# --- the material -----------------------------------------------------------------------------------------------------


def test_no_passage_of_a_grown_base_repeats_another(passages: tuple[Passage, ...]) -> None:
    grown = varied_passages(passages, 5_000, seed=1)
    assert len(grown) == 5_000
    assert grown[: len(passages)] == passages
    assert len({searched(one) for one in grown}) == len({one.passage_id for one in grown}) == 5_000
    assert grown == varied_passages(passages, 5_000, seed=1)
    assert grown[len(passages) :] != varied_passages(passages, 5_000, seed=2)[len(passages) :]


def test_a_translation_is_reworded_as_that_of_its_original(base: tuple[PolicyDocument, ...]) -> None:
    ids = {document.id for document in varied(base, 2 * len(base), seed=1)}
    translations = {one for one in ids if one.endswith("-en")}
    assert translations
    assert {one.removesuffix("-en") for one in translations} <= ids


def test_every_format_carries_the_same_document(base: tuple[PolicyDocument, ...], tmp_path: Path) -> None:
    documents = varied(base, 3, seed=1)
    read = {}
    for ending in ENDINGS:
        folder = tmp_path / ending
        folder.mkdir()
        for document in documents:
            write_policy(document, folder, ending)
        found, left_out = read_policies(folder)
        assert left_out == ()
        read[ending] = {
            (one.passage_id, one.title, one.section, "".join(one.text.split())) for one in passages_of(found)
        }
    assert len(read[".md"]) == len(passages_of(documents)) > 3
    assert all(one == read[".md"] for one in read.values())


def test_filters_leave_the_shares_that_they_name(passages: tuple[Passage, ...]) -> None:
    grown = filtered(passages, 20_000, seed=1)
    in_force = {share: np.mean([one.in_force(day) for one in grown]) for share, day in DAYS.items()}
    assert in_force == pytest.approx({1.0: 1.0, 0.5: 0.5, 0.1: 0.1, 0.01: 0.01}, abs=0.02)
    assert np.mean([one.audience == "customer" for one in grown]) == pytest.approx(0.5, abs=0.02)
    assert 0.2 < np.mean(["pay_later" in one.products for one in grown]) < 0.8
    assert 0.02 < np.mean(["cash_loan" in one.products for one in grown]) < 0.25


def test_synthetic_vectors_are_unit_and_lie_about_their_centres() -> None:
    centres = around(np.eye(12, 64, dtype=np.float32), 12, seed=1)
    rows = around(centres, 600, seed=1)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.mean(np.argmax(rows @ centres.T, axis=1) == np.arange(600) % 12) > 0.95


# --- search under filters ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(passages: tuple[Passage, ...]) -> tuple[tuple[Passage, ...], GivenVectors]:
    """4,000 passages in the vectors of the hashing encoder."""
    encoder = HashingEncoder()
    grown = filtered(passages, 4_000, seed=3)
    centres = encoder.encode([searched(one) for one in passages], "passage")
    return grown, GivenVectors(encoder, grown, around(centres, len(grown), seed=3))


def test_filtered_search_finds_what_exact_comparison_finds(
    large: tuple[tuple[Passage, ...], GivenVectors], tmp_path: Path
) -> None:
    grown, encoder = large
    figures, vectors = measure_index(tmp_path, encoder, PolicyWords(), grown, QUERIES)
    assert np.allclose(vectors, np.stack([encoder.encode([searched(one)], "passage")[0] for one in grown]), atol=1e-6)
    assert set(figures.scenarios) == {one.name for one in SCENARIOS}
    recalls = [one.recall_at_10 for one in figures.scenarios.values() if one.recall_at_10 is not None]
    assert len(recalls) >= len(SCENARIOS) - 1  # the narrowest may leave nothing to find
    assert min(recalls) > 0.95
    shares = [figures.scenarios[one.name].share for one in SCENARIOS]
    assert max(shares) > 0.7
    assert min(shares) < 0.01


def test_a_search_whose_neighbours_are_all_filtered_out_still_finds_what_is_left(
    passages: tuple[Passage, ...], tmp_path: Path
) -> None:
    encoder = HashingEncoder()
    today, before = date(2026, 11, 23), {"effective_from": date(2025, 1, 1), "effective_to": date(2025, 12, 31)}
    asked = passages[0]
    nearest = [
        asked.model_copy(update={"passage_id": f"old@{n}#1", "section": f"{asked.section}{n}", **before})
        for n in range(1_000)
    ]
    left = [one.model_copy(update={"effective_from": today, "effective_to": None}) for one in passages[1:]]
    retriever = HybridRetriever(ChromaVectors(tmp_path), encoder, PolicyWords(), fusion=Fusion(words=0, intents=0))
    retriever.publish([*nearest, *left])
    found = retriever.search(searched(asked), on=today, audience="staff", limit=10)
    retriever.close()
    assert len(found) == 10
    assert all(one.passage.in_force(today) for one in found)


def test_what_passes_is_worked_out_with_translations(passages: tuple[Passage, ...]) -> None:
    chinese = shown(passages, SCENARIOS[0], "zh-CN")
    english = shown(passages, SCENARIOS[0], "en")
    twice = {one.document_id.removesuffix("-en") for one in passages if one.language == "en"}
    for place, one in enumerate(passages):
        if one.in_force(SCENARIOS[0].on):
            assert chinese[place] == (one.language == "zh-CN")
            assert english[place] == (one.language == "en" or one.document_id not in twice)


# --- switching --------------------------------------------------------------------------------------------------------


def test_switching_under_load_loses_and_mixes_nothing(passages: tuple[Passage, ...], tmp_path: Path) -> None:
    some = passages[:40]
    other = [one.model_copy(update={"text": one.text[::-1]}) for one in some]
    retrievers = [HybridRetriever(ChromaVectors(tmp_path), HashingEncoder(), PolicyWords()) for _ in range(2)]
    found = switch_under_load(
        retrievers[0], retrievers, (some, other), QUERIES, date(2026, 11, 23), publications=12, threads=3
    )
    for retriever in retrievers:
        retriever.close()
    assert (found.failures, found.mixed, found.empty, found.reasons) == (0, 0, 0, ())
    assert found.queries > 12
    assert found.seen > 6


class TornRetriever:
    """Fails on every second query, and answers the others from two publications at once."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._both = [ScoredPassage(passage=edition(passages, number)[0], score=1.0) for number in (1, 2)]
        self._asked = 0
        self._enough = threading.Event()

    def publish(self, passages: Sequence[Passage]) -> str:
        if passages[0].version != "0":
            assert self._enough.wait(20)
        return "torn"

    def search(self, text: str, **filters: object) -> tuple[ScoredPassage, ...]:
        self._asked += 1
        if self._asked >= 4:
            self._enough.set()
        if self._asked % 2:
            raise RetrieverUnavailable("torn")
        return tuple(self._both)


def test_failures_and_mixed_answers_are_counted(passages: tuple[Passage, ...]) -> None:
    torn = TornRetriever(passages)
    found = switch_under_load(
        torn,  # type: ignore[arg-type]
        [torn],  # type: ignore[list-item]
        (passages[:1], passages[:1]),
        QUERIES,
        date(2026, 11, 23),
        publications=1,
        threads=1,
    )
    assert found.failures >= 2
    assert found.mixed >= 2
    assert found.failures + found.mixed == found.queries
    assert found.reasons == ("RetrieverUnavailable: torn",)


# --- the whole --------------------------------------------------------------------------------------------------------


def test_a_small_run_reports_what_is_demanded(settings: Settings, tmp_path: Path) -> None:
    encoder = HashingEncoder()
    report = report_bench(settings, encoder, encoder, TINY)
    metrics = report.metrics
    assert (metrics["documents"], metrics["switch_publications"]) == (8, 3)
    assert 0 < metrics["again_encoded"] < metrics["passages"]
    for name in ("reading_seconds", "encoding_seconds", "ingestion_seconds", "again_seconds", "switch_latency_ms_p99"):
        assert metrics[name] > 0
    for size in TINY.passages:
        assert metrics[f"latency_ms_p95@{size}"] >= metrics[f"latency_ms_p50@{size}"] > 0
        assert metrics[f"recall_at_10@{size}"] > 0.9
        assert sum(label.startswith(f"{size} passages, ") for label in report.per_label) == len(SCENARIOS)
    assert not failed(report)
    write(report, tmp_path)
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["suite"] == "retrieval-bench"


def test_what_falls_short_is_named_and_a_lost_query_fails_the_run() -> None:
    figures = {"ingestion_seconds": 299.0, "latency_ms_p50@1000": 15.2, "switch_failures": 0.0, "switch_mixed": 1.0}
    told = verdicts(figures)
    assert [("NOT met" in one, one.split()[1]) for one in told] == [
        (True, "latency_ms_p50@1000"),
        (False, "ingestion_seconds"),
        (False, "switch_failures"),
        (True, "switch_mixed"),
    ]
    source = DataSource(name="none", sha256="0", rows=0, ours=True)
    for name in ("switch_failures", "switch_mixed", "switch_empty"):
        counts = {"switch_failures": 0, "switch_mixed": 0, "switch_empty": 0}
        assert not failed(Report(suite="retrieval-bench", data=source, versions={}, metrics=counts))
        assert failed(Report(suite="retrieval-bench", data=source, versions={}, metrics=counts | {name: 1}))
