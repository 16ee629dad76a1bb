"""What publishing the policies as they stand would change: documents, and answers to what customers asked."""

import json
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from assistant.adapters.sql import SqlStore
from assistant.errors import InvalidInput
from assistant.library import open_index, publish
from assistant.revision import AnswerChange, Revision, compare
from assistant.settings import Settings
from assistant.setup import open_store
from assistant.types.messages import Said
from assistant.types.value import SessionId
from tests.store_material import NOW, a_cited_reply, a_commit, a_gap, a_turn, draft, opened
from tests.test_knowledge import write

QUIET = Console(quiet=True)
FEE, HOW, LATE = "提前还款收费吗", "提前还款怎么办", "逾期了怎么办"
EARLY = (
    "本文说明提前还款。\n\n## 提前还款收费吗\n从第一个还款日起不收费。\n\n## 提前还款怎么办\n打开App，选借款，确认。"
)
OVERDUE = "## 逾期了怎么办\n请尽快还款，逾期按日计息。"
IN_2027 = date(2027, 2, 1)


@pytest.fixture
def base(settings: Settings, tmp_path: Path) -> Settings:
    """A knowledge folder of its own whose two policies are published."""
    folder = tmp_path / "knowledge" / "policies"
    folder.mkdir(parents=True)
    glossary = settings.knowledge_dir / "glossary.yaml"
    (folder.parent / "glossary.yaml").write_bytes(glossary.read_bytes())
    base = settings.model_copy(update={"knowledge_dir": folder.parent})
    early(base)
    overdue(base)
    publish(base, QUIET)
    return base


def early(base: Settings, body: str = EARLY, name: str = "early.md", **changes: str) -> Path:
    return write(base.knowledge_dir / "policies", name, body=body, intents="[early_repay]", **changes)


def overdue(base: Settings, body: str = OVERDUE, **changes: str) -> Path:
    plain = {"id": "late", "title": "逾期", "intents": "[overdue_effect]", **changes}
    return write(base.knowledge_dir / "policies", "late.md", body=body, **plain)


