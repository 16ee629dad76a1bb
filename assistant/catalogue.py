"""The assistant's own sentences, in both languages, from `catalogue.yaml`, and how figures and days are written."""

import functools
import hashlib
import string
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from assistant.calculations import format_yuan
from assistant.calendar import format_day, local_time
from assistant.errors import ConfigurationError
from assistant.types.value import Fen, Locale

PATH = Path(__file__).with_name("catalogue.yaml")
LOCALES: tuple[Locale, ...] = ("zh-CN", "en")
CONSTANTS = frozenset({"institution", "institution_full", "app", "hotline"})


class Catalogue:
    """Texts by key and locale; `constants` are the institution's names, bound for every text."""

    def __init__(
        self,
        texts: Mapping[str, Mapping[Locale, str]],
        version: str,
        constants: Mapping[Locale, Mapping[str, str]] | None = None,
    ) -> None:
        self.version = version
        self._texts = texts
        self._constants: Mapping[Locale, Mapping[str, str]] = constants or {}

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def say(self, key: str, locale: Locale, **values: str | int) -> str:
        """One text, filled in. Raises ConfigurationError naming an unknown key or every missing variable."""
        template = self.template(key, locale)
        known = {**self._constants.get(locale, {}), **values}
        missing = sorted(variables(template) - known.keys())
        if missing:
            raise ConfigurationError(f"text {key!r} ({locale}) needs {', '.join(missing)}: pass them to say()")
        return template.format_map(known)

    def template(self, key: str, locale: Locale) -> str:
        """The unfilled text. Raises ConfigurationError for an unknown key."""
        if key not in self._texts:
            raise ConfigurationError(f"no text {key!r} in {PATH.name}: add it there or correct the key")
        return self._texts[key][locale]

    def bound(self, constants: Mapping[Locale, Mapping[str, str]]) -> "Catalogue":
        """The same texts with the institution's names (`CONSTANTS`) filled in."""
        for locale in LOCALES:
            missing = sorted(CONSTANTS - constants.get(locale, {}).keys())
            if missing:
                raise ConfigurationError(f"catalogue constants for {locale} lack {', '.join(missing)}")
        return Catalogue(self._texts, self.version, constants)


def variables(template: str) -> frozenset[str]:
    """The variables a text declares by using them."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name is not None)


@functools.cache
def load(path: Path = PATH) -> Catalogue:
    """Read and validate the texts. Raises ConfigurationError naming the file and the key at fault."""
    content = path.read_bytes()
    try:
        raw = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path.name} is not valid YAML: {error}") from error
    if not isinstance(raw, dict) or set(raw) != {"version", "texts"} or not isinstance(raw["texts"], dict):
        raise ConfigurationError(f"{path.name}: expected exactly `version` and `texts`")
    texts = {str(key): _checked(path, str(key), entry) for key, entry in raw["texts"].items()}
    version = f"{raw['version']}+{hashlib.sha256(content).hexdigest()[:8]}"
    return Catalogue(MappingProxyType(texts), version)


def _checked(path: Path, key: str, entry: Any) -> Mapping[Locale, str]:
    if not isinstance(entry, dict) or set(entry) != set(LOCALES):
        raise ConfigurationError(f"{path.name}: {key} must have exactly {' and '.join(LOCALES)}")
    if not all(isinstance(text, str) and text.strip() for text in entry.values()):
        raise ConfigurationError(f"{path.name}: {key} has an empty text")
    try:
        declared = {locale: variables(entry[locale]) for locale in LOCALES}
    except ValueError as error:
        raise ConfigurationError(f"{path.name}: {key} has an unbalanced brace: {error}") from error
    uneven = sorted((declared["zh-CN"] ^ declared["en"]) - CONSTANTS)
    if uneven:
        raise ConfigurationError(f"{path.name}: {key} uses {', '.join(uneven)} in one language only")
    return MappingProxyType({locale: entry[locale] for locale in LOCALES})


def money(fen: Fen) -> str:
    """¥1,234.56."""
    return format_yuan(fen)


def percent(rate: Decimal) -> str:
    """A yearly rate given as a fraction: 0.146 becomes 14.6%."""
    return f"{(rate * 100).normalize():f}%"


def day(value: date, locale: Locale) -> str:
    """12月5日（周六） or Sat 5 Dec."""
    return format_day(value, locale)


def full_day(value: date, locale: Locale) -> str:
    """2025年12月31日 or 31 Dec 2025."""
    return f"{value.year}年{value.month}月{value.day}日" if locale == "zh-CN" else f"{value:%-d %b %Y}"


def moment(value: datetime, locale: Locale) -> str:
    """An instant in Asia/Shanghai to the minute: 11月23日（周一）18:00."""
    local = local_time(value)
    return f"{format_day(local.date(), locale)}{'' if locale == 'zh-CN' else ' '}{local:%H:%M}"
