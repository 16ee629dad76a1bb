"""The assistant's own sentences."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from assistant import catalogue
from assistant.catalogue import LOCALES, Catalogue, load
from assistant.errors import ConfigurationError

NAMES = {"institution": "云禾消金", "institution_full": "云禾", "app": "云禾App", "hotline": "400-000-0000"}


@pytest.fixture
def texts() -> Catalogue:
    return load().bound({"zh-CN": NAMES, "en": NAMES})


def test_a_text_is_said_with_its_variables_filled_in(texts: Catalogue) -> None:
    said = texts.say("human_queue", "zh-CN", position=3, due="11月23日（周一）18:00")
    assert "当前排第3位" in said
    assert "11月23日（周一）18:00" in said


def test_every_missing_variable_is_named_at_once(texts: Catalogue) -> None:
    with pytest.raises(ConfigurationError, match=r"'quote' \(en\) needs card_tail, fee, interest, principal"):
        texts.say("quote", "en", total="¥1.00")


def test_an_unknown_key_is_named(texts: Catalogue) -> None:
    with pytest.raises(ConfigurationError, match="no text 'no_such_text'"):
        texts.say("no_such_text", "en")


def test_constants_must_be_complete() -> None:
    with pytest.raises(ConfigurationError, match="zh-CN lack hotline"):
        load().bound({"zh-CN": {name: NAMES[name] for name in NAMES if name != "hotline"}, "en": NAMES})


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_keeps_to_the_voice(texts: Catalogue, locale: catalogue.Locale) -> None:
    for key in texts:
        text = texts.template(key, locale)
        assert "!" not in text, key
        assert "！" not in text, key
        assert "亲" not in text, key
        if locale == "zh-CN":
            assert "你" not in text.replace("您", ""), key


def test_the_notice_says_ai_privacy_and_the_way_to_a_person(texts: Catalogue) -> None:
    notice = texts.say("notice", "zh-CN")
    assert "AI" in notice
    assert "保存" in notice
    assert "人工" in notice
    assert "400-000-0000" in notice


def test_a_scam_warning_says_stop_before_anything_else(texts: Catalogue) -> None:
    first, *rest = texts.say("warned_scam", "zh-CN").split("\n")
    assert first == "请先停下，不要转账。"
    assert "110" in "".join(rest)
    assert "96110" in "".join(rest)


def test_distress_is_met_with_numbers_to_call(texts: Catalogue) -> None:
    for locale in LOCALES:
        words = texts.say("warned_self_harm", locale)
        assert all(number in words for number in ("12356", "120", "110"))


def test_every_quick_reply_has_a_label_and_where_it_speaks_a_message(texts: Catalogue) -> None:
    messages = {key.removesuffix("_message") for key in texts if key.endswith("_message")}
    assert messages <= {key.removesuffix("_label") for key in texts if key.endswith("_label")}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("version: 1\ntexts:\n  a: {zh-CN: 您好}\n", "a must have exactly zh-CN and en"),
        ('version: 1\ntexts:\n  a: {zh-CN: "{x}", en: hello}\n', "a uses x in one language only"),
        ('version: 1\ntexts:\n  a: {zh-CN: "{x", en: hello}\n', "a has an unbalanced brace"),
        ('version: 1\ntexts:\n  a: {zh-CN: "", en: hello}\n', "a has an empty text"),
        ("version: 1\ntext: {}\n", "expected exactly"),
        ("version: [\n", "is not valid YAML"),
    ],
)
def test_a_faulty_file_fails_loudly(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=fault):
        load(path)


def test_the_version_follows_the_content(tmp_path: Path) -> None:
    versions = set()
    for name, word in (("a.yaml", "您好"), ("b.yaml", "您好啊")):
        (tmp_path / name).write_text(f"version: 1\ntexts:\n  a: {{zh-CN: {word}, en: hello}}\n", encoding="utf-8")
        versions.add(load(tmp_path / name).version)
    assert len(versions) == 2


def test_figures_days_and_moments_are_written_the_way_the_voice_asks() -> None:
    assert catalogue.money(123456) == "¥1,234.56"
    assert catalogue.percent(Decimal("0.1825")) == "18.25%"
    assert catalogue.percent(Decimal("0.20")) == "20%"
    assert catalogue.day(date(2026, 12, 5), "zh-CN") == "12月5日（周六）"
    assert catalogue.moment(datetime(2026, 11, 22, 16, 30, tzinfo=UTC), "zh-CN") == "11月23日（周一）00:30"
