"""The import contracts of pyproject.toml hold, and would not hold for the imports they forbid."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from assistant.settings import ROOT

_LINTER = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-P", "-c", _LINTER, "--no-cache"]
    # PYTHONPATH comes before the editable installation, so that a copy is judged and not the original.
    environment = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "NO_COLOR": "1"}
    return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("assistant", "eval"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=lambda _, names: [n for n in names if "." in n and n[-3:] != ".py"]
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_is_kept() -> None:
    found = lint(ROOT)

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    assert found.returncode == 0, found.stdout
    assert f"Contracts: {len(contracts)} kept, 0 broken." in found.stdout
    assert {"layers", "stations", "adapters", "interfaces", "measuring", "torch"} == {c["id"] for c in contracts}


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("risk.py", "from assistant import slots", "No station imports another"),
        ("calendar.py", "from assistant import sessions", "Imports flow one way"),
        ("teller.py", "from assistant.adapters import keys", "Imports flow one way"),
        ("adapters/keys.py", "from assistant import masking", "Adapters know ports"),
        ("web/labels.py", "from assistant.adapters import keys", "reach adapters through compose only"),
        ("compose.py", "import eval.metrics", "Nothing but the command line knows the evaluation"),
        ("heads.py", "import torch", "Serving needs no torch"),
    ],
)
def test_a_forbidden_import_is_found(copy: Path, module: str, line: str, contract: str) -> None:
    path = copy / "assistant" / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")

    found = lint(copy)

    assert found.returncode == 1
    assert any(contract in told and " BROKEN" in told for told in found.stdout.splitlines()), found.stdout


def test_a_module_without_a_place_is_found(copy: Path) -> None:
    (copy / "assistant" / "newcomer.py").write_text('"""New."""\n', encoding="utf-8")

    found = lint(copy)

    assert found.returncode == 1
    assert "newcomer" in found.stdout
