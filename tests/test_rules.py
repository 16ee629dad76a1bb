"""One loader for every rulebook."""

from pathlib import Path

import pytest

from assistant import compliance, escalation, risk
from assistant.errors import ConfigurationError
from assistant.rules import FOLDER, Rule, Rulebook, load, versions


class SampleRule(Rule):
    limit: int


class SampleRules(Rulebook[SampleRule]):
    pass


def _write(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "sample.yaml"
    path.write_text(content, encoding="utf-8")
    return path


GOOD = "id: sample\nversion: 3\nrules:\n  - {id: a.one, reason: because, limit: 1}\n"


def test_a_rulebook_carries_its_version_and_the_hash_of_its_content(tmp_path: Path) -> None:
    book = load(_write(tmp_path, GOOD), SampleRules)
    assert book.version.startswith("3+")
    assert len(book.version) == len("3+") + 8
    changed = load(_write(tmp_path, GOOD.replace("because", "since")), SampleRules)
    assert changed.version != book.version
    assert versions(book) == f"sample:{book.version}"


def test_an_unknown_key_is_named_with_its_file_and_rule(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"sample\.yaml: rules\.a\.one\.limt: "):
        load(_write(tmp_path, GOOD.replace("limit: 1", "limit: 1, limt: 2")), SampleRules)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (GOOD.replace("id: sample", "id: other"), "id must be 'sample', not 'other'"),
        (GOOD.replace("version: 3\n", ""), "expected a mapping"),
        (GOOD + "  - {id: a.one, reason: again, limit: 2}\n", "rule ids given twice: a.one"),
        (GOOD.replace(", limit: 1", ""), "rules.a.one.limit: Field required"),
        (GOOD.replace("reason: because", 'reason: ""'), "rules.a.one.reason"),
        ("id: [", "is not valid YAML"),
    ],
)
def test_a_faulty_rulebook_fails_loudly(tmp_path: Path, content: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        load(_write(tmp_path, content), SampleRules)


def test_a_missing_rulebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml cannot be read"):
        load(tmp_path / "nowhere.yaml", SampleRules)


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(ConfigurationError, match="rulebook risk has no rule 'nothing'"):
        risk.load_rules().rule("nothing")


def test_a_rule_that_names_an_undefined_context_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "risk.yaml"
    path.write_text(
        "id: risk\nversion: 1\ncontexts: {}\nrules:\n"
        "  - {id: a, reason: b, kind: abuse, level: warn, patterns: [x], unless: [quoted]}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError, match="rule a names contexts that are not defined: quoted"):
        load(path, risk.RiskRules)


def test_a_pattern_that_does_not_compile_is_named(tmp_path: Path) -> None:
    path = tmp_path / "risk.yaml"
    path.write_text(
        "id: risk\nversion: 1\ncontexts: {}\nrules:\n"
        '  - {id: a, reason: b, kind: abuse, level: warn, patterns: ["(x"], unless: []}\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError, match=r"rules\.a\.patterns\.0: Input should be a valid regular expression"):
        load(path, risk.RiskRules)


def test_every_shipped_rulebook_loads_and_none_is_left_over() -> None:
    books = {risk.load_rules().id, compliance.load_rules().id, escalation.load_rules().id}
    assert books == {path.stem for path in FOLDER.glob("*.yaml")}
