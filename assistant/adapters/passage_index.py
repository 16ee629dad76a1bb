"""What search needs of every passage: columns to filter and count by, and one publication opened over them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from assistant.adapters.bm25 import Bm25Index, PolicyWords
from assistant.adapters.chroma import PublishedVectors
from assistant.errors import RetrieverUnavailable
from assistant.ports import Encoder
from assistant.types.answers import Audience, Passage
from assistant.types.understanding import Product
from assistant.types.value import IntentId, Locale

_FETCH = 192
"""Neighbours asked of Chroma, allowed or not; more of them would widen its search of the graph."""
_FEW = 4
"""Below one in so many, picking the rows out costs less than going through all of them."""
_FOREVER = date.max.toordinal()

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]
Vectors = NDArray[np.float32]


def searched(passage: Passage) -> str:
    """What of a passage is encoded and searched."""
    return f"{passage.title} {passage.section}\n{passage.text}"


def encoded(passages: Sequence[Passage], encoder: Encoder) -> Vectors:
    """A unit vector a passage, (rows, dimension). Raises EncoderUnavailable."""
    # A heading is worded as customers ask, so it is encoded as a question and given half the weight: on the retrieval
    # queries this found the right section first far more often than the text alone.
    headings = encoder.encode([passage.section for passage in passages], "query")
    texts = encoder.encode([searched(passage) for passage in passages], "passage")
    both: Vectors = headings + texts
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    return both


def first(scores: Vectors, count: int) -> Places:
    """Where the highest scores are, highest first; of equal ones the first. Sorts no more than it must."""
    if len(scores) > count:
        kept = np.flatnonzero(scores >= np.partition(scores, -count)[-count])
    else:
        kept = np.arange(len(scores))
    return kept[np.argsort(-scores[kept], kind="stable")][:count]


class PassageColumns:
    """Passages as columns, in the order they are given in."""

    def __init__(self, passages: Sequence[Passage], words: PolicyWords) -> None:
        self._words = Bm25Index([searched(passage) for passage in passages], words)
        self._from = np.array([passage.effective_from.toordinal() for passage in passages])
        self._to = np.array([one.effective_to.toordinal() if one.effective_to else _FOREVER for one in passages])
        self._for_customers = np.array([passage.audience == "customer" for passage in passages])
        self.written: dict[Locale, Mask] = {
            language: np.array([passage.language == language for passage in passages]) for language in get_args(Locale)
        }
        self._sold: dict[Product, Mask] = {
            product: np.array([not passage.products or product in passage.products for passage in passages])
            for product in get_args(Product)
        }
        originals = [passage.document_id.removesuffix("-en") for passage in passages]
        self._originals = np.unique(originals, return_inverse=True)[1]
        answering: dict[IntentId, list[int]] = {}
        for place, passage in enumerate(passages):
            for intent in passage.intents:
                answering.setdefault(intent, []).append(place)
        self._answering = {intent: np.array(places, np.intp) for intent, places in answering.items()}

    def allowed(self, on: date, audience: Audience, product: Product | None, language: Locale) -> Mask:
        """Which passages may be shown: in force, for this reader and product, and not in two languages at once."""
        day = on.toordinal()
        allowed: Mask = (self._from <= day) & (day <= self._to)
        if audience == "customer":
            allowed &= self._for_customers
        if product is not None:
            allowed &= self._sold[product]
        wanted = self.written[language]
        translated = np.zeros(len(allowed), np.bool_)
        translated[self._originals[allowed & wanted]] = True
        allowed &= wanted | ~translated[self._originals]
        return allowed

    def shares(self, query: str) -> Vectors:
        """BM25 of every passage as a share of the best one's; all 0 where not a word is known."""
        scores = self._words.scores(query)
        best = scores.max(initial=0.0)
        return scores / best if best > 0 else scores

    def meant(self, intents: Mapping[IntentId, float]) -> Vectors:
        """How probable it is that a question is about what each passage answers."""
        probable = np.zeros(len(self._from), np.float32)
        for intent, probability in intents.items():
            if intent in self._answering:
                probable[self._answering[intent]] += np.float32(probability)
        return probable


class PassageIndex:
    """One publication opened for reading."""

    def __init__(self, published: PublishedVectors, words: PolicyWords) -> None:
        self.published = published
        self.passages = published.passages
        self.version = published.name.rsplit("-", 1)[-1]
        self.columns = PassageColumns(published.passages, words)
        self._places = {passage.passage_id: place for place, passage in enumerate(self.passages)}

    def by_meaning(self, vector: Vectors, allowed: Mask, depth: int, language: Locale) -> list[int]:
        """Places of the nearest allowed passages, best first.

        Chroma searches its graph for the nearest of all passages, since filters inside it cost far more. Where it
        returned too few allowed ones, or would, the allowed passages are compared one by one. Texts of another language
        lie further away whatever they say: they are moved nearer by what the index measured.
        """
        own = allowed & self.columns.written[language]
        other = allowed & ~own
        places, cosines = self._approximately(vector, max(int(own.sum()), int(other.sum())), depth)
        found: list[Places] = []
        nearness: list[Vectors] = []
        for group, nearer in ((own, 0.0), (other, self.published.language_gap)):
            here = group[places]
            best, alike = places[here], cosines[here]
            if len(best) < depth and len(best) < group.sum():
                best, alike = self._exactly(vector, group, depth)
            found.append(best)
            nearness.append(alike + np.float32(nearer))
        best, alike = np.concatenate(found), np.concatenate(nearness)
        return [int(place) for place in best[first(alike, depth)]]

    def _approximately(self, vector: Vectors, count: int, depth: int) -> tuple[Places, Vectors]:
        """Places and cosines of the nearest passages of all, best first; none where `count` of them are too few."""
        fetch = max(_FETCH, depth)
        expected = fetch * count / len(self.passages)
        near: list[tuple[str, float]] = []
        # Twice what is wanted, since the allowed ones may lie elsewhere.
        if expected >= 2 * min(depth, count) > 0:
            # Later publications take the collection away, and while they do Chroma fails in several ways: what this
            # index holds itself is whole. Whether Chroma answers at all is seen when the pointer is read.
            with suppress(RetrieverUnavailable):
                near = self.published.nearest(vector, fetch)
        places = np.array([self._places[name] for name, _ in near], np.intp)
        return places, np.array([cosine for _, cosine in near], np.float32)

    def _exactly(self, vector: Vectors, group: Mask, depth: int) -> tuple[Places, Vectors]:
        """Places and cosines of the nearest of a group, best first, all of them compared."""
        rows = np.flatnonzero(group)
        vectors = self.published.vectors
        cosines = vectors[rows] @ vector if len(rows) * _FEW < len(vectors) else (vectors @ vector)[rows]
        best = first(cosines, depth)
        return rows[best], cosines[best]

    def cosines(self, places: Places, vector: Vectors, language: Locale) -> Vectors:
        """How near some passages are, those of the other language moved nearer by what the index measured."""
        nearer = np.where(self.columns.written[language][places], 0.0, self.published.language_gap)
        return np.asarray(self.published.vectors[places] @ vector + nearer, np.float32)

    def by_words(self, shares: Vectors, allowed: Mask, depth: int) -> list[int]:
        """Places of the allowed passages that share most with the query."""
        rows = np.flatnonzero(allowed & (shares > 0))
        return [int(place) for place in rows[first(shares[rows], depth)]]
