"""The pages' own words, in one language at a time."""

from pathlib import Path
from typing import Protocol

from assistant.catalogue import Catalogue, load
from assistant.types.value import Locale

PATH = Path(__file__).with_name("texts.yaml")


class Words(Protocol):
    """One label, filled in."""

    def __call__(self, key: str, **values: str | int) -> str: ...


def texts() -> Catalogue:
    """Every label. Raises ConfigurationError naming the key at fault."""
    return load(PATH)


def words(locale: Locale) -> Words:
    """The labels of one language."""
    catalogue = texts()

    def say(key: str, **values: str | int) -> str:
        return catalogue.say(key, locale, **values)

    return say
