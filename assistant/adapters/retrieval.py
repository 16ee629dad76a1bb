"""Search over the published policies: meaning (Chroma) and words (BM25), fused by rank."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Self, get_args

import numpy as np
from numpy.typing import NDArray

from assistant.adapters.bm25 import Bm25Index, PolicyWords
from assistant.adapters.chroma import ChromaVectors, IndexReplacedError, Made, PublishedVectors
from assistant.errors import EncoderUnavailable, InvalidInput, RetrieverUnavailable
from assistant.ports import Encoder
from assistant.types.answers import Audience, Passage, ScoredPassage
from assistant.types.understanding import Product
from assistant.types.value import Locale, Value

RECIPE = "1"
"""Version of what is embedded and how it is tokenised; a new one means a new index."""
UNPUBLISHED = "unpublished"
_REMEDY = "run `assistant knowledge index`"
_FIRST_FETCH = 192
"""Enough for both languages in one search of a base of this size; a neighbour more costs almost nothing."""
_GROUP = 10
"""Passages of a language below which its distance to the other is not measured."""
_FOREVER = date.max.toordinal()

_CHUNK = 64
"""Passages encoded between two reports of progress."""

AfterSome = Callable[[int, int], None]
Mask = NDArray[np.bool_]
Vectors = NDArray[np.float32]


class Fusion(Value):
    """Weights of the two rankings in reciprocal-rank fusion; 0 leaves one out. The defaults are measured."""

    dense: float = 1.0
    lexical: float = 0.5
    k: float = 10.0
    """How little the first rank counts above the second: larger is flatter."""
    depth: int = 40
    """Ranks of each list that take part."""


class HybridRetriever:
    """`ports.Retriever` over one Chroma folder or server."""

    def __init__(
        self,
        vectors: ChromaVectors,
        encoder: Encoder,
        words: PolicyWords,
        *,
        fusion: Fusion | None = None,
        refresh_seconds: float = 1.0,
    ) -> None:
        """`refresh_seconds` is how long another process's publication may go unnoticed."""
        self._vectors = vectors
        self._encoder = encoder
        self._words = words
        self._fusion = fusion or Fusion()
        self._refresh_seconds = refresh_seconds
        self._lock = threading.Lock()
        self._index: _Index | None = None
        self._looked_at = float("-inf")

    @property
    def version(self) -> str:
        """Content hash of the published index, or `unpublished`."""
        index = self._latest()
        return UNPUBLISHED if index is None else index.version

    @property
    def passages(self) -> tuple[Passage, ...]:
        """What is published, in the order of its publication; nothing where nothing is."""
        index = self._latest()
        return () if index is None else index.passages

    def close(self) -> None:
        """Give Chroma's connections and files back."""
        self._vectors.close()

    def fused_by(self, fusion: Fusion) -> Self:
        """The same index under other weights: for measuring."""
        return type(self)(
            self._vectors, self._encoder, self._words, fusion=fusion, refresh_seconds=self._refresh_seconds
        )

    def search(
        self,
        query: str,
        *,
        on: date,
        audience: Audience = "customer",
        product: Product | None = None,
        language: Locale = "zh-CN",
        limit: int = 5,
    ) -> tuple[ScoredPassage, ...]:
        """The best passages in force on a day, best first; the other language only for documents this one lacks.

        Staff see customers' passages too. Without the encoder the words alone decide. Raises RetrieverUnavailable.
        """
        for attempt in (1, 2):
            try:
                index = self._latest()
                if index is None:
                    raise RetrieverUnavailable(f"no policy index is published: {_REMEDY}")
                return self._search(index, query, index.allowed(on, audience, product, language), language, limit)
            except IndexReplacedError:
                # Two publications within one refresh took the collection away: the pointer names the new one.
                self._looked_at = float("-inf")
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def publish(
        self,
        passages: Sequence[Passage],
        after_some: AfterSome | None = None,
        known: Mapping[str, Vectors] = MappingProxyType({}),
    ) -> str:
        """Replace the index in one step; readers see the old one or the new one. Returns the new version.

        Passages worded as in the published index keep its vectors; `known` are `vectors` of another index to take from.
        `after_some` hears passages encoded, and how many there are to encode.
        """
        if not passages:
            raise InvalidInput("an index without passages would leave every question unanswered: nothing published")
        counts = Counter(passage.passage_id for passage in passages)
        if twice := sorted(name for name, count in counts.items() if count > 1):
            raise InvalidInput(f"passages with the same id: {', '.join(twice)}")
        content = hashlib.sha256(f"{RECIPE}\n{self._encoder.version}\n".encode())
        for passage in passages:
            content.update(passage.model_dump_json().encode())

        def make() -> Made:
            vectors = self._vectors_of(passages, after_some, known)
            gap = _language_gap(passages, vectors)
            return vectors, {"recipe": RECIPE, "encoder": self._encoder.version, "language_gap": gap}

        self._vectors.publish(content.hexdigest()[:32], passages, make)
        self._looked_at = float("-inf")
        return self.version

    def _vectors_of(
        self, passages: Sequence[Passage], after_some: AfterSome | None, of_another: Mapping[str, Vectors]
    ) -> Vectors:
        known = {**of_another, **self.vectors()}
        new = list({_searched(one): one for one in passages if _searched(one) not in known}.values())
        for start in range(0, len(new), _CHUNK):
            chunk = new[start : start + _CHUNK]
            known.update(zip(map(_searched, chunk), self._encoded(chunk), strict=True))
            if after_some is not None:
                after_some(start + len(chunk), len(new))
        return np.stack([known[_searched(passage)] for passage in passages])

    def vectors(self) -> dict[str, Vectors]:
        """Vectors of the published index by what they stand for; none where it is gone or another encoder made them."""
        name = self._vectors.current()
        if name is None:
            return {}
        try:
            published = self._vectors.open(name)
        except IndexReplacedError:
            return {}
        if (published.recipe, published.encoder) != (RECIPE, self._encoder.version):
            return {}
        vectors = published.vectors()
        return {_searched(passage): vectors[passage.passage_id] for passage in published.passages}

    def _encoded(self, passages: Sequence[Passage]) -> Vectors:
        # A heading is worded as customers ask, so it is encoded as a question and given half the weight: on the
        # retrieval queries this found the right section first far more often than the text alone.
        headings = self._encoder.encode([passage.section for passage in passages], "query")
        texts = self._encoder.encode([_searched(passage) for passage in passages], "passage")
        both: Vectors = headings + texts
        both /= np.linalg.norm(both, axis=1, keepdims=True)
        return both

    def _latest(self) -> "_Index | None":
        if time.monotonic() - self._looked_at < self._refresh_seconds:
            return self._index
        with self._lock:
            if time.monotonic() - self._looked_at >= self._refresh_seconds:
                name = self._vectors.current()
                if name is not None and (self._index is None or self._index.published.name != name):
                    self._index = self._open(name)
                self._looked_at = time.monotonic()
            return self._index

    def _open(self, name: str) -> "_Index":
        published = self._vectors.open(name)
        if published.encoder != self._encoder.version:
            raise RetrieverUnavailable(
                f"the policy index was built with encoder {published.encoder}, "
                f"this one is {self._encoder.version}: {_REMEDY}"
            )
        return _Index(published, self._words)

    def _search(
        self, index: "_Index", query: str, allowed: Mask, language: Locale, limit: int
    ) -> tuple[ScoredPassage, ...]:
        fusion = self._fusion
        depth = max(fusion.depth, limit)
        scores: dict[int, float] = {}
        near = self._by_meaning(index, query, allowed, depth, language) if fusion.dense else []
        alike = index.by_words(query, allowed, depth) if fusion.lexical else []
        for weight, ranking in ((fusion.dense, near), (fusion.lexical, alike)):
            for rank, place in enumerate(ranking, 1):
                scores[place] = scores.get(place, 0.0) + weight / (fusion.k + rank)
        best = sorted(scores, key=lambda place: (-scores[place], place))[:limit]
        return tuple(ScoredPassage(passage=index.passages[place], score=scores[place]) for place in best)

    def _by_meaning(self, index: "_Index", query: str, allowed: Mask, depth: int, language: Locale) -> list[int]:
        try:
            vector = self._encoder.encode([query], "query")[0]
        except EncoderUnavailable:
            return []
        return index.by_meaning(vector, allowed, depth, language)


