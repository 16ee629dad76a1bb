"""The README's table of measured figures, from the committed reports: `python -m eval.readme_table` rewrites it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from assistant.errors import ConfigurationError
from assistant.settings import ROOT

README = ROOT / "README.md"
REPORTS = ROOT / "eval" / "reports"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"


class Shown(NamedTuple):
    """One figure of a report: its key, its words, and how it is written (`share`, `score`, `count`, `ms`)."""

    key: str
    words: str
    form: str


_ACCURACY: tuple[Shown, ...] = (
    Shown("accuracy_strict", "accuracy, strict (messages the annotators agree on)", "share"),
    Shown("accuracy_clear", "accuracy, strict, messages that are clear by themselves", "share"),
    Shown("accuracy_lenient", "accuracy, any defensible label", "share"),
    Shown("recall_at_3", "right label among the first three", "share"),
)
_INTENTS: tuple[Shown, ...] = (
    *_ACCURACY,
    Shown("macro_f1", "macro F1", "score"),
    Shown("act_accuracy", "right act", "share"),
    Shown("ece", "expected calibration error (less is better)", "score"),
    Shown("coverage_at_95", "share that can be acted on at 95 % accuracy", "share"),
    Shown("human_route_recall", "recall of what belongs to a person", "share"),
    Shown("oos_recall", "recall of what is out of scope", "share"),
    Shown("language_accuracy", "language told rightly", "share"),
)
_REQUESTS: tuple[Shown, ...] = (
    Shown("two_requests_read", "both of two requests read", "share"),
    Shown("one_of_two_requests_read", "at least one of them read", "share"),
    Shown("second_request_false_alarm", "a second seen where there is one (less is better)", "share"),
)
_SPEED: tuple[Shown, ...] = (
    Shown("latency_ms_p50", "one message, one thread, median", "ms"),
    Shown("messages_per_second", "messages a second, two threads", "plain"),
)
_BENCHMARK: tuple[Shown, ...] = (
    Shown("accuracy_strict", "accuracy, mean of the seeds", "share"),
    Shown("oos_auroc", "area under the curve, out of scope", "score"),
)
SUITES: Mapping[str, tuple[str, tuple[Shown, ...]]] = {
    "intents-afqmc-exam": ("Intents, real customer messages, exam", _INTENTS),
    "intents-afqmc-exam-adapted": ("The same, adapted to 40,000 unlabelled messages", _ACCURACY),
    "intents-afqmc-exam-corrected": ("The same, adapted and corrected 350 times", _ACCURACY),
    "intents-afqmc-study": ("Intents, real customer messages, study", _INTENTS),
    "intents": ("Intents, exam written blind", (*_INTENTS, *_SPEED)),
    "intents-two-requests": ("Several requests in one message, exam written blind", _REQUESTS),
    "intents-banking77": ("BANKING77", _BENCHMARK),
    "intents-banking77-10shot": ("BANKING77, 10 rows a label", _BENCHMARK),
    "intents-clinc150": ("CLINC150", _BENCHMARK),
    "retrieval": (
        "Retrieval, queries written blind",
        (
            Shown("recall_at_1", "right document first", "share"),
            Shown("recall_at_3", "right document among the first three", "share"),
            Shown("mrr", "mean reciprocal rank", "score"),
            Shown("section_recall_at_1", "right section first", "share"),
            Shown("latency_ms_p50", "search, median", "ms"),
        ),
    ),
    "answers": (
        "Answers, questions written blind",
        (
            Shown("fact_recall", "facts that were to be said and were", "share"),
            Shown("unsupported_numbers", "figures said that no cited clause states", "count"),
            Shown("must_not_violations", "answers that say what they must not", "count"),
            Shown("declined_recall", "questions without an answer that got none", "share"),
            Shown("false_refusal", "questions with an answer that got none at once (less is better)", "share"),
        ),
    ),
    "retrieval-bench": (
        "Search under filters, worst of them",
        (
            Shown("ingestion_seconds", "700 documents in four formats read and published, seconds", "plain"),
            Shown("latency_ms_p50@1000", "search among 1,000 passages, median", "ms"),
            Shown("latency_ms_p50@100000", "search among 100,000 passages, median", "ms"),
            Shown("switch_failures", "searches lost while the index was switched", "count"),
        ),
    ),
    "dialogues": (
        "Dialogues, written by the makers",
        (
            Shown("pass_1", "passed whole: outcome, words and the bank's end state", "share"),
            Shown("outcome_accuracy", "right outcome", "share"),
            Shown("escalation_recall", "handed over where it was due", "share"),
            Shown("escalation_precision", "hand-overs that were due", "share"),
            Shown("wrong_actions", "dialogues with a wrong action at the bank", "count"),
        ),
    ),
    "slots": ("Slots, exam written blind", (Shown("exact_match", "every slot of the message right", "share"),)),
}
BENCH: tuple[Shown, ...] = (
    Shown("turns_per_second", "turns a second", "plain"),
    Shown("latency_ms_p50", "turn over HTTP, median", "ms"),
    Shown("latency_ms_p95", "turn over HTTP, 95th percentile", "ms"),
    Shown("rss_mb", "server memory, MB", "plain"),
    Shown("errors", "failed calls", "count"),
    Shown("lost", "replies not kept", "count"),
)


def table(reports: Path = REPORTS) -> str:
    """The Markdown table of every report that is there. Raises ConfigurationError for a broken one."""
    lines = ["| what | figure | value | 95 % interval | rows |", "|---|---|---|---|---|"]
    for name, (title, wanted) in SUITES.items():
        if (report := read(name, reports)) is not None:
            lines += _rows(name, title, wanted, report)
    if (report := read("bench", reports)) is not None:
        lines += _bench_rows(report)
    return "\n".join(lines)


def read(name: str, reports: Path = REPORTS) -> dict[str, Any] | None:
    """A committed report; None where there is none. Raises ConfigurationError."""
    path = reports / name / "report.json"
    if not path.is_file():
        return None
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}; run the suite again") from error
    return report


def rewritten(text: str, figures: str) -> str:
    """The text with the figures between the markers. Raises ConfigurationError where a marker is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ConfigurationError(f"the README needs {BEGIN} and {END}, in this order")
    return f"{before}{BEGIN}\n{figures}\n{END}{after}"


