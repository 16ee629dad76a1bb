"""Sentences with their grounds: every figure and date that goes into a text is remembered beside it.

The exit check compares what a reply says with these grounds, so a figure can only be said by handing it over as one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from assistant.calendar import local_date
from assistant.catalogue import Catalogue, day, full_day, moment, money, percent, variables
from assistant.types.value import Fen, Locale


@dataclass(frozen=True)
class Yuan:
    """An amount to be said, in fen."""

    fen: Fen


@dataclass(frozen=True)
class FullDay:
    """A day to be said with its year and without its weekday, as terms are dated."""

    date: date


Said = str | int | Yuan | date | datetime | Decimal | FullDay


@dataclass(frozen=True)
class Phrase:
    """Words, and what supports them: amounts in fen, dates, and reviewed or quoted texts."""

    text: str = ""
    amounts: frozenset[Fen] = frozenset()
    dates: frozenset[date] = frozenset()
    texts: tuple[str, ...] = ()

    def joined(self, other: "Phrase", separator: str = "\n") -> "Phrase":
        """Both, in order; an empty side leaves no separator behind."""
        text = separator.join(part for part in (self.text, other.text) if part)
        return Phrase(text, self.amounts | other.amounts, self.dates | other.dates, self.texts + other.texts)


SILENCE = Phrase()


def join(phrases: Iterable[Phrase], separator: str = "\n") -> Phrase:
    """All phrases, in order; what two steps say alike is said once."""
    whole = Phrase()
    for phrase in dict.fromkeys(phrases):
        whole = whole.joined(phrase, separator)
    return whole


class Voice:
    """The catalogue in one language."""

    def __init__(self, catalogue: Catalogue, locale: Locale) -> None:
        self._catalogue = catalogue
        self.locale = locale

    def say(self, key: str, **values: Said) -> Phrase:
        """One text of the catalogue. Plain strings are names and labels, never figures."""
        amounts = frozenset(value.fen for value in values.values() if isinstance(value, Yuan))
        days = frozenset(_day(value) for value in values.values() if isinstance(value, date | FullDay))
        said = {name: self._written(value) for name, value in values.items()}
        grounds = (
            self._catalogue.template(key, self.locale),
            *(text for text in said.values() if isinstance(text, str)),
        )
        return Phrase(self._catalogue.say(key, self.locale, **said), amounts, days, grounds)

    def needs(self, key: str) -> frozenset[str]:
        """The variables of a text."""
        return variables(self._catalogue.template(key, self.locale))

    def label(self, key: str, **values: str) -> str:
        """A short text without figures: a button, a product's name."""
        return self._catalogue.say(key, self.locale, **values)

    def _written(self, value: Said) -> str | int:
        if isinstance(value, Yuan):
            return money(value.fen)
        if isinstance(value, FullDay):
            return full_day(value.date, self.locale)
        if isinstance(value, datetime):
            return moment(value, self.locale)
        if isinstance(value, date):
            return day(value, self.locale)
        if isinstance(value, Decimal):
            return percent(value)
        return value


def _day(value: date | datetime | FullDay) -> date:
    if isinstance(value, FullDay):
        return value.date
    return local_date(value) if isinstance(value, datetime) else value
