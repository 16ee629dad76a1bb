"""The shipped classifier on the real encoder."""

import time
from functools import cache

import numpy as np
import pytest

from assistant.errors import ConfigurationError
from assistant.glossary import Glossary, load_glossary
from assistant.heads import WEIGHTS_FILE, Heads, ngram_buckets
from assistant.intents import IntentClassifier
from assistant.settings import Settings
from assistant.taxonomy import load_taxonomy
from tests.doubles_encoder import HashingEncoder
from tests.real_encoder import real_message_encoder


@cache
def glossary() -> Glossary:
    return load_glossary(Settings().knowledge_dir / "glossary.yaml")


@cache
def classifier() -> IntentClassifier:
    return IntentClassifier(real_message_encoder(), glossary(), Heads.load(Settings().weights_dir), load_taxonomy())


@pytest.mark.parametrize(
    ("text", "intent", "act"),
    [
        ("我想提前还款", "early_repay", "do"),
        ("提前还款有违约金吗", "early_repay", "ask"),
        ("这个月要还多少钱", "bill_query", "status"),
        ("我的额度是多少", "limit_query", "status"),
        ("转人工", "human_agent", "do"),
        ("how much do I owe this month", "bill_query", "status"),
        ("逾期一天会上征信吗", "credit_record", "ask"),
        ("我这期账单多少", "bill_query", "status"),
        ("还款一直失败是怎么回事", "repay_failed", "report"),
    ],
)
def test_plain_messages_are_understood(text: str, intent: str, act: str) -> None:
    prediction = classifier().predict(text)
    assert (prediction.intent, prediction.act, prediction.abstained) == (intent, act, None)


def test_small_talk_has_no_act() -> None:
    prediction = classifier().predict("你好")
    assert (prediction.intent, prediction.act, prediction.abstained) == ("greeting", None, None)


def test_what_no_institution_serves_is_out_of_scope() -> None:
    assert classifier().predict("明天会下雨吗").abstained == "out_of_scope"


def test_a_message_without_content_is_not_acted_on() -> None:
    for text in ("嗯那个就是吧", "额度", "?!", "a"):
        prediction = classifier().predict(text)
        assert prediction.abstained is not None or prediction.act is None


def test_the_likeliest_label_is_told_even_when_abstaining() -> None:
    prediction = classifier().predict("额度")
    assert prediction.abstained is not None
    assert prediction.intent == prediction.alternatives[0].id
    assert prediction.confidence == prediction.alternatives[0].confidence


def test_three_alternatives_stand_in_order_of_confidence() -> None:
    alternatives = classifier().predict("怎么还款").alternatives
    confidences = [alternative.confidence for alternative in alternatives]
    assert len(alternatives) == 3
    assert confidences == sorted(confidences, reverse=True)


def test_probabilities_cover_the_taxonomy() -> None:
    probabilities = classifier().probabilities("怎么还款")
    assert probabilities.shape == (len(load_taxonomy().ids),)
    assert probabilities.sum() == pytest.approx(1, abs=1e-4)


def test_the_same_message_gives_the_same_prediction() -> None:
    assert classifier().predict("借款利息怎么算") == classifier().predict("借款利息怎么算")


@pytest.mark.parametrize(("one", "other"), [("云禾月付", "白条"), ("云禾随借", "微粒贷"), ("500", "１２００")])
def test_neither_brand_nor_number_changes_a_prediction(one: str, other: str) -> None:
    pattern = "{}怎么还" if one.startswith("云") else "提前还{}元"
    assert classifier().predict(pattern.format(one)) == classifier().predict(pattern.format(other))


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("提前还款要手续费吗，另外能不能帮我改还款日", "early_repay", "repay_date_change"),
        ("我想提前还款；帮我开一张发票", "early_repay", "certificate"),
        ("怎么申请借呗 逾期了会上征信吗", "apply_how", "credit_record"),
        ("how much do I owe this month and where can I get my loan contract", "bill_query", "certificate"),
    ],
)
def test_a_message_that_asks_two_things_names_both(text: str, first: str, second: str) -> None:
    prediction = classifier().predict(text)
    assert (prediction.intent, prediction.secondary, prediction.abstained) == (first, second, None)


@pytest.mark.parametrize(
    "text",
    [
        "我还有多少额度",
        "还款日是几号，几号扣款",
        "我上个月换了手机，花呗登不上去了，要怎么弄",
        "what is the difference between interest and fees",
        "另外",
    ],
)
def test_a_message_that_asks_one_thing_has_no_second_intent(text: str) -> None:
    assert classifier().predict(text).secondary is None


def test_without_the_encoder_letters_give_alternatives_but_no_decision() -> None:
    prediction = classifier().predict_without_encoder("我想提前还款")
    assert prediction.abstained == "low_confidence"
    assert "early_repay" in [alternative.id for alternative in prediction.alternatives]


def test_heads_for_another_encoder_are_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match="assistant train"):
        IntentClassifier(HashingEncoder(384), glossary(), Heads.load(Settings().weights_dir), load_taxonomy())


def test_heads_for_another_taxonomy_are_refused_with_the_remedy() -> None:
    newer = load_taxonomy().model_copy(update={"version": 99})
    with pytest.raises(ConfigurationError, match="assistant train"):
        IntentClassifier(real_message_encoder(), glossary(), Heads.load(Settings().weights_dir), newer)


def test_shipped_weights_are_small() -> None:
    assert (Settings().weights_dir / WEIGHTS_FILE).stat().st_size < 4_000_000


def test_heads_add_little_to_the_time_of_the_encoder() -> None:
    heads = Heads.load(Settings().weights_dir)
    vector = real_message_encoder().encode(["提前还款要手续费吗"], "query")[0]
    times = []
    for _ in range(50):
        began = time.perf_counter()
        heads.intent_probabilities(vector, ngram_buckets(glossary().canonical("提前还款要手续费吗")))
        times.append(time.perf_counter() - began)
    assert np.median(times) < 0.003


def test_a_very_long_message_is_read_in_bounded_time() -> None:
    began = time.monotonic()
    classifier().predict("还款怎么办呢，" * 14_000)
    assert time.monotonic() - began < 5
