"""Product words: found for slots, mapped to one word for the classifier."""

from pathlib import Path

import pytest

from assistant.errors import ConfigurationError
from assistant.glossary import Glossary, Term, load_glossary
from assistant.settings import Settings

GLOSSARY = Glossary(
    [
        Term(term="月付", product="pay_later"),
        Term(term="甲乙月付", product="pay_later", brand="甲乙"),
        Term(term="账单分期", product="pay_later"),
        Term(term="QuickLoan", product="cash_loan", brand="QuickLoan"),
        Term(term="随借", product="cash_loan"),
    ]
)


def test_the_longest_word_wins() -> None:
    (mention,) = GLOSSARY.mentions("我的甲乙月付怎么还")
    assert (mention.text, mention.brand, mention.start, mention.end) == ("甲乙月付", "甲乙", 2, 6)


def test_latin_words_match_in_any_case_and_only_whole() -> None:
    assert GLOSSARY.mentions("my quickloan please")[0].product == "cash_loan"
    assert GLOSSARY.mentions("quickloaner") == ()


def test_two_products_are_both_found_in_order() -> None:
    assert [mention.product for mention in GLOSSARY.mentions("随借和月付")] == ["cash_loan", "pay_later"]


def test_brands_of_one_product_read_the_same() -> None:
    assert GLOSSARY.canonical("甲乙月付怎么还") == GLOSSARY.canonical("月付怎么还")


@pytest.mark.parametrize("number", ["500", "5,000.00", "５００", "***", "[手机号_1]"])
def test_numbers_and_placeholders_read_the_same(number: str) -> None:
    assert GLOSSARY.canonical(f"还{number}元") == "还***元"


def test_words_that_say_what_to_do_stay_readable() -> None:
    assert GLOSSARY.canonical("账单分期") == "账单分期"


def test_canonical_text_is_stable() -> None:
    once = GLOSSARY.canonical("甲乙月付欠500")
    assert GLOSSARY.canonical(once) == once


def test_an_empty_glossary_finds_nothing() -> None:
    assert Glossary([]).mentions("月付") == ()
    assert Glossary([]).canonical("月付12") == "月付***"


def test_the_shipped_glossary_separates_own_products_from_other_brands() -> None:
    glossary = load_glossary(Settings().knowledge_dir / "glossary.yaml")
    own = {term.product for term in glossary.terms if term.brand is None}
    assert own == {"pay_later", "cash_loan", "merchant_loan"}
    assert any(term.brand for term in glossary.terms)


@pytest.mark.parametrize("text", ["products: [{term: x, product: spaceship}]", "words: []", "["])
def test_malformed_glossary_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "glossary.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"glossary\.yaml"):
        load_glossary(path)
