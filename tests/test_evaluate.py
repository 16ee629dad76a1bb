"""The evaluation itself: exact reports, clear errors, no foreign sentence, and suites that fail on planted faults."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.errors import InvalidInput
from assistant.glossary import load_glossary
from assistant.heads import Heads
from assistant.intents import IntentClassifier
from assistant.settings import ROOT, Settings
from assistant.slots import extract
from assistant.taxonomy import load_taxonomy
from assistant.training.tuning import Recipe
from assistant.types.banking import BankResult, EarlyRepaymentQuote
from assistant.types.understanding import Prediction, Slots
from assistant.types.value import CustomerId
from eval import intents_suite, slots_suite
from eval.benchmarks import evaluate_benchmark
from eval.cases import DATA, DialogueCase, IntentCase, SlotCase, load, load_dialogues
from eval.dialogue_player import Stage, play
from eval.dialogues_suite import judge, normalised, score
from eval.report import Report
from eval.suites import Benchmark, run
from tests.doubles import TimingOutBank
from tests.real_encoder import real_message_encoder

CONTRACT_KEYS = {"suite", "data", "versions", "machine", "metrics", "intervals", "per_label"}
MESSAGES = (
    ("我想提前还款", "early_repay", "do"),
    ("这个月要还多少钱", "bill_query", "status"),
    ("我的额度是多少", "limit_query", "status"),
    ("转人工", "human_agent", "do"),
    ("明天会下雨吗", "out_of_scope", None),
)


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    """Labelled messages outside the repository, as another party's would be."""
    path = tmp_path / "theirs.jsonl"
    rows = [{"text": text, "intent": intent, "act": act, "source": "ignored"} for text, intent, act in MESSAGES]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


# --- reports ----------------------------------------------------------------------------------------------------------


def test_an_intents_report_has_the_keys_of_the_contract(messages: Path, tmp_path: Path) -> None:
    assert run("intents", Settings(), data=messages, out=tmp_path / "out") == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert set(report) == CONTRACT_KEYS | {"rows"}
    assert set(report["data"]) == {"name", "sha256", "rows"}
    assert (report["data"]["name"], report["data"]["rows"]) == ("theirs.jsonl", len(MESSAGES))
    assert set(report["machine"]) == {"cpus", "python", "onnxruntime"}
    assert set(report["metrics"]) == {
        "accuracy_strict",
        "accuracy_lenient",
        "accuracy_clear",
        "recall_at_3",
        "macro_f1",
        "act_accuracy",
        "ece",
        "coverage_at_95",
        "coverage_at_98",
        "oos_recall",
        "oos_false_alarm",
        "oos_auroc",
        "unclear_recall",
        "human_route_recall",
        "latency_ms_p50",
        "messages_per_second",
    }
    assert report["metrics"]["accuracy_strict"] == 1.0
    assert report["metrics"]["unclear_recall"] is None


def test_a_foreign_sentence_enters_no_report(messages: Path, tmp_path: Path) -> None:
    run("intents", Settings(), data=messages, out=tmp_path / "out")
    for file in ("report.json", "report.md", "report.html"):
        content = (tmp_path / "out" / file).read_text(encoding="utf-8")
        assert not [text for text, *_ in MESSAGES if text in content]
        assert str(tmp_path) not in content
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert all(len(row["sha1"]) == 40 and "text" not in row for row in report["rows"])


