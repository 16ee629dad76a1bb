"""The product and brand words of `knowledge/glossary.yaml`, found in a message and mapped to one word each."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.errors import ConfigurationError
from assistant.types.understanding import Product
from assistant.types.value import Value

NUMBER = "***"
# The words that the utterances use most: heads see these whatever the customer wrote.
_CANONICAL: dict[Product, str] = {"pay_later": "花呗", "cash_loan": "借呗", "merchant_loan": "分期购"}
_INSTALMENTS = ("分期", "instalment")
# Stars that stand for a number, and the placeholders of masked personal data.
_MASKED = r"\*{2,}|\[\w+_[0-9]+\]"
_DIGITS = r"[0-9０-９]+(?:[.,，．][0-9０-９]+)*"
_LATIN = r"[A-Za-z0-9]"


class Term(BaseModel):
    """A word customers use for a product; `brand` where it belongs to another company."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    term: str
    product: Product
    brand: str | None = None


class Mention(Value):
    """One product word in a text, by character offsets."""

    start: int
    end: int
    text: str
    product: Product
    brand: str | None


class Glossary:
    """Finds product words, longest first."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self.terms = tuple(terms)
        self._by_word = {term.term.casefold(): term for term in terms}

    def mentions(self, text: str) -> tuple[Mention, ...]:
        """Product words from left to right, none inside another."""
        return tuple(
            Mention(start=match.start(), end=match.end(), text=match[0], product=term.product, brand=term.brand)
            for match in self._words.finditer(text)
            if (term := self._by_word.get(match[0].casefold())) is not None
        )

    def canonical(self, text: str) -> str:
        """The text with one word for each product and one token for each number, so that heads see no brands."""

        def replace(match: re.Match[str]) -> str:
            term = self._by_word.get(match[0].casefold())
            if term is None:
                return NUMBER
            return match[0] if _says_what_to_do(term) else _CANONICAL[term.product]

        return self._words_and_numbers.sub(replace, text)

    @cached_property
    def _words(self) -> re.Pattern[str]:
        return re.compile(self._alternatives or r"(?!)", re.IGNORECASE)

    @cached_property
    def _words_and_numbers(self) -> re.Pattern[str]:
        parts = [part for part in (self._alternatives, _MASKED, _DIGITS) if part]
        return re.compile("|".join(parts), re.IGNORECASE)

    @cached_property
    def _alternatives(self) -> str:
        words = sorted(self._by_word, key=lambda word: (-len(word), word))
        return "|".join(_bounded(word) for word in words)


def load_glossary(path: Path) -> Glossary:
    """Read the `products` of a glossary file. Raises ConfigurationError."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Glossary([Term.model_validate(entry) for entry in raw["products"]])
    except (OSError, yaml.YAMLError, ValidationError, KeyError, TypeError) as error:
        raise ConfigurationError(f"the glossary {path} cannot be read: {error}") from error


def _says_what_to_do(term: Term) -> bool:
    """Plain words such as 账单分期 name a product and a wish; the wish must stay readable."""
    return term.brand is None and any(word in term.term.casefold() for word in _INSTALMENTS)


def _bounded(word: str) -> str:
    """A Latin word matches whole words only; Chinese has no word boundaries."""
    before = f"(?<!{_LATIN})" if re.match(_LATIN, word[0]) else ""
    after = f"(?!{_LATIN})" if re.match(_LATIN, word[-1]) else ""
    return before + re.escape(word) + after
