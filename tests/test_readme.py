"""The README says what the reports say, and names nothing that is not there."""

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from assistant.cli import app
from assistant.errors import ConfigurationError
from assistant.settings import ROOT, Settings
from eval.readme_table import BEGIN, END, read, rewritten, table

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "CHANGELOG.md", "docs/decisions.md")
COMMANDS = [
    line.strip()
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.strip() and not line.lstrip().startswith("#")
]
LINKS = [
    (page, target)
    for page in PAGES
    for target in re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text(encoding="utf-8"))
    if "://" not in target
]
TARGETS = set(re.findall(r"^([a-z]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_the_table_of_figures_is_what_the_reports_give() -> None:
    shown = README.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == table(), "run `python -m eval.readme_table`"


@pytest.mark.parametrize(
    ("key", "digits", "pattern"),
    [
        ("accuracy_strict", 0, r"(\d+) % strict|严格口径(\d+)%"),
        ("accuracy_clear", 1, r"([\d.]+) % of those|意思清楚的([\d.]+)%"),
    ],
)
def test_the_accuracy_in_the_limits_is_that_of_the_report(key: str, digits: int, pattern: str) -> None:
    report = read("intents-afqmc-exam")
    assert report is not None
    said = re.findall(pattern, README)
    assert len(said) == 2
    assert {english or chinese for english, chinese in said} == {f"{report['metrics'][key] * 100:.{digits}f}"}


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="figures"):
        rewritten("no markers", "figures")


def test_a_report_that_is_missing_is_left_out_of_the_table(tmp_path: Path) -> None:
    assert len(table(tmp_path).splitlines()) == 2


def test_a_broken_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots" / "report.json").write_text("{")
    with pytest.raises(ConfigurationError, match="not JSON"):
        table(tmp_path)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_readme_exists(line: str) -> None:
    words = shlex.split(line)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name = words.pop(0).partition("=")[0]
        assert name.removeprefix("ASSISTANT_").lower() in Settings.model_fields, f"no setting {name}"
    program = words[0].removeprefix(".venv/bin/")
    if program == "make":
        assert set(words[1:]) <= TARGETS
    elif program == "assistant":
        _exists(words[1:])
    elif program.startswith("python") and words[1] == "-m":
        assert importlib.util.find_spec(words[2]) is not None
    else:
        assert program == "pip"
        assert words[2] in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def _exists(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"no command {words[0]}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_every_link_leads_to_a_file(page: str, target: str) -> None:
    path = (ROOT / page).parent / target
    if path.suffix == ".png" and not any((ROOT / "docs").glob("*.png")):
        pytest.skip("no screenshot has been made yet")
    assert path.exists(), f"{page} links to {target}"


def test_every_variable_that_is_named_is_a_setting() -> None:
    named = set(re.findall(r"ASSISTANT_([A-Z_]+)", README))
    assert {name.lower() for name in named} <= set(Settings.model_fields)
