"""The sets of utterances are apart from each other and from third-party messages, and the check would see it."""

import json
from collections import Counter
from pathlib import Path

import pytest

from assistant.errors import InvalidInput
from assistant.glossary import load_glossary
from assistant.settings import Settings
from assistant.taxonomy import load_taxonomy
from assistant.training.data import load_utterances, sha256_of
from assistant.types.value import IntentId
from eval.afqmc import LABELS, labelled
from eval.cases import sha1
from eval.leaks import Normaliser, leaks, main, own_sets, read_hashes, texts_of, write_hashes


@pytest.fixture(scope="module")
def normal() -> Normaliser:
    return Normaliser(load_glossary(Settings().knowledge_dir / "glossary.yaml"))


def test_the_sets_in_the_tree_are_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "train against exam: 0 of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("花呗怎么提前还款啊", "花呗怎么提前还款啊", True),
        ("花呗怎么提前还款啊", "借呗，怎么提前还款啊？", True),
        ("借3000元分12期利息多少", "借***元分6期利息多少", True),
        ("how do i close my Huabei", "How do I close my Jiebei?", True),
        ("花呗怎么提前还款啊", "花呗怎么延期还款啊", False),
        ("我想注销账户", "我想查一下账单", False),
    ],
)
def test_nearly_the_same_sentence_is_seen(normal: Normaliser, one: str, other: str, near: bool) -> None:
    assert [leak.row for leak in leaks([normal.grams(one)], [normal.grams("你好"), normal.grams(other)])] == [0] * near


def test_a_sentence_of_the_exam_among_the_utterances_is_seen(normal: Normaliser) -> None:
    exam = [normal.grams(text) for text in texts_of(own_sets(Settings())["exam"])]
    planted = [*exam[100:103], normal.grams("今天天气不错我们去爬山吧")]
    assert [leak.row for leak in leaks(planted, exam)] == [0, 1, 2]


def test_hashes_find_a_message_without_holding_it(normal: Normaliser, tmp_path: Path) -> None:
    path = tmp_path / "hashes.txt"
    write_hashes({"theirs": [normal.grams("花呗逾期了会不会影响买房")]}, path)
    assert "逾期" not in path.read_text(encoding="utf-8")
    stored = read_hashes(path)["theirs"]
    assert [leak.other for leak in leaks([normal.grams("借呗逾期了会不会影响买房")], stored)] == [0]


def test_the_exam_of_real_messages_is_rebuilt_from_the_public_sentences(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    row = {"sha1": sha1("花呗怎么还款"), "gold": "repay_how", "accept": ["repay_how"], "clear": True}
    path.write_text(json.dumps(row), encoding="utf-8")
    rows = labelled(["别的句子", "花呗怎么还款"], path)
    assert rows == [{"text": "花呗怎么还款", "gold": "repay_how", "accept": ["repay_how"], "clear": True}]
    with pytest.raises(InvalidInput, match="1 of 1"):
        labelled(["别的句子"], path)


def test_the_datasheet_names_the_sets_as_they_are() -> None:
    datasheet = (Settings().knowledge_dir / "utterances" / "DATASHEET.md").read_text(encoding="utf-8")
    for path in own_sets(Settings()).values():
        assert f"| {len(texts_of(path)):,} |" in datasheet
        assert sha256_of(path) in datasheet


def test_there_are_enough_utterances_of_every_intent() -> None:
    sets = {name: load_utterances(path, load_taxonomy()) for name, path in own_sets(Settings()).items()}
    assert len(sets["exam"]) >= 3000
    counts = Counter(row.intent for row in sets["train"])
    assert sum(counts.values()) >= 15_000
    assert min(counts.values()) >= 150
    assert min(counts[IntentId("out_of_scope")], counts[IntentId("unclear")]) >= 1000
    assert sum(row.lang == "en" for row in sets["train"]) >= 0.15 * len(sets["train"])


def test_the_labels_of_real_messages_are_of_the_taxonomy_and_hold_no_sentence() -> None:
    rows = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 350
    assert all(set(row) == {"sha1", "gold", "accept", "clear"} for row in rows)
    taxonomy = load_taxonomy()
    assert all(label in taxonomy for row in rows for label in row["accept"])
