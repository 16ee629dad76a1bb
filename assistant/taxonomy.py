"""The labels a message can have: intents with group and route, acts, fallbacks."""

from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from assistant.errors import ConfigurationError
from assistant.types.understanding import Act
from assistant.types.value import IntentId, Value

Route = Literal["answer", "action", "human", "social"]
SOCIAL = "social"
FALLBACK = "fallback"


class Intent(Value):
    """One label; the fallbacks have no route, since nothing is served."""

    id: IntentId
    zh: str
    en: str
    group: str
    route: Route | None
    definition: str

    @property
    def has_act(self) -> bool:
        """Whether a message of this intent also carries an act."""
        return self.group not in (SOCIAL, FALLBACK)


class Taxonomy(Value):
    """All labels of one version, in the order of the file: heads are trained in this order."""

    version: int
    intents: tuple[Intent, ...] = Field(min_length=1)
    acts: Mapping[Act, str]
    rulings: tuple[str, ...]

    @model_validator(mode="after")
    def _labels_are_unique(self) -> Self:
        ids = [intent.id for intent in self.intents]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"intents defined twice: {', '.join(twice)}")
        if missing := set(get_args(Act)) - set(self.acts):
            raise ValueError(f"acts without a definition: {', '.join(sorted(missing))}")
        return self

    @cached_property
    def ids(self) -> tuple[IntentId, ...]:
        """Every intent id, fallbacks last."""
        return tuple(intent.id for intent in self.intents)

    @cached_property
    def _by_id(self) -> dict[str, Intent]:
        return {intent.id: intent for intent in self.intents}

    def __getitem__(self, intent_id: str) -> Intent:
        """The intent of this id. Raises KeyError."""
        return self._by_id[intent_id]

    def __contains__(self, intent_id: object) -> bool:
        return intent_id in self._by_id


def load_taxonomy(path: Path | None = None) -> Taxonomy:
    """The package's own taxonomy, or the one in `path`. Raises ConfigurationError."""
    source = path or resources.files("assistant") / "intents.yaml"
    try:
        return _parse(yaml.safe_load(source.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"the taxonomy {source} cannot be read: {error}") from error


def _parse(raw: dict[str, Any]) -> Taxonomy:
    groups = {**raw["groups"], FALLBACK: raw["fallback"]}
    intents = tuple(
        Intent(
            id=IntentId(name),
            zh=entry["zh"],
            en=entry["en"],
            group=group,
            route=entry.get("route"),
            definition=entry["def"],
        )
        for group, members in groups.items()
        for name, entry in members.items()
    )
    acts = cast(Mapping[Act, str], raw["acts"])
    return Taxonomy(version=raw["version"], intents=intents, acts=acts, rulings=tuple(raw["rulings"]))
