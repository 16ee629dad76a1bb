"""`python -m eval.afqmc FOLDER OUT`: put the labels of this project to the sentences of the public AFQMC data set.

The sentences are not ours to ship. Their labels, by two annotators, are: `eval/data/afqmc_exam_labels.jsonl` names each
by the SHA-1 of its sentence. FOLDER holds the data set's JSON lines (`sentence1`, `sentence2`); OUT is then a file for
`assistant evaluate intents --data OUT`.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from assistant.errors import InvalidInput
from eval.cases import DATA, sha1

LABELS = DATA / "afqmc_exam_labels.jsonl"


def labelled(sentences: Iterable[str], labels: Path = LABELS) -> list[dict[str, Any]]:
    """Rows of the exam in the order of the labels. Raises InvalidInput where a sentence is missing."""
    wanted = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
    names = {row["sha1"] for row in wanted}
    found = {name: text for text in sentences if (name := sha1(text)) in names}
    if missing := names - found.keys():
        raise InvalidInput(f"{len(missing)} of {len(names)} sentences are not in this data set")
    return [{"text": found[row.pop("sha1")], **row} for row in wanted]


def sentences_of(folder: Path) -> Iterator[str]:
    """Every sentence of the data set's files, as it stands there."""
    for path in sorted(folder.glob("*.json*")):
        for line in path.read_text(encoding="utf-8").splitlines():
            pair = json.loads(line)
            yield from (pair[key] for key in ("sentence1", "sentence2") if key in pair)


def main() -> int:
    """Write the labelled exam; 1 where sentences are missing."""
    parser = argparse.ArgumentParser(prog="python -m eval.afqmc", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    line = parser.parse_args()
    try:
        rows = labelled(sentences_of(line.folder))
    except (InvalidInput, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    line.out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
