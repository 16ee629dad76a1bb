"""Search over the published policies: meaning (Chroma), words (BM25) and what the question is thought to be about."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from assistant.adapters.bm25 import PolicyWords
from assistant.adapters.chroma import ChromaVectors, IndexReplacedError, Made
from assistant.adapters.passage_index import Mask, PassageIndex, Vectors, encoded, first, searched
from assistant.adapters.search_maps import Fusion, MappedQuestions
from assistant.errors import EncoderUnavailable, InvalidInput, RetrieverUnavailable
from assistant.ports import Encoder
from assistant.types.answers import Audience, Passage, ScoredPassage
from assistant.types.understanding import Product
from assistant.types.value import IntentId, Locale

RECIPE = "1"
"""Version of what is embedded and how it is tokenised; a new one means a new index."""
UNPUBLISHED = "unpublished"
_REMEDY = "run `assistant knowledge index`"
_GROUP = 10
"""Passages of a language below which its distance to the other is not measured."""
_ATTEMPTS = 5
"""Publications that may overtake a reader that has nothing open yet."""
_WITH_CONTEXT = 0.7
"""Weight of a question read together with the one before; the rest is its own."""
_DEPTH = 40
"""Passages that meaning, and words, bring into the comparison at least."""
_CHUNK = 64
"""Passages encoded between two reports of progress."""

AfterSome = Callable[[int, int], None]


class HybridRetriever:
    """`ports.Retriever` over one Chroma folder or server."""

    def __init__(
        self,
        vectors: ChromaVectors,
        encoder: Encoder,
        words: PolicyWords,
        *,
        mapped: MappedQuestions | None = None,
        fusion: Fusion | None = None,
        refresh_seconds: float = 1.0,
    ) -> None:
        """`mapped` encodes questions where search has learnt from some; else they are encoded as they are.

        `refresh_seconds` is how long another process's publication may go unnoticed.
        """
        self._vectors = vectors
        self._encoder = encoder
        self._words = words
        self._mapped = mapped
        self._fusion = fusion or (mapped.maps.meta.fusion if mapped else Fusion())
        self._encoding = encoder.version + (f" {mapped.maps.version}" if mapped else "")
        self._refresh_seconds = refresh_seconds
        self._lock = threading.Lock()
        self._index: PassageIndex | None = None
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
        other = type(self)(
            self._vectors,
            self._encoder,
            self._words,
            mapped=self._mapped,
            fusion=fusion,
            refresh_seconds=self._refresh_seconds,
        )
        other._index = self._latest()
        return other

    def search(
        self,
        query: str,
        *,
        on: date,
        audience: Audience = "customer",
        product: Product | None = None,
        language: Locale = "zh-CN",
        context: str | None = None,
        intents: Mapping[IntentId, float] = MappingProxyType({}),
        limit: int = 5,
    ) -> tuple[ScoredPassage, ...]:
        """The best passages in force on a day, best first; the other language only for documents this one lacks.

        Staff see customers' passages too. `context` is a question before, which this one leans on; `intents` are what
        it may be about, by probability. Without the encoder words and intents decide. Raises RetrieverUnavailable.
        """
        index = self._latest()
        if index is None:
            raise RetrieverUnavailable(f"no policy index is published: {_REMEDY}")
        allowed = index.columns.allowed(on, audience, product, language)
        return self._search(index, query, context, allowed, language, intents, limit)

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
        content = hashlib.sha256(f"{RECIPE}\n{self._encoding}\n".encode())
        for passage in passages:
            content.update(passage.model_dump_json().encode())

        def make() -> Made:
            vectors = self._vectors_of(passages, after_some, known)
            # Maps have learnt to find either language.
            gap = 0.0 if self._mapped else _language_gap(passages, vectors)
            return vectors, {"recipe": RECIPE, "encoder": self._encoding, "language_gap": gap}

        self._vectors.publish(content.hexdigest()[:32], passages, make)
        # Opened here, so that no search waits for it.
        with self._lock:
            self._look()
        return self.version

    def _vectors_of(
        self, passages: Sequence[Passage], after_some: AfterSome | None, of_another: Mapping[str, Vectors]
    ) -> Vectors:
        known = {**of_another, **self.vectors()}
        new = list({searched(one): one for one in passages if searched(one) not in known}.values())
        for start in range(0, len(new), _CHUNK):
            chunk = new[start : start + _CHUNK]
            known.update(zip(map(searched, chunk), self._encoded(chunk), strict=True))
            if after_some is not None:
                after_some(start + len(chunk), len(new))
        return np.stack([known[searched(passage)] for passage in passages])

    def vectors(self) -> dict[str, Vectors]:
        """Vectors of the published index by what they stand for; none where it is gone or another encoder made them."""
        name, index = self._vectors.current(), self._index
        if name is None:
            return {}
        try:
            published = index.published if index and index.published.name == name else self._vectors.open(name)
        except IndexReplacedError:
            return {}
        if (published.recipe, published.encoder) != (RECIPE, self._encoding):
            return {}
        return dict(zip(map(searched, published.passages), published.vectors, strict=True))

    def _encoded(self, passages: Sequence[Passage]) -> Vectors:
        came = encoded(passages, self._encoder)
        return self._mapped.maps.of_passages(came) if self._mapped else came

    def _latest(self) -> PassageIndex | None:
        if time.monotonic() - self._looked_at < self._refresh_seconds:
            return self._index
        # One search looks and opens what is new, which takes seconds for a large index; the others go on with the old.
        if self._lock.acquire(blocking=self._index is None):
            try:
                if time.monotonic() - self._looked_at >= self._refresh_seconds:
                    self._look()
            finally:
                self._lock.release()
        return self._index

    def _look(self) -> None:
        """Open what is published now; under the lock."""
        for attempt in range(_ATTEMPTS):
            name = self._vectors.current()
            if name is None or (self._index is not None and self._index.published.name == name):
                break
            try:
                self._index = self._open(name)
                break
            except IndexReplacedError:
                # Two publications while it was being read took the collection away: the pointer names the new one.
                if attempt == _ATTEMPTS - 1 and self._index is None:
                    raise
        self._looked_at = time.monotonic()

    def _open(self, name: str) -> PassageIndex:
        published = self._vectors.open(name)
        if published.encoder != self._encoding:
            raise RetrieverUnavailable(
                f"the policy index was built with encoder {published.encoder}, this one is {self._encoding}: {_REMEDY}"
            )
        return PassageIndex(published, self._words)

    def _search(
        self,
        index: PassageIndex,
        query: str,
        context: str | None,
        allowed: Mask,
        language: Locale,
        intents: Mapping[IntentId, float],
        limit: int,
    ) -> tuple[ScoredPassage, ...]:
        fusion, depth = self._fusion, max(_DEPTH, limit)
        # What leans on a question is read with it and, for what it asks that the other did not, by itself.
        weighed = {query: 1.0} if context is None else {f"{context} {query}": _WITH_CONTEXT, query: 1 - _WITH_CONTEXT}
        vector = self._vector(weighed) if fusion.near else None
        shares = np.zeros(len(index.passages), np.float32)
        if fusion.words:
            shares = np.sum([weight * index.columns.shares(text) for text, weight in weighed.items()], axis=0)
        near = [] if vector is None else index.by_meaning(vector / np.linalg.norm(vector), allowed, depth, language)
        places = np.array(sorted({*near, *index.by_words(shares, allowed, depth)}), np.intp)
        scores = fusion.words * shares[places] + fusion.intents * index.columns.meant(intents)[places] - fusion.enough
        if vector is not None:
            scores = scores + fusion.near * index.cosines(places, vector, language)
        best = first(np.asarray(scores, np.float32), limit)
        return tuple(
            ScoredPassage(passage=index.passages[place], score=float(score))
            for place, score in zip(places[best], scores[best], strict=True)
        )

    def _vector(self, weighed: Mapping[str, float]) -> Vectors | None:
        """Of texts by their weights; None while the encoder is down."""

        def encode(text: str) -> Vectors:
            return self._mapped.encode(text) if self._mapped else self._encoder.encode([text], "query")[0]

        try:
            return np.asarray(sum(weight * encode(text) for text, weight in weighed.items()), np.float32)
        except EncoderUnavailable:
            return None


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
