"""`python -m eval.leaks`: no sentence may stand, nearly word for word, in two sets of utterances.

Product words, digits and punctuation are taken out, since everybody writes the same question about another product;
what is left is compared by its character 3-grams (Jaccard). Of third-party messages only hashes of their 3-grams are
kept (`eval/data/third_party_ngrams.txt`), so that the check runs without them and none of them is stored.
"""

import argparse
import base64
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assistant.glossary import Glossary, load_glossary
from assistant.settings import Settings
from assistant.training.data import files_of
from eval.cases import DATA, IntentCase, load

THRESHOLD = 0.8
HASHES = DATA / "third_party_ngrams.txt"
_GRAM = 3

Grams = frozenset[int]


@dataclass(frozen=True)
class Leak:
    """Two rows, by place, and how alike they are (Jaccard, 0 to 1)."""

    row: int
    other: int
    likeness: float


class Normaliser:
    """What is compared of a text."""

    def __init__(self, glossary: Glossary) -> None:
        self._glossary = glossary

    def bare(self, text: str) -> str:
        """Letters and characters without product words and numbers, lower case."""
        return "".join(char for char in self._glossary.stripped(text).casefold() if char.isalpha())

    def grams(self, text: str) -> Grams:
        """Hashes of the character 3-grams; of the whole where it is shorter; none where nothing is left."""
        bare = self.bare(text)
        parts = {bare[start : start + _GRAM] for start in range(max(1, len(bare) - _GRAM + 1))} - {""}
        return frozenset(zlib.crc32(part.encode()) for part in parts)


def leaks(rows: Sequence[Grams], others: Sequence[Grams], threshold: float = THRESHOLD) -> Iterator[Leak]:
    """Every row that reaches the threshold with some row of the other set, with the likest one."""
    holders: defaultdict[int, list[int]] = defaultdict(list)
    for place, grams in enumerate(others):
        for gram in grams:
            holders[gram].append(place)
    for place, grams in enumerate(rows):
        shared = Counter(other for gram in grams for other in holders.get(gram, ()))
        likest = max(
            ((count / (len(grams) + len(others[other]) - count), -other) for other, count in shared.items()),
            default=(0.0, 0),
        )
        if likest[0] >= threshold:
            yield Leak(place, -likest[1], likest[0])


def read_hashes(path: Path = HASHES) -> dict[str, list[Grams]]:
    """Sets of third-party messages by name, each message as its hashed 3-grams."""
    sets: defaultdict[str, list[Grams]] = defaultdict(list)
    for line in path.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            name, _, packed = line.partition(" ")
            sets[name].append(frozenset(np.frombuffer(base64.b64decode(packed), "<u4").tolist()))
    return dict(sets)


def write_hashes(sets: dict[str, Sequence[Grams]], path: Path = HASHES) -> None:
    """The same, sorted, so that the order of the messages is not told either."""
    lines = ["# set, then the CRC-32 of each distinct character 3-gram of one message, little-endian, base64"]
    for name, messages in sorted(sets.items()):
        packed = {base64.b64encode(np.array(sorted(grams), "<u4").tobytes()).decode() for grams in messages if grams}
        lines += [f"{name} {message}" for message in sorted(packed)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def texts_of(path: Path) -> list[str]:
    """The messages of a JSONL file of cases or of a folder of them, or the lines of a text file."""
    if path.suffix == ".txt":
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [case.text for file in files_of(path) for case in load(file, IntentCase)[0]]


def own_sets(settings: Settings) -> dict[str, Path]:
    """The sets written for this project, each of which must be apart from the others."""
    utterances = settings.knowledge_dir / "utterances"
    return {
        "train": utterances / "training",
        "calibration": utterances / "calibration.jsonl",
        "exam": DATA / "intents_exam.jsonl",
    }


def main(arguments: Iterable[str] | None = None) -> int:
    """Compare all sets; 1 where one holds a sentence of another."""
    parser = argparse.ArgumentParser(prog="python -m eval.leaks", description=__doc__)
    parser.add_argument("--against", type=Path, action="append", default=[], help="another file of messages")
    parser.add_argument("--hash", type=Path, action="append", default=[], help="write the hashes of these files")
    line = parser.parse_args(None if arguments is None else list(arguments))
    settings = Settings()
    normal = Normaliser(load_glossary(settings.knowledge_dir / "glossary.yaml"))
    if line.hash:
        write_hashes({path.stem: [normal.grams(text) for text in texts_of(path)] for path in line.hash})
    texts = {name: texts_of(path) for name, path in own_sets(settings).items()}
    grams = {name: [normal.grams(text) for text in rows] for name, rows in texts.items()}
    others = {path.name: [normal.grams(text) for text in texts_of(path)] for path in line.against}
    others |= read_hashes()
    found = 0
    names = list(grams)
    for place, name in enumerate(names):
        for other, rows in {**{later: grams[later] for later in names[place + 1 :]}, **others}.items():
            shared = list(leaks(grams[name], rows))
            print(f"{name} against {other}: {len(shared)} of {len(grams[name])} rows reach {THRESHOLD}")
            for leak in shared[:3]:
                print(f"  {leak.likeness:.2f}  {texts[name][leak.row]}")
            found += len(shared) if other not in {path.name for path in line.against} else 0
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
