"""What search learns from questions helps with questions it has not seen, and belongs to its encoders."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from assistant.adapters.search_maps import MAPS_FILE, META_FILE, SearchMaps
from assistant.compose import open_mapped
from assistant.errors import ConfigurationError, InvalidInput
from assistant.settings import Settings
from assistant.training import search
from assistant.training.data import sha256_of
from tests.doubles_encoder import HashingEncoder
from tests.real_encoder import real_encoder, real_message_encoder

QUESTIONS = Settings().knowledge_dir / "questions"
SILENT = Console(file=StringIO())


def test_the_shipped_maps_were_learnt_from_the_questions_in_the_tree_for_the_encoders_that_serve() -> None:
    maps = SearchMaps.load(Settings().weights_dir)
    assert maps is not None
    assert maps.meta.questions_sha256 == sha256_of(QUESTIONS)
    assert open_mapped(Settings(), real_encoder(), real_message_encoder()) is not None


def test_maps_of_other_encoders_are_left_aside() -> None:
    assert open_mapped(Settings(), HashingEncoder(), real_message_encoder()) is None


def test_a_mapped_question_is_a_unit_vector_of_its_own_text_alone() -> None:
    mapped = open_mapped(Settings(), real_encoder(), real_message_encoder())
    assert mapped is not None
    one = mapped.encode("提前还款要手续费吗")
    assert np.linalg.norm(one) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(one, mapped.encode("提前还款要手续费吗"))
    assert not np.allclose(one, mapped.encode("怎么注销账户"))


def test_a_few_questions_teach_the_same_maps_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_EPOCHS", 3)
    monkeypatch.setattr(search, "_SEEDS", 2)
    lines = (QUESTIONS / "1.jsonl").read_text(encoding="utf-8").splitlines()[::40]
    asked = tmp_path / "asked.jsonl"
    asked.write_text("\n".join(lines), encoding="utf-8")
    settings = Settings(data_dir=tmp_path / "data")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(Settings().data_dir / "models", target_is_directory=True)
    metas = [search.train_search(settings, asked, tmp_path / name, SILENT) for name in ("one", "two")]
    assert metas[0] == metas[1]
    assert metas[0].rows == len(lines)
    assert (tmp_path / "one" / MAPS_FILE).read_bytes() == (tmp_path / "two" / MAPS_FILE).read_bytes()
    assert f"{len(lines):,} questions" in (tmp_path / "one" / search.CARD_FILE).read_text(encoding="utf-8")
    maps = SearchMaps.load(tmp_path / "one")
    assert maps is not None
    assert maps.meta.fusion.near > 20


@pytest.mark.parametrize(
    "line", ['{"query": "a"', '{"query": "", "sections": ["a#1"]}', '{"query": "a", "sections": []}']
)
def test_a_bad_question_is_named_by_file_and_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text(json.dumps({"query": "a", "sections": ["a#1"]}) + "\n" + line, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"asked\.jsonl:2"):
        search.load_questions(path)


def test_questions_about_no_section_in_force_teach_nothing(tmp_path: Path) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text(json.dumps({"query": "a", "sections": ["nothing#1"]}), encoding="utf-8")
    with pytest.raises(InvalidInput, match="in force"):
        search.train_search(Settings(), path, tmp_path, SILENT)


@pytest.mark.parametrize("name", [MAPS_FILE, META_FILE])
def test_damaged_maps_are_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    for file in (MAPS_FILE, META_FILE):
        (tmp_path / file).write_bytes((Settings().weights_dir / file).read_bytes())
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(ConfigurationError, match="train --search"):
        SearchMaps.load(tmp_path)
    assert SearchMaps.load(tmp_path / "none") is None


def test_every_question_names_sections_that_exist() -> None:
    from assistant.adapters.policy_files import load_policies
    from assistant.knowledge import passages_of

    passages = passages_of(load_policies(Settings().knowledge_dir / "policies"))
    names = {f"{one.document_id}#{one.passage_id.rpartition('#')[2]}" for one in passages}
    asked = search.load_questions(QUESTIONS)
    assert {name for one in asked for name in one.sections} <= names
    assert len(asked) >= 10_000
