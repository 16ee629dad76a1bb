"""The labels every part agrees on."""

from pathlib import Path

import pytest

from assistant.errors import ConfigurationError
from assistant.taxonomy import load_taxonomy


def test_taxonomy_has_65_intents_in_12_groups_and_two_fallbacks() -> None:
    taxonomy = load_taxonomy()
    assert len(taxonomy.ids) == 67
    assert len({intent.group for intent in taxonomy.intents}) == 13
    assert taxonomy.ids[-2:] == ("out_of_scope", "unclear")


def test_every_intent_is_named_in_both_languages_and_defined() -> None:
    for intent in load_taxonomy().intents:
        assert intent.zh
        assert intent.en.isascii()
        assert len(intent.definition) > 10
    names = [intent.en for intent in load_taxonomy().intents]
    assert len(set(names)) == len(names)


def test_only_fallbacks_have_no_route() -> None:
    assert [intent.id for intent in load_taxonomy().intents if intent.route is None] == ["out_of_scope", "unclear"]


def test_small_talk_and_fallbacks_have_no_act() -> None:
    taxonomy = load_taxonomy()
    assert taxonomy["early_repay"].has_act
    assert not taxonomy["greeting"].has_act
    assert not taxonomy["unclear"].has_act


def test_known_ids_are_in_the_taxonomy_and_others_are_not() -> None:
    taxonomy = load_taxonomy()
    assert "bill_query" in taxonomy
    assert "weather" not in taxonomy


@pytest.mark.parametrize(
    "text",
    [
        "groups: {}",
        "version: 1\nacts: {}\nrulings: []\ngroups: {}\nfallback: {}",
        "[",
        "version: 1\nacts: {ask: a, status: b, do: c, report: d}\nrulings: []\n"
        "groups: {g: {x: {zh: 甲, def: no english}}}\nfallback: {}",
        "version: 1\nacts: {ask: a}\nrulings: []\n"
        "groups: {g: {x: {zh: 甲, en: A, route: answer, def: d}}}\nfallback: {}",
        "version: 1\nacts: {ask: a, status: b, do: c, report: d}\nrulings: []\n"
        "groups: {g: {x: {zh: 甲, en: A, route: teleport, def: d}}}\nfallback: {}",
    ],
)
def test_malformed_taxonomy_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "intents.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"intents\.yaml"):
        load_taxonomy(path)


def test_an_intent_in_two_groups_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "intents.yaml"
    one = "{x: {zh: 甲, en: A, route: answer, def: d}}"
    path.write_text(
        "version: 1\nacts: {ask: a, status: b, do: c, report: d}\nrulings: []\n"
        f"groups: {{g: {one}, h: {one}}}\nfallback: {{}}",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError, match="defined twice: x"):
        load_taxonomy(path)