class _Index:
    """One publication opened for reading: what search needs of every passage, as columns."""

    def __init__(self, published: PublishedVectors, words: PolicyWords) -> None:
        self.published = published
        self.passages = published.passages
        self.version = published.name.rsplit("-", 1)[-1]
        self._places = {passage.passage_id: place for place, passage in enumerate(self.passages)}
        self._words = Bm25Index([_searched(passage) for passage in self.passages], words)
        self._from = np.array([passage.effective_from.toordinal() for passage in self.passages])
        self._to = np.array([p.effective_to.toordinal() if p.effective_to else _FOREVER for p in self.passages])
        self._for_customers = np.array([passage.audience == "customer" for passage in self.passages])
        self._languages = np.array([passage.language for passage in self.passages])
        self._sold: dict[Product, Mask] = {
            product: np.array([not passage.products or product in passage.products for passage in self.passages])
            for product in get_args(Product)
        }
        originals = [passage.document_id.removesuffix("-en") for passage in self.passages]
        self._originals = np.unique(originals, return_inverse=True)[1]

    def allowed(self, on: date, audience: Audience, product: Product | None, language: Locale) -> Mask:
        """Which passages may be shown: in force, for this reader and product, and not in two languages at once."""
        day = on.toordinal()
        allowed: Mask = (self._from <= day) & (day <= self._to)
        if audience == "customer":
            allowed &= self._for_customers
        if product is not None:
            allowed &= self._sold[product]
        wanted = self._languages == language
        translated = np.zeros(len(self.passages), np.bool_)
        translated[self._originals[allowed & wanted]] = True
        allowed &= wanted | ~translated[self._originals]
        return allowed

    def by_meaning(self, vector: NDArray[np.float32], allowed: Mask, depth: int, language: Locale) -> list[int]:
        """Places of the nearest allowed passages, best first.

        Filters inside Chroma cost far more than fetching a few more. Texts of another language lie further away
        whatever they say: they are moved nearer by what the index measured.
        """
        own = allowed & (self._languages == language)
        other = allowed & ~own
        wanted = (min(depth, int(own.sum())), min(depth, int(other.sum())))
        fetch = max(_FIRST_FETCH, depth)
        while any(wanted):
            near = self.published.nearest(vector, fetch)
            places = np.array([self._places[name] for name, _ in near])
            if len(near) < fetch or (own[places].sum() >= wanted[0] and other[places].sum() >= wanted[1]):
                nearness = np.array([cosine for _, cosine in near]) + self.published.language_gap * other[places]
                order = np.argsort(-nearness, kind="stable")
                return [int(place) for place in places[order] if allowed[place]][:depth]
            fetch *= 4
        return []

    def by_words(self, query: str, allowed: Mask, depth: int) -> list[int]:
        """Places of the allowed passages that share most with the query."""
        scores = np.where(allowed, self._words.scores(query), 0.0)
        best = np.argsort(-scores, kind="stable")[:depth]
        return [int(place) for place in best if scores[place] > 0]


def _searched(passage: Passage) -> str:
    return f"{passage.title} {passage.section}\n{passage.text}"


def _language_gap(passages: Sequence[Passage], vectors: NDArray[np.float32]) -> float:
    """How much nearer two passages of one language are than two of different languages, on average (cosine)."""
    chinese = np.array([passage.language == "zh-CN" for passage in passages])
    groups = [vectors[chinese], vectors[~chinese]]
    if any(len(group) < _GROUP for group in groups):
        return 0.0
    sums = [group.sum(axis=0) for group in groups]
    within = [
        (total @ total - len(group)) / (len(group) * (len(group) - 1))
        for group, total in zip(groups, sums, strict=True)
    ]
    between = sums[0] @ sums[1] / (len(groups[0]) * len(groups[1]))
    return max(0.0, float(np.mean(within) - between))
