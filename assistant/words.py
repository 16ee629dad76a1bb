"""The words that lexical search and the evidence checks compare: Chinese in character pairs, Latin in stems."""

import re
import unicodedata
from pathlib import Path

import yaml

from assistant.errors import ConfigurationError

_RUNS = re.compile(r"[\u3400-\u9fff]+|[a-z]+(?:'[a-z]+)?|\d+(?:[.,]\d+)*%?")
# Words that questions are made of whatever they ask about; nothing is evidence that shares only these.
_FILLERS = (
    "为什么|怎么办(?!理)|怎么样|怎么|什么时候|什么|多少|多久|哪里|哪儿|哪个|是不是|能不能|可不可以|可以|有没有|请问|如何|一下|"
    "是否|应该|需要|现在|已经|还是|没有|不能|这个|那个|你们|我们|您好|你好|谢谢|帮我|我想|想要|知道|告诉|一个|"
    "吗|呢|吧|啊|呀|嘛|么|的|了|我|你|您|它|他|她|是|在|有|能|会|要|想|就|都|也|还|把|被|给|让|跟|和|与|到|去|啥|咋|不|没|个|这|那|请|问|说|用"
)
_FILLER = re.compile(_FILLERS)
_STOP = frozenset(
    re.findall(
        r"\S+",
        """a an the i i'm i've my me you your we our it its is are am was were be been do does did can could may will
        would should to of in on at for from by with and or if so that this there what when where which who how why
        not no have has had please get any just about into as""",
    )
)


def normalise(text: str) -> str:
    """Full-width to half-width, lower case."""
    return unicodedata.normalize("NFKC", text).lower()


def stem(word: str) -> str:
    """A Latin word without its commonest endings; crude, the same on both sides of a comparison."""
    for ending in ("ations", "ation", "ments", "ment", "ings", "ing", "ies", "ied", "es", "ed", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def pairs(run: str) -> list[str]:
    """The character pairs of a Chinese run, or the run itself where it is one character."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def tokens(text: str) -> list[str]:
    """All words of a text in order, repeated where they repeat."""
    found: list[str] = []
    for run in _RUNS.findall(normalise(text)):
        if run[0] >= "\u3400":
            found.extend(pairs(run))
        elif run not in _STOP:
            found.append(stem(run.removesuffix("'s")))
    return found


def content(text: str) -> frozenset[str]:
    """The words of a text that say what it is about."""
    return frozenset(tokens(_FILLER.sub(" ", normalise(text))))


def load_synonyms(path: Path) -> tuple[tuple[str, ...], ...]:
    """The `synonyms` of a glossary file, the canonical word first in each group. Raises ConfigurationError.

    Words of one character are left out: they would match everywhere.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        groups = tuple(tuple(normalise(word) for word in group if len(word) > 1) for group in raw.get("synonyms", ()))
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"the synonyms of {path} cannot be read: {error}") from error
    return groups
