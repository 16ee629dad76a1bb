"""Policy files are read as they are written, cut into dated passages, and checked."""

from datetime import date
from pathlib import Path

import pytest

from assistant.adapters.policy_files import load_policies, read_policies
from assistant.errors import ConfigurationError
from assistant.knowledge import LONGEST_PASSAGE, check, is_table, passages_of, sections
from assistant.settings import ROOT
from assistant.taxonomy import load_taxonomy
from assistant.types.policies import Finding, PolicyDocument
from assistant.types.value import IntentId
from eval.answers_suite import AnswerCase
from eval.cases import load
from eval.suites_retrieval import load_rows

TODAY = date(2026, 11, 23)
ROUTES = {IntentId("early_repay"): "action", IntentId("refund"): "answer", IntentId("greeting"): "social"}
FRONT = """id: early
version: "2026"
title: 提前还款
products: [cash_loan]
audience: customer
language: zh-CN
effective_from: 2026-01-01
effective_to: null
owner: 产品部
intents: [early_repay, refund]
sources: [民法典第677条]
sample: true"""
BODY = "本文说明提前还款。\n\n## 收费吗\n从第一个还款日起不收费。\n\n## 怎么办\n1. 打开App。\n   - 选借款\n2. 确认。"


def write(folder: Path, name: str = "early.md", *, body: str = BODY, front: str = FRONT, **changes: str) -> Path:
    """A policy file; `changes` replace whole lines of the front matter, an empty one removes it."""
    lines = {line.split(":")[0]: line for line in front.splitlines()}
    lines.update({key: f"{key}: {value}" if value else "" for key, value in changes.items()})
    path = folder / name
    path.write_text("---\n" + "\n".join(filter(None, lines.values())) + f"\n---\n{body}\n", encoding="utf-8")
    return path


def findings(folder: Path, today: date = TODAY) -> list[Finding]:
    documents, broken = read_policies(folder)
    return [*broken, *check(documents, ROUTES, today)]


def only(folder: Path) -> PolicyDocument:
    (document,) = load_policies(folder)
    return document


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_document_keeps_what_its_file_says(tmp_path: Path) -> None:
    write(tmp_path)
    document = only(tmp_path)
    assert (document.id, document.version, document.file) == ("early", "2026", "early.md")
    assert document.products == ("cash_loan",)
    assert (document.effective_from, document.effective_to) == (date(2026, 1, 1), None)
    assert document.sources == ("民法典第677条",)


