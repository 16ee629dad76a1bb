"""`python -m eval SUITE`: the same as `assistant evaluate SUITE`."""

import argparse
import sys
from pathlib import Path

from assistant.settings import Settings
from eval.suites import SUITES, run


def main() -> int:
    """Parse the line and run the suite."""
    parser = argparse.ArgumentParser(prog="python -m eval", description="Score the assistant on files of cases.")
    parser.add_argument("suite", choices=(*SUITES, "all"))
    parser.add_argument("--data", type=Path, help="JSONL file; default: the repository's own")
    parser.add_argument("--out", type=Path, help="folder for report.json, report.md and report.html")
    parser.add_argument("--baseline", type=Path, help="folder of an earlier report: print how far figures moved")
    parser.add_argument("--fail-under", action="append", default=[], metavar="KEY=VALUE", help="exit 1 below VALUE")
    line = parser.parse_args()
    return run(line.suite, Settings(), line.data, line.out, line.baseline, tuple(line.fail_under))


if __name__ == "__main__":
    sys.exit(main())