def _rows(name: str, title: str, wanted: tuple[Shown, ...], report: Mapping[str, Any]) -> Iterator[str]:
    rows = report["data"]["rows"]
    intervals = report.get("intervals", {})
    link = f"[{title}](eval/reports/{name}/report.md)"
    for one in wanted:
        value = report["metrics"].get(one.key)
        if value is None:
            continue
        pair = intervals.get(one.key)
        between = " – ".join(_written(bound, one.form) for bound in pair) if pair else ""
        yield f"| {link} | {one.words} | {_written(value, one.form)} | {between} | {rows} |"


def _bench_rows(report: Mapping[str, Any]) -> Iterator[str]:
    metrics = report["metrics"]
    levels = sorted({int(key.partition("@")[2]) for key in metrics})
    for level in levels:
        link = f"[Load, {level} at once](eval/reports/bench/report.md)"
        turns = metrics[f"turns@{level}"]
        for one in BENCH:
            value = metrics.get(f"{one.key}@{level}")
            if value is not None:
                yield f"| {link} | {one.words} | {_written(value, one.form)} |  | {turns} |"


def _written(value: float, form: str) -> str:
    match form:
        case "share":
            return f"{value * 100:.1f} %"
        case "count":
            return f"{value:.0f}"
        case "ms":
            return f"{value:.1f} ms"
        case "score":
            return f"{value:.3f}"
    return f"{value:g}"


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8"), table()), encoding="utf-8")