def asking(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    return asking(
        tmp_path,
        {"question": FEE, "intent": "early_repay"},
        {"query": HOW, "intent": "early_repay", "relevant": ["early"]},
        {"question": LATE, "intent": "overdue_effect", "answerable": True, "facts": [["计息"]]},
    )


def documents(revision: Revision) -> list[str]:
    return [f"{one.change} {one.document_id}@{one.version}" for one in revision.documents]


def answers(revision: Revision) -> dict[str, AnswerChange]:
    return {one.question: one for one in revision.answers}


def test_where_nothing_was_written_nothing_would_change(base: Settings, asked: Path) -> None:
    revision = compare(base, asked, console=QUIET)
    assert (revision.documents, revision.answers, revision.questions) == ((), (), 3)
    assert revision.report() == ("documents: 0 added, 0 removed, 0 changed\nquestions: 3 tried, 0 answered otherwise")


def test_documents_are_added_removed_and_changed(base: Settings, asked: Path) -> None:
    early(base, EARLY.replace("不收费", "收1%"))
    overdue(base, version='"2027"')
    revision = compare(base, asked, console=QUIET)
    assert documents(revision) == ["changed early@2026", "removed late@2026", "added late@2027"]


def test_a_question_may_get_other_words_another_clause_no_answer_or_its_first(base: Settings, tmp_path: Path) -> None:
    wallet = "可以用零钱还款吗"
    path = asking(
        tmp_path,
        *({"question": text, "intent": "early_repay"} for text in (FEE, HOW)),
        {"question": LATE, "intent": "overdue_effect"},
        {"question": wallet, "intent": "repay_how"},
    )
    early(base, EARLY.replace("不收费", "收1%").replace("## 提前还款怎么办", "## 提前还款怎么办理"))
    (base.knowledge_dir / "policies" / "late.md").unlink()
    write(base.knowledge_dir / "policies", "w.md", body=f"## {wallet}\n可以。", id="wallet", intents="[repay_how]")
    found = answers(compare(base, path, console=QUIET))
    assert {text: one.kind for text, one in found.items()} == {
        FEE: "other words",
        HOW: "other clause",
        LATE: "lost",
        wallet: "new answer",
    }
    fee = found[FEE]
    assert fee.before is not None
    assert fee.after is not None
    assert (str(fee.before), fee.before.text) == (f"early@2026 {FEE}", "从第一个还款日起不收费。")
    assert fee.after.text == "从第一个还款日起收1%。"
    assert found[LATE].after is None
    assert found[wallet].before is None


def test_the_report_tells_both_answers_and_counts_by_kind(base: Settings, asked: Path) -> None:
    early(base, EARLY.replace("不收费", "收1%"))
    (base.knowledge_dir / "policies" / "late.md").unlink()
    told = compare(base, asked, as_of=IN_2027, console=QUIET).report()
    assert told.splitlines() == [
        "~ early@2026",
        "- late@2026",
        "",
        f"other words: {FEE}  [early_repay, 2027-02-01]",
        f"  before  early@2026 {FEE}",
        f"  after   early@2026 {FEE}",
        "    - 从第一个还款日起不收费。",
        "    + 从第一个还款日起收1%。",
        "",
        f"lost: {LATE}  [overdue_effect, 2027-02-01]",
        f"  before  late@2026 {LATE}",
        "    请尽快还款，逾期按日计息。",
        "  after   no answer",
        "",
        "documents: 0 added, 1 removed, 1 changed",
        "questions: 3 tried, 2 answered otherwise (1 lost, 1 other words)",
    ]


def test_a_new_version_in_the_old_words_changes_a_document_and_no_answer(base: Settings, asked: Path) -> None:
    early(base, version='"2027"')
    revision = compare(base, asked, console=QUIET)
    assert documents(revision) == ["removed early@2026", "added early@2027"]
    assert revision.answers == ()


def test_a_version_that_comes_into_force_later_changes_answers_on_that_day(base: Settings, asked: Path) -> None:
    early(base, effective_to="2026-12-31")
    early(
        base,
        EARLY.replace("不收费", "收1%"),
        "early-2027.md",
        version='"2027"',
        effective_from="2027-01-01",
    )
    assert compare(base, asked, as_of=date(2026, 12, 31), console=QUIET).answers == ()
    (change,) = compare(base, asked, as_of=IN_2027, console=QUIET).answers
    assert change.before is not None
    assert change.after is not None
    assert (change.question, change.kind, change.on) == (FEE, "other words", IN_2027)
    assert (change.before.version, change.after.version) == ("2026", "2027")


def test_a_rows_own_day_counts_unless_another_is_given(base: Settings, tmp_path: Path) -> None:
    path = asking(tmp_path, {"query": FEE, "intent": "early_repay", "as_of": "2025-06-01"})
    early(base, EARLY.replace("不收费", "收1%"))
    assert compare(base, path, console=QUIET).answers == ()  # nothing was in force then
    assert compare(base, path, as_of=IN_2027, console=QUIET).answers[0].on == IN_2027


def test_the_published_index_stays_as_it_is(base: Settings, asked: Path) -> None:
    with closing(open_index(base)) as index:
        before = (index.version, index.search(FEE, on=IN_2027))
    early(base, EARLY.replace("不收费", "收1%"))
    assert compare(base, asked, console=QUIET).published == before[0]
    with closing(open_index(base)) as index:
        assert (index.version, index.search(FEE, on=IN_2027)) == before


def test_before_the_first_publication_every_answer_is_new(base: Settings, asked: Path, tmp_path: Path) -> None:
    bare = base.model_copy(update={"data_dir": tmp_path / "bare"})
    bare.data_dir.mkdir()
    (bare.data_dir / "models").symlink_to(base.data_dir / "models", target_is_directory=True)
    revision = compare(bare, asked, console=QUIET)
    assert documents(revision) == ["added early@2026", "added late@2026"]
    assert [one.kind for one in revision.answers] == ["new answer"] * 3


def test_a_file_that_cannot_be_read_is_named(base: Settings, asked: Path) -> None:
    overdue(base, colour="red")
    revision = compare(base, asked, console=QUIET)
    assert [one.file for one in revision.left_out] == ["late.md"]
    assert documents(revision) == ["removed late@2026"]


# --- where the questions come from ------------------------------------------------------------------------------------


def answered(store: SqlStore, number: int, text: str) -> None:
    turn = a_turn(number=number, given=Said(text=text))
    session = store.session(SessionId("s1"))
    store.accept(turn, ())
    store.commit(a_commit(turn, session, reply=a_cited_reply(turn)))


def test_questions_that_customers_asked_are_tried_once_each_the_newest_first(base: Settings) -> None:
    wallet = "可以用零钱还款吗"
    with closing(open_store(base)) as store:
        opened(store)
        for number, text in enumerate((HOW, FEE, FEE), 1):
            answered(store, number, text)
        gap = draft(a_gap(wallet)).model_copy(update={"at": NOW + timedelta(minutes=1)})
        store.record(SessionId("s1"), [gap])
    early(base, EARLY.replace("不收费", "收1%").replace("打开App", "打开网站"))
    write(base.knowledge_dir / "policies", "w.md", body=f"## {wallet}\n可以。", id="wallet", intents="[repay_how]")
    revision = compare(base, console=QUIET)
    assert revision.questions == 3
    assert [(one.question, one.kind) for one in revision.answers] == [
        (wallet, "new answer"),
        (FEE, "other words"),
        (HOW, "other words"),
    ]


def test_no_more_questions_are_tried_than_the_newest(base: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_store(base)) as store:
        opened(store)
        for number, text in enumerate((HOW, FEE), 1):
            answered(store, number, text)
    monkeypatch.setattr("assistant.revision.QUESTIONS", 1)
    early(base, EARLY.replace("不收费", "收1%").replace("打开App", "打开网站"))
    assert [one.question for one in compare(base, console=QUIET).answers] == [FEE]


def test_a_question_without_an_intent_is_read_by_the_classifier_and_masked(base: Settings, tmp_path: Path) -> None:
    early(base, EARLY.replace("不收费", "收1%"))
    (change,) = compare(base, asking(tmp_path, {"question": f"{FEE} 13912345678"}), console=QUIET).answers
    assert (change.question, change.intent) == (f"{FEE} [PHONE_1]", "early_repay")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "holds 0 questions"),
        ('{"question": "提前还款收费吗"}\nnot json', "questions.jsonl:2"),
        ('{"text": "提前还款收费吗"}', "question"),
        ('{"question": " "}', "questions.jsonl:1"),
        ('{"question": "提前还款收费吗", "intent": "no_such"}', "no_such"),
    ],
)
def test_a_file_that_holds_no_questions_is_refused_by_line(
    base: Settings, tmp_path: Path, content: str, named: str
) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=named):
        compare(base, path, console=QUIET)
    with pytest.raises(InvalidInput, match="cannot be read"):
        compare(base, tmp_path / "nowhere.jsonl", console=QUIET)


def test_a_folder_without_policies_is_refused(base: Settings, asked: Path) -> None:
    for path in (base.knowledge_dir / "policies").iterdir():
        path.unlink()
    with pytest.raises(InvalidInput, match="without passages"):
        compare(base, asked, console=QUIET)