def test_a_version_is_read_as_written_and_not_as_a_number(tmp_path: Path) -> None:
    write(tmp_path, version="1.10")
    assert only(tmp_path).version == "1.10"


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        ({"effective_from": "2026"}, "effective_from", "2026"),
        ({"effective_from": "2026-02-30"}, "effective_from", "day"),
        ({"effective_from": ""}, "effective_from", "required"),
        ({"title": ""}, "title", "required"),
        ({"id": "a@b"}, "id", "@"),
        ({"products": "[gold]"}, "products.0", "pay_later"),
        ({"colour": "red"}, "colour", "not permitted"),
        ({"sources": "[unclosed"}, "front matter", "expected"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_by_name_and_key(
    tmp_path: Path, change: dict[str, str], key: str, said: str
) -> None:
    write(tmp_path, "good.md", id="good")
    write(tmp_path, "bad.md", **change)
    documents, broken = read_policies(tmp_path)
    assert [document.id for document in documents] == ["good"]
    assert {(one.file, one.key) for one in broken} == {("bad.md", key)}
    assert said in broken[0].message
    with pytest.raises(ConfigurationError, match=r"bad\.md"):
        load_policies(tmp_path)


def test_a_file_that_is_no_text_or_has_no_front_matter_is_reported(tmp_path: Path) -> None:
    (tmp_path / "binary.md").write_bytes(b"---\nid: \xff\xfe")
    (tmp_path / "plain.md").write_text("只有正文", encoding="utf-8")
    assert [(one.file, one.key) for one in read_policies(tmp_path)[1]] == [
        ("binary.md", "encoding"),
        ("plain.md", "front matter"),
    ]


def test_a_folder_that_is_not_there_is_a_matter_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ASSISTANT_KNOWLEDGE_DIR"):
        load_policies(tmp_path / "nowhere")


# --- passages ---------------------------------------------------------------------------------------------------------


def test_each_section_becomes_a_passage_with_the_terms_of_its_document(tmp_path: Path) -> None:
    write(tmp_path)
    passages = passages_of(load_policies(tmp_path))
    assert [(one.passage_id, one.section) for one in passages] == [
        ("early@2026#1", "收费吗"),
        ("early@2026#2", "怎么办"),
    ]
    assert passages[0].text == "从第一个还款日起不收费。"
    assert passages[0].intents == ("early_repay", "refund")
    assert passages[0].in_force(date(2026, 1, 1))
    assert not passages[0].in_force(date(2025, 12, 31))


def test_a_section_is_kept_word_for_word(tmp_path: Path) -> None:
    write(tmp_path)
    assert sections(only(tmp_path))[1] == ("怎么办", "1. 打开App。\n   - 选借款\n2. 确认。")


def test_a_document_without_headings_is_one_passage_under_its_title(tmp_path: Path) -> None:
    write(tmp_path, body="提前还款不收费。")
    assert sections(only(tmp_path)) == (("提前还款", "提前还款不收费。"),)


def test_a_section_that_is_too_long_is_split_at_sentences_and_nothing_is_lost(tmp_path: Path) -> None:
    paragraph = "".join(f"第{'甲乙丙丁戊己庚辛壬癸'[number % 10]}条规则说明了一种情形。" for number in range(100))
    write(tmp_path, body=f"## 规则\n开头。\n\n{paragraph}\n\n结尾。")
    passages = passages_of(load_policies(tmp_path))
    assert len(passages) > 2
    assert all(len(one.text) <= LONGEST_PASSAGE and one.text.endswith("。") for one in passages)
    assert "".join(one.text for one in passages).replace("\n", "") == f"开头。{paragraph}结尾。"


def test_a_table_is_never_cut(tmp_path: Path) -> None:
    table = "\n".join(["| 期数 | 说明 |", "|---|---|", *(f"| {n} | {'每期的说明文字' * 5} |" for n in range(40))])
    write(tmp_path, body=f"## 费率\n{'费率见下表。' * 60}\n\n{table}\n\n以合同为准。")
    assert is_table(table)
    assert sum(table in one.text for one in passages_of(load_policies(tmp_path))) == 1


# --- checking ---------------------------------------------------------------------------------------------------------


def test_a_sound_base_has_no_findings(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "old.md", version="2025", effective_from="2025-01-01", effective_to="2025-12-31")
    write(tmp_path, "early.en.md", id="early-en", language="en")
    assert findings(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "file", "key", "said"),
    [
        ({"owner": ""}, "early.md", "owner", "missing"),
        ({"owner": "null"}, "early.md", "owner", "missing"),
        ({"effective_to": "2025-12-31"}, "early.md", "effective_to", "before effective_from"),
        ({"intents": "[early_repay, refund, refnd]"}, "early.md", "intents", "refnd"),
        ({"intents": "[early_repay]"}, "(no file)", "intents", "refund"),
        ({"audience": "staff"}, "(no file)", "intents", "refund"),
        ({"effective_from": "2027-01-01"}, "(no file)", "intents", "refund"),
        ({"body": "没有标题"}, "early.md", "body", "no `## ` section"),
        ({"body": "## 空\n\n## 有\n内容。"}, "early.md", "## 空", "empty"),
        ({"body": "## 空\n内容。\n\n## 尾\n"}, "early.md", "## 尾", "empty"),
        ({"body": f"## 长\n{'很长的规定，' * 30}。"}, "early.md", "## 长", "opens with"),
        ({"id": "early-en"}, "early.md", "version", "does not exist"),
    ],
)
def test_what_is_wrong_with_a_document_is_found(
    tmp_path: Path, change: dict[str, str], file: str, key: str, said: str
) -> None:
    write(tmp_path, **change)
    assert (file, key) in {(one.file, one.key) for one in findings(tmp_path) if said in one.message}


def test_two_versions_in_force_at_once_are_found(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "old.md", version="2025", effective_from="2025-01-01", effective_to="2026-01-01")
    (found,) = findings(tmp_path)
    assert (found.file, found.key) == ("old.md", "effective_to")
    assert "both are in force" in str(found)


