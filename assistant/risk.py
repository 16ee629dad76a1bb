"""Signs of danger in a message, each with the words it rests on. The rules are in `rules/risk.yaml`."""

import re
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from assistant.folding import caseless, fold, sentence_round, simplify, squeeze
from assistant.rules import FOLDER, Rule, Rulebook, load
from assistant.types.understanding import RiskKind, RiskLevel, RiskSignal


class RiskRule(Rule):
    """Patterns that are signs of one danger, and the named contexts in which they are not."""

    kind: RiskKind
    level: RiskLevel
    patterns: tuple[re.Pattern[str], ...] = Field(min_length=1)
    unless: tuple[str, ...]


class RiskRules(Rulebook[RiskRule]):
    """The rulebook of dangers."""

    contexts: dict[str, tuple[re.Pattern[str], ...]]

    @model_validator(mode="after")
    def _contexts_exist(self) -> Self:
        for rule in self.rules:
            unknown = sorted(set(rule.unless) - self.contexts.keys())
            if unknown:
                raise ValueError(f"rule {rule.id} names contexts that are not defined: {', '.join(unknown)}")
        return self


@cache
def load_rules(path: Path = FOLDER / "risk.yaml") -> RiskRules:
    """The risk rules. Raises ConfigurationError."""
    return load(path, RiskRules)


def detect(text: str, rulebook: RiskRules) -> tuple[RiskSignal, ...]:
    """At most one signal a kind, of the highest level, by the first rule that fires."""
    reading, offsets = squeeze(caseless(simplify(fold(text))))
    found: dict[RiskKind, RiskSignal] = {}
    for rule in rulebook.rules:
        known = found.get(rule.kind)
        if known is not None and (known.level == "high" or rule.level == "warn"):
            continue
        span = _first(reading, rule, rulebook)
        if span is not None:
            start, end = offsets[span[0]], offsets[span[1] - 1] + 1
            found[rule.kind] = RiskSignal(kind=rule.kind, level=rule.level, evidence=text[start:end], rule=rule.id)
    return tuple(found.values())


def _first(reading: str, rule: RiskRule, rulebook: RiskRules) -> tuple[int, int] | None:
    """Where the rule fires first: a match whose sentence holds none of the excusing contexts."""
    for pattern in rule.patterns:
        for match in pattern.finditer(reading):
            start, end = sentence_round(reading, *match.span())
            sentence = reading[start:end]
            contexts = (context for name in rule.unless for context in rulebook.contexts[name])
            if match.end() > match.start() and not any(context.search(sentence) for context in contexts):
                return match.span()
    return None
