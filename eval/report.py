"""What a suite found: JSON for machines, Markdown for reviews, HTML with plots, a table for the terminal."""

import base64
import html
import io
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.errors import InvalidInput
from eval.cases import DataSource

Metrics = Mapping[str, float | None]
Interval = tuple[float, float] | None
_COUNTS = frozenset({"wrong_actions", "unsupported_numbers", "must_not_violations"})
LESS_IS_BETTER = _COUNTS | {"ece", "oos_false_alarm", "false_refusal", "latency_ms_p50", "latency_ms_p95"}


@dataclass(frozen=True)
class Report:
    """One run of one suite; the fields are those of report.json."""

    suite: str
    data: DataSource
    versions: Mapping[str, str]
    metrics: Metrics
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    per_label: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    plots: Mapping[str, bytes] = field(default_factory=dict)
    """Title to PNG."""
    notes: Sequence[str] = ()
    """Lines for the reader, not in report.json."""

    def content(self) -> dict[str, Any]:
        """report.json."""
        content: dict[str, Any] = {
            "suite": self.suite,
            "data": {"name": self.data.name, "sha256": self.data.sha256, "rows": self.data.rows},
            "versions": dict(self.versions),
            "machine": machine(),
            "metrics": {name: _rounded(value) for name, value in self.metrics.items()},
            "intervals": {
                name: [_rounded(end) for end in ends] if ends else None for name, ends in self.intervals.items()
            },
            "per_label": {
                label: {name: _rounded(value) for name, value in figures.items()}
                for label, figures in self.per_label.items()
            },
        }
        return content | ({"rows": [dict(row) for row in self.rows]} if self.rows else {})


def machine() -> dict[str, str | int]:
    """What speed depends on; nothing that tells whose machine it is."""
    return {
        "cpus": os.cpu_count() or 1,
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
    }


def write(report: Report, folder: Path) -> None:
    """report.json, report.md and report.html, each complete in itself."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.content(), ensure_ascii=False, indent=1)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "report.md").write_text(_markdown(report), encoding="utf-8")
    (folder / "report.html").write_text(_html(report), encoding="utf-8")


def read_metrics(folder: Path) -> dict[str, float | None]:
    """The metrics of an earlier report. Raises InvalidInput where the folder holds none."""
    path = folder / "report.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        return {str(name): None if value is None else float(value) for name, value in metrics.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"--baseline: {folder.name} holds no readable report.json") from error


def print_table(report: Report, baseline: Metrics | None = None) -> None:
    """The metrics with their intervals, and how far they moved."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report.suite} · {report.data.name} · {report.data.rows} rows")
    for column in ("metric", "value", "95 %", *(["baseline", "delta"] if baseline is not None else [])):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name, value in report.metrics.items():
        cells = [name, shown(name, value), _shown_interval(name, report.intervals.get(name))]
        if baseline is not None:
            cells += [shown(name, baseline.get(name)), _delta(name, value, baseline.get(name))]
        table.add_row(*cells)
    console = Console()
    console.print(table)
    for note in report.notes:
        console.print(note, markup=False, highlight=False)


def shown(name: str, value: float | None) -> str:
    """A figure for people: counts whole, times in ms, the rest to four places."""
    if value is None:
        return "–"
    if name in _COUNTS or isinstance(value, int):
        return str(int(value))
    return f"{value:.1f}" if "latency" in name else f"{value:.4f}"


def confusion_plot(gold: Sequence[str], predicted: Sequence[str]) -> bytes:
    """A matrix of right labels (rows) and predicted ones (columns), shares of each row, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = sorted({*gold, *predicted})
    place = {label: index for index, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)))
    for right, said in zip(gold, predicted, strict=True):
        counts[place[right], place[said]] += 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.0, 0.19 * len(labels) + 2)
    figure = Figure(figsize=(side, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=6)
    axes.set_yticks(range(len(labels)), labels, fontsize=6)
    axes.set_xlabel("predicted")
    axes.set_ylabel("right")
    return _png(figure)


def reliability_plot(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> bytes:
    """Confidence against accuracy in bins of equal mass, as PNG; calibrated is the diagonal."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parts = [part for part in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(part)]
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", linewidth=1)
    axes.plot([confidence[part].mean() for part in parts], [right[part].mean() for part in parts], marker="o")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    return _png(figure)


def curve_plot(sizes: Sequence[int], lines: Mapping[str, Sequence[float]], across: str, up: str) -> bytes:
    """Figures over sizes on a logarithmic axis, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, values in lines.items():
        axes.plot(sizes, values, marker="o", label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.legend()
    return _png(figure)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    # Without the maker's version the same figures give the same bytes.
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()


def _rounded(value: float | None) -> float | int | None:
    return None if value is None else round(value, 6)


def _shown_interval(name: str, ends: Interval) -> str:
    return f"{shown(name, ends[0])} – {shown(name, ends[1])}" if ends else ""


def _delta(name: str, value: float | None, before: float | None) -> str:
    if value is None or before is None:
        return "–"
    sign = "+" if value >= before else "−"
    return f"{sign}{shown(name, abs(value - before))}"


def _facts(report: Report) -> list[tuple[str, str]]:
    facts = [("data", f"{report.data.name}, {report.data.rows} rows, SHA-256 {report.data.sha256}")]
    facts += [(name, str(value)) for name, value in {**report.versions, **machine()}.items()]
    return facts


def _tables(report: Report) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, head and body of every table."""
    metrics = [
        [name, shown(name, value), _shown_interval(name, report.intervals.get(name))]
        for name, value in report.metrics.items()
    ]
    tables = [("Metrics", ["metric", "value", "95 % interval"], metrics)]
    if report.per_label:
        columns = list(dict.fromkeys(name for figures in report.per_label.values() for name in figures))
        body = [
            [label, *(shown(name, figures.get(name)) for name in columns)]
            for label, figures in report.per_label.items()
        ]
        tables.append(("Per label", ["label", *columns], body))
    return tables


def _markdown(report: Report) -> str:
    lines = [f"# {report.suite}", "", *(f"- {name}: {value}" for name, value in _facts(report))]
    for title, head, body in _tables(report):
        lines += ["", f"## {title}", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in body]
    if report.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in report.notes)]
    return "\n".join(lines) + "\n"


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}img{max-width:100%}"
)


def _html(report: Report) -> str:
    parts = [f"<h1>{_text(report.suite)}</h1><ul>"]
    parts += [f"<li>{_text(name)}: {_text(value)}</li>" for name, value in _facts(report)]
    parts.append("</ul>")
    for title, head, body in _tables(report):
        rows = ["".join(f"<td>{_text(cell)}</td>" for cell in row) for row in body]
        heads = "".join(f"<th>{_text(name)}</th>" for name in head)
        parts.append(f"<h2>{_text(title)}</h2><table><tr>{heads}</tr><tr>{'</tr><tr>'.join(rows)}</tr></table>")
    for title, png in report.plots.items():
        encoded = base64.b64encode(png).decode()
        parts.append(f'<h2>{_text(title)}</h2><img alt="{_text(title)}" src="data:image/png;base64,{encoded}">')
    if report.notes:
        notes = "".join(f"<li>{_text(note)}</li>" for note in report.notes)
        parts.append(f"<h2>Notes</h2><ul>{notes}</ul>")
    title = f"<title>{_text(report.suite)}</title>"
    top = f'<!doctype html><html lang="en"><head><meta charset="utf-8">{title}<style>{_STYLE}</style></head>'
    return f"{top}<body>{''.join(parts)}</body></html>\n"


def _text(value: str) -> str:
    return html.escape(value)