def test_days_between_two_versions_are_found(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "old.md", version="2025", effective_from="2025-01-01", effective_to="2025-12-30")
    (found,) = findings(tmp_path)
    assert found.message == "nothing in force between 2025-12-30 and 2026-01-01 (early.md)"


def test_one_version_in_two_files_is_found(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "twice.md")
    assert ("twice.md", "version") in {(one.file, one.key) for one in findings(tmp_path)}


def test_a_policy_that_ended_without_successor_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, effective_to="2026-06-30")
    write(tmp_path, "other.md", id="other")
    (found,) = findings(tmp_path)
    assert (found.severity, found.file) == ("warning", "early.md")


@pytest.mark.parametrize(
    ("body", "front", "said"),
    [
        ("## 宽限\n还款日之后有5天宽限期。", {}, "宽限期"),
        ("## 宽限\n还款日之后有五天宽限期。", {}, "宽限期"),
        ("## 宽限\n还款日之后有三天宽限期。", {}, None),
        ("## 宽限\n示例：还款日之后有5天宽限期。", {}, None),
        ("## 宽限\n还款日之后有5天宽限期。", {"effective_from": "2025-01-01", "effective_to": "2025-12-31"}, None),
        ("## 宽限\n还款日之后有5天宽限期。", {"products": "[pay_later]"}, None),
        ("## 宽限\n退款要5天到账。", {}, None),
    ],
)
def test_other_figures_for_one_matter_are_found(
    tmp_path: Path, body: str, front: dict[str, str], said: str | None
) -> None:
    write(tmp_path, body="## 逾期\n还款日之后有3天宽限期，宽限期内还清不算逾期。")
    write(tmp_path, "other.md", id="other", body=body, **front)
    found = [one for one in findings(tmp_path) if "contradict" in one.message]
    assert [(one.severity, said is not None and said in one.message) for one in found] == (
        [] if said is None else [("warning", True)]
    )


def test_a_link_to_a_document_that_is_not_there_is_found(tmp_path: Path) -> None:
    write(tmp_path, body="## 怎么办\n见[退款](other.md#退款)和[官网](https://example.com)，以及[旧版](gone.md)。")
    write(tmp_path, "other.md", id="other")
    assert [one.message for one in findings(tmp_path)] == ["links to gone.md, which does not exist"]


# --- the repository's own policies ------------------------------------------------------------------------------------


def test_the_shipped_policies_are_sound_and_cover_every_answer_intent() -> None:
    documents, broken = read_policies(ROOT / "knowledge" / "policies")
    routes = {intent.id: intent.route for intent in load_taxonomy().intents}
    assert broken == ()
    assert [str(one) for one in check(documents, routes, TODAY)] == []
    assert len({document.id for document in documents}) >= 25


@pytest.mark.parametrize(("name", "least"), [("retrieval_exam", 400), ("retrieval_dev", 300)])
def test_the_retrieval_queries_name_passages_that_exist(name: str, least: int) -> None:
    passages = passages_of(load_policies(ROOT / "knowledge" / "policies"))
    documents = {name for one in passages for name in (one.document_id, f"{one.document_id}@{one.version}")}
    numbered = {f"{one.document_id}#{one.passage_id.rsplit('#', 1)[1]}" for one in passages}
    numbered |= {one.passage_id for one in passages}
    rows = load_rows(ROOT / "eval" / "data" / f"{name}.jsonl")
    assert {name for row in rows for name in row.relevant} <= documents
    assert {name for row in rows for name in row.sections} <= numbered
    assert len(rows) >= least
    for kind, few in (("colloquial", 80), ("english", 40), ("as_of", 30), ("follow_up", 30)):
        assert sum(kind in row.kinds for row in rows) >= few


@pytest.mark.parametrize(("name", "answered", "declined"), [("answers_exam", 200, 60), ("answers_dev", 100, 30)])
def test_the_questions_have_facts_or_no_answer(name: str, answered: int, declined: int) -> None:
    documents = load_policies(ROOT / "knowledge" / "policies")
    names = {name for one in documents for name in (one.id, f"{one.id}@{one.version}")}
    rows, _ = load(ROOT / "eval" / "data" / f"{name}.jsonl", AnswerCase)
    assert all(bool(row.facts) == row.answerable for row in rows)
    assert sum(row.answerable for row in rows) >= answered
    assert sum(not row.answerable for row in rows) >= declined
    assert {one for row in rows for one in row.relevant} <= names
