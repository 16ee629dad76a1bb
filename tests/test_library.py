"""The editor's side of the policies: taking files in, publishing them, naming those that cannot be read."""

from pathlib import Path

import pytest
import yaml
from rich.console import Console

from assistant.adapters.policy_files import read_policies
from assistant.errors import InvalidInput
from assistant.library import add, open_index, publish
from assistant.settings import Settings
from tests.test_knowledge import TODAY, write

FACTS = {"version": "2026", "owner": "产品部", "effective_from": "2026-01-01", "intents": ["refund"]}
PAGE = "<h1>退款</h1><h2>退款多久到账</h2><p>退款一般3个工作日内到账。</p>"


@pytest.fixture
def base(settings: Settings, tmp_path: Path) -> Settings:
    """A knowledge folder of its own with one policy in it."""
    policies = tmp_path / "knowledge" / "policies"
    policies.mkdir(parents=True)
    write(policies)
    glossary = settings.knowledge_dir / "glossary.yaml"
    (policies.parent / "glossary.yaml").write_bytes(glossary.read_bytes())
    return settings.model_copy(update={"knowledge_dir": policies.parent})


def test_a_file_is_taken_in_with_its_facts_beside_it(base: Settings, tmp_path: Path) -> None:
    page = tmp_path / "Refund Rules.html"
    page.write_text(PAGE, encoding="utf-8")
    added = add(base, [page], {**FACTS, "title": "退款"})
    assert [(one.id, one.title, one.owner) for one in added.documents] == [("refund-rules", "退款", "产品部")]
    documents, broken = read_policies(base.knowledge_dir / "policies")
    assert ([one.id for one in documents], broken) == (["refund-rules", "early"], ())
    # Taken in again with other facts, what was written beside it counts where nothing else is said.
    again = add(base, [base.knowledge_dir / "policies" / page.name], {"owner": "合规部"})
    assert [(one.title, one.owner, one.version) for one in again.documents] == [("退款", "合规部", "2026")]


def test_facts_beside_a_file_are_kept_as_written(base: Settings, tmp_path: Path) -> None:
    page = tmp_path / "refund.html"
    page.write_text(PAGE, encoding="utf-8")
    beside = tmp_path / "refund.html.yaml"
    beside.write_text("version: 1.10\nowner: 产品部\neffective_from: 2026-01-01\n", encoding="utf-8")
    assert [one.version for one in add(base, [page], {}).documents] == ["1.10"]
    beside.write_text("version: [1.10", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"refund\.html\.yaml"):
        add(base, [page], {})


def test_only_what_can_be_read_is_taken_in(base: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "incoming" / "2026"
    folder.mkdir(parents=True)
    (folder / "refund.html").write_text(PAGE, encoding="utf-8")
    (folder / "torn.pdf").write_bytes(b"%PDF-1.4")
    (folder / ".hidden.html").write_text(PAGE, encoding="utf-8")
    added = add(base, [folder.parent], FACTS)
    assert [one.file for one in added.documents] == ["refund.html"]
    assert [one.file for one in added.left_out] == ["torn.pdf"]
    names = sorted(path.name for path in (base.knowledge_dir / "policies").iterdir())
    assert names == ["early.md", "refund.html", "refund.html.yaml"]
    assert (
        yaml.safe_load((base.knowledge_dir / "policies" / "refund.html.yaml").read_text(encoding="utf-8"))["id"]
        == "refund"
    )


def test_what_does_not_exist_or_clashes_is_refused(base: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no"):
        add(base, [tmp_path / "nowhere.pdf"], FACTS)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "refund.html").write_text(PAGE, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"refund\.html"):
        add(base, [tmp_path / "a", tmp_path / "b"], FACTS)


def test_a_broken_file_is_named_and_the_rest_is_published_and_a_removed_one_is_gone(
    base: Settings, tmp_path: Path
) -> None:
    policies, quiet = base.knowledge_dir / "policies", Console(quiet=True)
    page = tmp_path / "refund.html"
    page.write_text(PAGE, encoding="utf-8")
    add(base, [page], FACTS)
    write(policies, "torn.md", colour="red")
    published = publish(base, quiet)
    assert [one.file for one in published.left_out] == ["torn.md"]
    assert published.documents == 2
    (found, *_) = open_index(base).search("退款多久到账", on=TODAY)
    assert (found.passage.document_id, found.passage.section) == ("refund", "退款多久到账")
    (policies / "refund.html").unlink()
    (policies / "torn.md").unlink()
    assert publish(base, quiet).documents == 1
    assert {one.passage.document_id for one in open_index(base).search("退款多久到账", on=TODAY)} == {"early"}
    again = publish(base, quiet)
    assert again.before == again.after
