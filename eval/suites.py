"""The suites by name, and what `assistant evaluate` does with one."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.errors import AssistantError, InvalidInput
from assistant.settings import Settings
from eval.report import LESS_IS_BETTER, Report, print_table, read_metrics, shown, write

Suite = Callable[[Settings, Path | None], Report]


def _intents(settings: Settings, data: Path | None) -> Report:
    from eval.intents_suite import evaluate_intents

    return evaluate_intents(settings, data)


def _slots(settings: Settings, data: Path | None) -> Report:
    from eval.slots_suite import evaluate_slots

    return evaluate_slots(settings, data)


def _retrieval(settings: Settings, data: Path | None) -> Report:
    from eval.retrieval_report import report_retrieval

    return report_retrieval(settings, data)


def _dialogues(settings: Settings, data: Path | None) -> Report:
    from eval.dialogues_suite import evaluate_dialogues

    return evaluate_dialogues(settings, data)


def _answers(settings: Settings, data: Path | None) -> Report:
    from eval.answers_suite import evaluate_answers

    return evaluate_answers(settings, data)


# Each suite imports its parts when it runs, so that naming the suites costs nothing.
SUITES: dict[str, Suite] = {
    "intents": _intents,
    "slots": _slots,
    "retrieval": _retrieval,
    "answers": _answers,
    "dialogues": _dialogues,
}


@dataclass(frozen=True)
class Benchmark:
    """A public benchmark of the intents suite: its name, rows of each label to learn from (None: all), and seeds."""

    name: str
    shots: int | None
    seeds: int


def _benchmark(settings: Settings, suite: str, data: Path | None, benchmark: Benchmark) -> Report:
    from eval.benchmarks import evaluate_benchmark

    if suite != "intents" or data is None:
        raise InvalidInput("--benchmark belongs to the intents suite and needs --data DIR with the benchmark's files")
    return evaluate_benchmark(settings, benchmark.name, data, benchmark.shots, benchmark.seeds)


def run(
    suite: str,
    settings: Settings,
    data: Path | None = None,
    out: Path | None = None,
    baseline: Path | None = None,
    fail_under: Sequence[str] = (),
    benchmark: Benchmark | None = None,
) -> int:
    """Run a suite, print its table, write its report into `out`; the exit status, with one line on stderr if not 0.

    `fail_under` holds KEY=VALUE; where less is better (ece, oos_false_alarm, wrong_actions, latency) a figure above
    VALUE fails. 1: a figure fell short or a part failed; 2: bad use.
    """
    try:
        floors = [_floor(text) for text in fail_under]
        names = _names(suite, data)
        many = len(names) > 1
        short: list[str] = []
        for name in names:
            report = SUITES[name](settings, data) if benchmark is None else _benchmark(settings, name, data, benchmark)
            # Several suites keep a folder each, below the one named.
            print_table(report, _before(baseline, name if many else ""))
            if out is not None:
                write(report, out / name if many else out)
            short += _short(report, floors)
    except InvalidInput as error:
        print(f"evaluate {suite}: {error}", file=sys.stderr)
        return 2
    except AssistantError as error:
        print(f"evaluate {suite}: {error}", file=sys.stderr)
        return 1
    if short:
        print("; ".join(short), file=sys.stderr)
        return 1
    return 0


def _before(baseline: Path | None, name: str) -> dict[str, float | None] | None:
    return read_metrics(baseline / name) if baseline is not None else None


def _names(suite: str, data: Path | None) -> tuple[str, ...]:
    if suite == "all":
        if data is not None:
            raise InvalidInput("--data belongs to one suite; `all` runs each on its own file")
        return tuple(SUITES)
    if suite not in SUITES:
        raise InvalidInput(f"there is no such suite; choose from {', '.join(SUITES)}, all")
    return (suite,)


def _floor(text: str) -> tuple[str, float]:
    key, sign, value = text.partition("=")
    try:
        if not sign or not key:
            raise ValueError(text)
        return key, float(value)
    except ValueError as error:
        raise InvalidInput(f"--fail-under {text} is not KEY=VALUE with a number") from error


def _short(report: Report, floors: Sequence[tuple[str, float]]) -> list[str]:
    """One phrase for every figure that fell short. Raises InvalidInput for a key that the suite does not report."""
    found = []
    for key, value in floors:
        if key not in report.metrics:
            raise InvalidInput(f"--fail-under: {report.suite} reports no {key}; it has {', '.join(report.metrics)}")
        figure = report.metrics[key]
        if figure is None:
            found.append(f"{report.suite} {key} has no rows to rest on")
        elif key in LESS_IS_BETTER and figure > value:
            found.append(f"{report.suite} {key} {shown(key, figure)} is above {value:g}")
        elif key not in LESS_IS_BETTER and figure < value:
            found.append(f"{report.suite} {key} {shown(key, figure)} is below {value:g}")
    return found