def test_the_page_stands_alone_with_its_plots(messages: Path, tmp_path: Path) -> None:
    run("intents", Settings(), data=messages, out=tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2
    assert "http://" not in page
    assert "https://" not in page


def test_committed_reports_are_of_the_contract() -> None:
    reports = list((ROOT / "eval" / "reports").glob("*/report.json"))
    assert reports
    for path in reports:
        report = json.loads(path.read_text(encoding="utf-8"))
        assert set(report) - {"rows"} == CONTRACT_KEYS, path
        assert "/" not in report["data"]["name"]


# --- the line ---------------------------------------------------------------------------------------------------------


def test_a_figure_below_its_floor_fails_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("slots", Settings(), fail_under=["exact_match=1.01"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_floor_that_is_held_passes() -> None:
    assert run("slots", Settings(), fail_under=["exact_match=0.95"]) == 0


@pytest.mark.parametrize("floor", ["exact_match", "exact_match=high", "=1", "accuracy=0.5"])
def test_a_floor_that_means_nothing_is_bad_use(floor: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("slots", Settings(), fail_under=[floor]) == 2
    assert "--fail-under" in capsys.readouterr().err


def test_a_baseline_shows_how_far_figures_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.json").write_text('{"metrics": {"exact_match": 0.25}}', encoding="utf-8")
    assert run("slots", Settings(), baseline=tmp_path) == 0
    assert "delta" in capsys.readouterr().out
    assert run("slots", Settings(), baseline=tmp_path / "none") == 2


def test_a_suite_that_does_not_exist_is_bad_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("astrology", Settings()) == 2
    assert "intents" in capsys.readouterr().err


def test_a_benchmark_needs_the_folder_of_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("intents", Settings(), benchmark=Benchmark("banking77", None, 1)) == 2
    assert "--data" in capsys.readouterr().err
    assert run("intents", Settings(), data=tmp_path, benchmark=Benchmark("banking77", None, 1)) == 2
    assert "BANKING77" in capsys.readouterr().err
    assert run("intents", Settings(), data=tmp_path, benchmark=Benchmark("other", None, 1)) == 2
    assert "clinc150" in capsys.readouterr().err


def test_a_benchmark_is_learnt_from_its_own_split_and_thrown_away(settings: Settings, tmp_path: Path) -> None:
    wishes = {"card": "my card is lost", "rate": "what is the exchange rate", "cash": "where can I get cash"}
    kinds = ("", "please", "now", "today", "help")
    rows = [[f"{text} {kind}", label] for label, text in wishes.items() for kind in kinds]
    outside = [["tell me a joke about penguins", "oos"], ["sing something", "oos"]]
    content = {"train": rows[:-1], "test": rows, "oos_test": outside}
    (tmp_path / "clinc150_full.json").write_text(json.dumps(content), encoding="utf-8")
    before = sorted((Settings().data_dir / "models").iterdir())
    recipe = Recipe(epochs=1, settling=1, batch=4)

    def measured(shots: int | None = None) -> Report:
        return evaluate_benchmark(settings, "clinc150", tmp_path, shots, seeds=1, recipe=recipe, fewest_steps=1)

    report = measured()
    assert report.metrics["accuracy_strict"] == 1.0
    assert report.metrics["rows_learnt_from"] == 14
    assert report.metrics["oos_auroc"] == 1.0
    assert sorted((Settings().data_dir / "models").iterdir()) == before
    # What a seed ended with is kept, and taken from there when measuring goes on.
    [kept] = (settings.data_dir / "benchmarks").iterdir()
    kept.write_text('{"accuracy": 0.25, "outside_auroc": null}', encoding="utf-8")
    assert measured().metrics["accuracy_strict"] == 0.25
    # Of few rows a label nothing is tuned.
    few = measured(shots=4)
    assert few.metrics["rows_learnt_from"] == 12
    assert few.metrics["accuracy_strict"] == 1.0


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{not json", "line 2 is not JSON"),
        ('{"text": ""}', "line 2, text"),
        ('{"text": "还款"}', "line 2"),
        ('{"text": "还款", "intent": "early_repay", "act": "sing"}', "line 2, act"),
    ],
)
def test_a_bad_line_is_named(line: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"text": "好", "intent": "affirm"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match=f"rows.jsonl {complaint}"):
        load(path, IntentCase)


def test_a_label_that_the_taxonomy_lacks_is_bad_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "好", "intent": "astrology"}\n', encoding="utf-8")
    assert run("intents", Settings(), data=path) == 2
    assert "astrology" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\xff\xfe"])
def test_a_file_that_holds_no_rows_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"rows\.jsonl"):
        load(path, IntentCase)


def test_a_null_gold_counts_for_the_lenient_figure_only() -> None:
    case = IntentCase.model_validate({"text": "好", "intent": "affirm", "gold": None, "accept": ["affirm"]})
    assert case.row.gold is None
    assert case.row.accepts("affirm")


class KnownClassifier:
    """Says of each message what it was told to."""

    version = "known"

    def __init__(self, said: dict[str, tuple[str, str | None]]) -> None:
        self._said = said

    def predict(self, text: str) -> Prediction:
        intent, secondary = self._said[text]
        return Prediction.model_validate({"intent": intent, "act": None, "confidence": 0.9, "secondary": secondary})

    def probabilities(self, text: str) -> NDArray[np.float32]:
        return np.zeros(len(load_taxonomy().ids), np.float32)


def test_two_requests_and_languages_are_scored_where_rows_tell_them(tmp_path: Path) -> None:
    rows = [
        {"text": "查下账单 顺便提额", "intent": "bill_query", "secondary": "limit_increase", "lang": "zh"},
        {"text": "limit and my bill", "intent": "limit_query", "secondary": "bill_query", "lang": "en"},
        {"text": "另外扣了一次", "intent": "charge_dispute", "secondary": None, "lang": "zh-Hant"},
        {"text": "退款", "intent": "refund", "secondary": None, "lang": "en"},
        {"text": "转人工", "intent": "human_agent"},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    cases, source = load(path, IntentCase)
    said = {
        # The order of the two does not matter: both are served.
        "查下账单 顺便提额": ("limit_increase", "bill_query"),
        "limit and my bill": ("limit_query", None),
        "另外扣了一次": ("charge_dispute", "auto_debit"),
        "退款": ("refund", None),
        "转人工": ("human_agent", "refund"),
    }
    metrics = intents_suite.score(KnownClassifier(said), load_taxonomy(), cases, source, {}).metrics
    assert metrics["two_requests_read"] == 0.5
    assert metrics["one_of_two_requests_read"] == 1.0
    assert metrics["second_request_false_alarm"] == 0.5
    assert metrics["language_accuracy"] == 0.75


@pytest.mark.parametrize(
    ("said", "fact"), [("共￥4，033．34。", "4,033.34元"[:-1]), ("¥20,000.00", "20000"), ("5 Dec", "5 dec")]
)
def test_facts_are_met_in_any_spelling(said: str, fact: str) -> None:
    assert normalised(fact) in normalised(said)


# --- planted faults ---------------------------------------------------------------------------------------------------


class ShuffledClassifier:
    """The real classifier with every label moved on by one."""

    version = "shuffled"

    def __init__(self, classifier: IntentClassifier) -> None:
        self._classifier = classifier
        self._ids = load_taxonomy().ids

    def predict(self, text: str) -> Prediction:
        said = self._classifier.predict(text)
        moved = self._ids[(self._ids.index(said.intent) + 1) % len(self._ids)]
        return said.model_copy(update={"intent": moved, "abstained": None, "alternatives": ()})

    def probabilities(self, text: str) -> NDArray[np.float32]:
        return np.roll(self._classifier.probabilities(text), 1)


def test_the_intent_suite_fails_on_shuffled_labels(messages: Path) -> None:
    cases, source = load(messages, IntentCase)
    glossary = load_glossary(Settings().knowledge_dir / "glossary.yaml")
    taxonomy = load_taxonomy()
    right = IntentClassifier(real_message_encoder(), glossary, Heads.load(Settings().weights_dir), taxonomy)
    assert intents_suite.score(right, taxonomy, cases, source, {}).metrics["accuracy_strict"] == 1.0
    assert intents_suite.score(ShuffledClassifier(right), taxonomy, cases, source, {}).metrics["accuracy_strict"] == 0.0


def test_the_slot_suite_fails_on_amounts_ten_times_too_large() -> None:
    cases, source = load(DATA / "slots.jsonl", SlotCase)
    glossary = load_glossary(Settings().knowledge_dir / "glossary.yaml")

    def read(text: str, on: date) -> Slots:
        found = extract(text, on, glossary)
        return found if found.amount_fen is None else found.model_copy(update={"amount_fen": found.amount_fen * 10})

    report = slots_suite.score(read, cases, source)
    assert report.metrics["exact_match"] is not None
    assert report.metrics["exact_match"] < 0.9
    assert report.per_label["amount_fen"]["recall"] == 0.0


class RepeatingBank(TimingOutBank):
    """A line to the bank that carries every order out twice."""

    def repay_early(self, key: str, customer_id: CustomerId, quote: EarlyRepaymentQuote) -> BankResult:
        result = self.bank.repay_early(key, customer_id, quote)
        again = self.bank.quote_early_repayment(customer_id, quote.loan_id, quote.principal_fen)
        self.bank.repay_early(f"{key}:again", customer_id, again)
        return result


class BoastingBank(TimingOutBank):
    """A line to the bank that reports success and does nothing."""

    def repay_early(self, key: str, customer_id: CustomerId, quote: EarlyRepaymentQuote) -> BankResult:
        at = self.bank.loans(customer_id)[0].as_of
        return BankResult(key=key, status="done", reference="ER1", total_fen=quote.total_fen, at=at)


def _case(name: str) -> DialogueCase:
    return next(case for case in load_dialogues(DATA / "dialogues.jsonl")[0] if case.id == name)


@pytest.fixture
def stage(shared_parts: dict[str, object]) -> Stage:
    return Stage(Settings(), shared_parts["message_encoder"], shared_parts["retriever"])  # type: ignore[arg-type]


def test_the_dialogue_suite_fails_on_a_bank_that_pays_twice(stage: Stage) -> None:
    faulty = Stage(
        stage.settings, stage.message_encoder, stage.retriever, bank_of=lambda bank: RepeatingBank(bank, times=0)
    )
    _, source = load_dialogues(DATA / "dialogues.jsonl")
    report = score(lambda case: play(faulty, case), [_case("repay-part")], source, {})
    assert report.metrics["wrong_actions"] == 1
    assert report.metrics["pass_1"] == 0


def test_the_dialogue_suite_believes_the_books_and_not_the_words(stage: Stage) -> None:
    faulty = Stage(
        stage.settings, stage.message_encoder, stage.retriever, bank_of=lambda bank: BoastingBank(bank, times=0)
    )
    case = _case("repay-part")
    verdict = judge(case, play(faulty, case))
    assert verdict.outcome == "self_served"
    assert any(fault.startswith("bank:") for fault in verdict.faults)


def test_a_change_that_nobody_expected_is_a_wrong_action(stage: Stage) -> None:
    case = _case("repay-part")
    silent = case.model_copy(update={"expected": case.expected.model_copy(update={"bank": {}})})
    assert judge(silent, play(stage, silent)).wrong_action


def test_an_unknown_harness_event_is_refused(stage: Stage) -> None:
    case = _case("repay-part").model_copy(update={"customer_turns": ("[levitate]",)})
    with pytest.raises(InvalidInput, match="levitate"):
        play(stage, case)
