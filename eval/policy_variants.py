"""Policies in many wordings, for measuring at sizes that the repository does not have: no passage repeats another."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.knowledge import ENGLISH, sections
from assistant.types.answers import Passage
from assistant.types.policies import PolicyDocument
from assistant.types.value import DocumentId, Locale

_BRAND: dict[Locale, str] = {"zh-CN": "云禾", "en": "Yunhe"}
"""The name that the repository's policies give the institution's products."""
_SYLLABLES = re.findall(
    r"(.)([a-z]+)",
    "青qing松song江jiang海hai明ming远yuan长chang安an金jin石shi东dong湖hu白bai露lu春chun山shan南nan风feng星xing河he林lin"
    "溪xi光guang宁ning天tian泽ze新xin程cheng华hua川chuan永yong正zheng平ping达da盛sheng福fu",
)
_NUMBER = re.compile(r"^\d+\. |\d+", re.MULTILINE)
_NO_PARAGRAPH = re.compile(r"^\s*(?:\||-|\d+\.)", re.MULTILINE)


@dataclass(frozen=True)
class Variation:
    """One rewording of the policy base: another name, other figures, paragraphs in another order."""

    seed: int
    number: int
    """From 1; two variations of one base have no title in common."""

    def brand(self, language: Locale) -> str:
        """The name that stands in place of the institution's."""
        left, name = self.number, ""
        while left or len(name) < 2:
            left, place = divmod(left, len(_SYLLABLES))
            name += _SYLLABLES[place][language == "en"]
        return name.capitalize()

    def document(self, document: PolicyDocument) -> PolicyDocument:
        """The document reworded under an id of its own; a translation stays that of its original."""
        language = document.language
        body = "\n\n".join(
            f"## {self._heading(heading, language)}\n{self._text(text, language)}"
            for heading, text in sections(document)
        )
        return document.model_copy(
            update={"id": self._id(document.id), "title": self._heading(document.title, language), "body": body}
        )

    def passage(self, passage: Passage) -> Passage:
        """The passage reworded under an id of its own."""
        document, number = self._id(passage.document_id), passage.passage_id.rsplit("#", 1)[-1]
        return passage.model_copy(
            update={
                "document_id": document,
                "passage_id": f"{document}@{passage.version}#{number}",
                "title": self._heading(passage.title, passage.language),
                "section": self._heading(passage.section, passage.language),
                "text": self._text(passage.text, passage.language),
            }
        )

    def _id(self, original: DocumentId) -> DocumentId:
        ending = ENGLISH if original.endswith(ENGLISH) else ""
        return DocumentId(f"{original.removesuffix(ENGLISH)}-{self.number}{ending}")

    def _heading(self, heading: str, language: Locale) -> str:
        named = heading.replace(_BRAND[language], self.brand(language))
        return named if named != heading else f"{self.brand(language)}{': ' if language == 'en' else '：'}{heading}"

    def _text(self, text: str, language: Locale) -> str:
        chance = random.Random(f"{self.seed} {self.number} {text}")  # noqa: S311 - the same texts each time
        paragraphs = text.replace(_BRAND[language], self.brand(language)).split("\n\n")
        if not _NO_PARAGRAPH.search(text):
            chance.shuffle(paragraphs)

        def other(match: re.Match[str]) -> str:
            # The numbers of a list stay: they are marks, not figures.
            if match[0].endswith(" "):
                return match[0]
            digits = len(match[0])
            return str(chance.randrange(10 ** (digits - 1), 10**digits))

        return _NUMBER.sub(other, "\n\n".join(paragraphs))


def varied(documents: Sequence[PolicyDocument], count: int, seed: int) -> tuple[PolicyDocument, ...]:
    """So many documents, each base document reworded in its turn."""
    size = len(documents)
    return tuple(Variation(seed, place // size + 1).document(documents[place % size]) for place in range(count))


def varied_passages(passages: Sequence[Passage], count: int, seed: int) -> tuple[Passage, ...]:
    """The passages themselves, and behind them so many rewordings that there are `count` of them."""
    size = len(passages)
    more = (Variation(seed, place // size).passage(passages[place % size]) for place in range(size, count))
    return (*passages[:count], *more)
