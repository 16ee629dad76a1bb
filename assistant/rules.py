"""Rulebooks: YAML files in `assistant/rules/`, each with an id, a version and rules that carry an id and a reason."""

import hashlib
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator

from assistant.errors import ConfigurationError
from assistant.types.value import Value

FOLDER = Path(__file__).with_name("rules")


class Rule(Value):
    """One rule: its id is what events and cases name, its reason is for the person who reads them."""

    id: str = Field(pattern=r"^[a-z0-9_.]+$")
    reason: str = Field(min_length=1)


RuleT = TypeVar("RuleT", bound=Rule)


class Rulebook(Value, Generic[RuleT]):
    """The rules of one station, in order of precedence; `version` ends in a hash of the file's content."""

    id: str
    version: str
    rules: tuple[RuleT, ...] = Field(min_length=1)

    @field_validator("rules")
    @classmethod
    def _ids_are_unique(cls, rules: tuple[RuleT, ...]) -> tuple[RuleT, ...]:
        ids = [rule.id for rule in rules]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise ValueError(f"rule ids given twice: {', '.join(twice)}")
        return rules

    def rule(self, rule_id: str) -> RuleT:
        """The rule of that id. Raises ConfigurationError."""
        for one in self.rules:
            if one.id == rule_id:
                return one
        raise ConfigurationError(f"rulebook {self.id} has no rule {rule_id!r}")


BookT = TypeVar("BookT", bound=Rulebook[Any])


def load(path: Path, book: type[BookT]) -> BookT:
    """Read one rulebook. Raises ConfigurationError naming the file and every key that does not fit."""
    try:
        content = path.read_bytes()
        raw = yaml.safe_load(content)
    except OSError as error:
        raise ConfigurationError(f"the rulebook {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path.name} is not valid YAML: {error}") from error
    if not isinstance(raw, dict) or "version" not in raw:
        raise ConfigurationError(f"{path.name}: expected a mapping with `id`, `version` and `rules`")
    if raw.get("id") != path.stem:
        raise ConfigurationError(f"{path.name}: id must be {path.stem!r}, not {raw.get('id')!r}")
    versioned = {**raw, "version": f"{raw['version']}+{hashlib.sha256(content).hexdigest()[:8]}"}
    try:
        return book.model_validate(versioned)
    except ValidationError as error:
        faults = "; ".join(f"{_where(raw, fault['loc'])}: {fault['msg']}" for fault in error.errors())
        raise ConfigurationError(f"{path.name}: {faults}") from error


def versions(*books: Rulebook[Any]) -> str:
    """The versions of several rulebooks as one line, for `Versions.rules`."""
    return " ".join(f"{book.id}:{book.version}" for book in sorted(books, key=lambda book: book.id))


def _where(raw: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """The path to a fault, with the rule's id in place of its number where it has one."""
    parts = [str(part) for part in location]
    if len(location) > 1 and location[0] == "rules" and isinstance(location[1], int):
        entry = raw["rules"][location[1]]
        if isinstance(entry, dict) and "id" in entry:
            parts[1] = str(entry["id"])
    return ".".join(parts)
