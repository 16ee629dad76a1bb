"""The single exit for words to a customer: what may not be said, and figures that rest on nothing."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from assistant.amounts import find_amounts
from assistant.dates import stated_dates
from assistant.folding import caseless, fold, sentence_round, simplify
from assistant.recognisers import find
from assistant.rules import FOLDER, Rule, Rulebook, load
from assistant.types.value import Fen, Value

Effect = Literal["block", "flag"]
Speaker = Literal["bot", "agent"]
Check = Literal["words", "personal_data", "amounts", "percentages", "dates", "annualised"]

_PERCENTAGE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)\s?(?:%|个百分点|per ?cent\b)")
_SHORT_RATE = re.compile(
    r"(?:日|月|每日|每天|每月|按日|按月)(?:利率|息率|费率|利息|息)[^。,!?\n]{0,8}[0-9.]+\s?[%‰]|万分之[0-9一二三四五六七八九.]+|"
    r"(?:日息|月息)[^。,!?\n]{0,4}[0-9.]+|\b(?:daily|monthly) (?:interest )?rate\b[^.!?\n]{0,16}[0-9.]+ ?%|"
    r"[0-9.]+ ?% (?:a|per) (?:day|month)\b"
)
_ANNUALISED = re.compile(r"年化|年利率|annual|\bapr\b|% (?:a|per) year", re.IGNORECASE)


class ComplianceRule(Rule):
    """What may not be said, and what happens where it is."""

    check: Check = "words"
    bot: Effect
    agent: Effect
    patterns: tuple[re.Pattern[str], ...] = ()
    unless: tuple[str, ...] = ()
    not_after: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _words_need_patterns(self) -> Self:
        if (self.check == "words") != bool(self.patterns):
            raise ValueError("patterns belong to `check: words`, which needs some")
        return self


class ComplianceRules(Rulebook[ComplianceRule]):
    """The rulebook of the exit check."""

    allowed_numbers: tuple[str, ...]
    contexts: dict[str, tuple[re.Pattern[str], ...]]

    @model_validator(mode="after")
    def _contexts_exist(self) -> Self:
        for rule in self.rules:
            unknown = sorted({*rule.unless, *rule.not_after} - self.contexts.keys())
            if unknown:
                raise ValueError(f"rule {rule.id} names contexts that are not defined: {', '.join(unknown)}")
        return self


class Evidence(Value):
    """What a reply rests on: amounts and dates of bank reads and receipts, and the texts it quotes."""

    amounts_fen: frozenset[Fen] = frozenset()
    texts: tuple[str, ...] = ()
    dates: frozenset[date] = frozenset()


class Violation(Value):
    """One broken rule and the words that break it."""

    rule: str
    span: str
    reason: str
    effect: Effect


class Verdict(Value):
    """`ok` unless something blocks; flags alone let the words pass."""

    ok: bool
    violations: tuple[Violation, ...] = Field(())


@cache
def load_rules(path: Path = FOLDER / "compliance.yaml") -> ComplianceRules:
    """The exit rules. Raises ConfigurationError."""
    return load(path, ComplianceRules)


def check(text: str, evidence: Evidence, rulebook: ComplianceRules, speaker: Speaker = "bot") -> Verdict:
    """Every rule against one text to a customer."""
    reading = simplify(fold(text))
    violations = tuple(
        Violation(
            rule=rule.id, span=text[start:end], reason=rule.reason, effect=rule.bot if speaker == "bot" else rule.agent
        )
        for rule in rulebook.rules
        for start, end in _spans(rule, text, reading, evidence, rulebook)
    )
    return Verdict(ok=all(violation.effect == "flag" for violation in violations), violations=violations)


_Span = tuple[int, int]


def _spans(
    rule: ComplianceRule, text: str, reading: str, evidence: Evidence, rulebook: ComplianceRules
) -> Iterator[_Span]:
    if rule.check == "words":
        yield from _words(rule, reading, rulebook)
    elif rule.check == "personal_data":
        yield from _personal_data(text, rulebook)
    else:
        yield from _FIGURES[rule.check](reading, evidence)


def _words(rule: ComplianceRule, reading: str, rulebook: ComplianceRules) -> Iterator[_Span]:
    lowered = caseless(reading)
    for pattern in rule.patterns:
        for match in pattern.finditer(lowered):
            start, end = sentence_round(lowered, *match.span())
            excused = _any(rule.unless, lowered[start:end], rulebook)
            if not excused and not _any(rule.not_after, lowered[start : match.start()], rulebook):
                yield match.span()


def _any(names: tuple[str, ...], text: str, rulebook: ComplianceRules) -> bool:
    return any(pattern.search(text) for name in names for pattern in rulebook.contexts[name])


def _personal_data(text: str, rulebook: ComplianceRules) -> Iterator[_Span]:
    for span in find(text):
        if text[span.start : span.end] not in rulebook.allowed_numbers:
            yield span.start, span.end


def _amounts(reading: str, evidence: Evidence) -> Iterator[_Span]:
    stated = find_amounts(reading)
    if stated:
        supported = evidence.amounts_fen | {amount.fen for source in evidence.texts for amount in find_amounts(source)}
        yield from ((amount.start, amount.end) for amount in stated if amount.fen not in supported)


def _percentages(reading: str, evidence: Evidence) -> Iterator[_Span]:
    supported = {Decimal(match[1]) for source in evidence.texts for match in _PERCENTAGE.finditer(fold(source))}
    for match in _PERCENTAGE.finditer(reading):
        if Decimal(match[1]) not in supported:
            yield match.span()


def _dates(reading: str, evidence: Evidence) -> Iterator[_Span]:
    stated = stated_dates(reading)
    quoted = [other for source in evidence.texts for other in stated_dates(source)] if stated else []
    for day in stated:
        known = any(day.is_on(other) for other in evidence.dates) or any(
            (day.month, day.day) == (other.month, other.day) and day.year in (None, other.year) for other in quoted
        )
        if not known:
            yield day.start, day.end


def _not_annualised(reading: str, evidence: Evidence) -> Iterator[_Span]:
    del evidence
    if not _ANNUALISED.search(reading):
        yield from (match.span() for match in _SHORT_RATE.finditer(caseless(reading)))


_FIGURES: dict[Check, Callable[[str, Evidence], Iterator[_Span]]] = {
    "amounts": _amounts,
    "percentages": _percentages,
    "dates": _dates,
    "annualised": _not_annualised,
}
