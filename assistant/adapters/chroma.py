"""Vector search in Chroma: embedded on disk, or its server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from assistant.errors import ConfigurationError, RetrieverUnavailable
from assistant.types.answers import Passage

if TYPE_CHECKING:
    import httpx
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

_POINTER = "assistant-index"
_PREFIX = "passages-"
_EF_SEARCH = 256
"""How many neighbours the graph search keeps; the over-fetch of one search stays below it."""
_PAGE = 2_000
"""Passages read at a time: Chroma hands vectors over as Python numbers, ten times their size."""
_SECONDS = 10.0
"""Until a Chroma server that does not answer counts as down."""

Floats = NDArray[np.float32]
Made = tuple[Floats, Mapping[str, str | float]]


@dataclass(frozen=True)
class PublishedVectors:
    """One published collection: complete, and never written again."""

    name: str
    recipe: str
    encoder: str
    language_gap: float
    """Cosine by which a text of another language lies further away than its meaning does."""
    passages: tuple[Passage, ...]
    vectors: Floats
    """One unit row a passage: 1.5 kB each, 154 MB for 100,000 of them."""
    collection: "Collection"

    def nearest(self, vector: Floats, limit: int) -> list[tuple[str, float]]:
        """(passage_id, cosine) of the nearest passages, best first. Raises RetrieverUnavailable."""
        with _translated():
            found = self.collection.query(
                query_embeddings=vector.reshape(1, -1),
                n_results=min(limit, len(self.passages)),
                include=["distances"],
            )
        distances = found["distances"] or [[]]
        return [(name, 1.0 - distance) for name, distance in zip(found["ids"][0], distances[0], strict=True)]


class IndexReplacedError(RetrieverUnavailable):
    """The collection was removed by later publications, or is being removed: read the pointer again."""


class ChromaVectors:
    """Collections by content, and a record in Chroma itself of which one is published.

    A process does not see vectors that another one adds to a collection it has open, but it does see new collections
    and their metadata: so each publication is a new collection, and switching is one metadata write. The one before
    stays for readers that have not switched yet. One process publishes at a time.
    """

    def __init__(self, folder: Path, url: str | None = None) -> None:
        """`folder` is used unless `url` names a server. Raises ConfigurationError, RetrieverUnavailable."""
        self._client = _connect(folder, url)
        with _translated():
            self._pointer = self._client.get_or_create_collection(_POINTER, embedding_function=None)

    def close(self) -> None:
        """Give connections and files back; other clients of the same folder in this process go on."""
        self._client.close()
        for session in _sessions(self._client):
            session.close()

    def current(self) -> str | None:
        """Name of the published collection, as any process last set it."""
        return self._pointed()[0]

    def open(self, name: str) -> PublishedVectors:
        """The collection of this name. Raises IndexReplacedError where it is gone."""
        try:
            with _translated():
                collection = self._client.get_collection(name, embedding_function=None)
                passages, vectors = _read(collection)
        except RetrieverUnavailable as error:
            # While a collection is being removed Chroma fails in several ways.
            if self.current() != name:
                raise IndexReplacedError(f"the index was replaced: {error}") from error
            raise
        about = collection.metadata or {}
        return PublishedVectors(
            name=name,
            recipe=str(about.get("recipe", "")),
            encoder=str(about.get("encoder", "")),
            language_gap=float(str(about.get("language_gap", 0.0))),
            passages=passages,
            vectors=vectors,
            collection=collection,
        )

    def publish(self, content: str, passages: Sequence[Passage], make: Callable[[], Made]) -> str:
        """Switch to the collection of this content, drop all but it and the one before. Returns its name.

        Only where no complete collection has this content, `make` is asked for the vectors, row for row, and what
        goes with them: the recipe, the encoder's version and the language gap.
        """
        name = _PREFIX + content
        if not self._is_complete(name, len(passages)):
            vectors, about = make()
            with _translated():
                self._write(name, passages, vectors, about)
        current, previous = self._pointed()
        with _translated():
            if current != name:
                self._pointer.modify(metadata={"current": name, "previous": current or ""})
                current, previous = name, current
            for collection in self._client.list_collections():
                if collection.name.startswith(_PREFIX) and collection.name not in (current, previous):
                    self._client.delete_collection(collection.name)
        return name

    def _pointed(self) -> tuple[str | None, str | None]:
        with _translated():
            pointer = self._client.get_collection(_POINTER, embedding_function=None).metadata or {}
        current, previous = (str(pointer.get(key) or "") or None for key in ("current", "previous"))
        return current, previous

    def _is_complete(self, name: str, count: int) -> bool:
        """Whether an earlier publication finished writing; a process killed half-way leaves too few rows."""
        with _translated():
            if name not in {collection.name for collection in self._client.list_collections()}:
                return False
            if self._client.get_collection(name, embedding_function=None).count() == count:
                return True
            self._client.delete_collection(name)
            return False

    def _write(self, name: str, passages: Sequence[Passage], vectors: Floats, about: Mapping[str, str | float]) -> None:
        collection = self._client.create_collection(
            name,
            metadata=dict(about),
            configuration={"hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": _EF_SEARCH}},
            embedding_function=None,
        )
        batch = self._client.get_max_batch_size()
        for start in range(0, len(passages), batch):
            part = passages[start : start + batch]
            collection.add(
                ids=[passage.passage_id for passage in part],
                embeddings=vectors[start : start + batch],
                documents=[passage.text for passage in part],
                metadatas=[
                    {"place": place, "passage": passage.model_dump_json()} for place, passage in enumerate(part, start)
                ],
            )


def _read(collection: "Collection") -> tuple[tuple[Passage, ...], Floats]:
    """All passages in the order of their publication, and their vectors row for row."""
    places: list[int] = []
    passages: list[Passage] = []
    pages: list[Floats] = []
    for start in range(0, collection.count(), _PAGE):
        rows = collection.get(include=["metadatas", "embeddings"], limit=_PAGE, offset=start)
        for row in rows["metadatas"] or []:
            places.append(int(str(row["place"])))
            passages.append(Passage.model_validate_json(str(row["passage"])))
        pages.append(np.asarray(rows["embeddings"], np.float32))
    order = np.argsort(places)
    vectors = np.concatenate(pages) if pages else np.zeros((0, 0), np.float32)
    return tuple(passages[row] for row in order), vectors[order]


def _connect(folder: Path, url: str | None) -> "Client":
    import chromadb
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False)
    with _translated():
        if url is None:
            folder.mkdir(parents=True, exist_ok=True)
            return cast("Client", chromadb.PersistentClient(str(folder), settings=settings))
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"CHROMA_URL {url!r} is not an address such as http://127.0.0.1:8000")
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        client = cast("Client", chromadb.HttpClient(parts.hostname, port, ssl=secure, settings=settings))
        for session in _sessions(client):
            session.timeout = _SECONDS
        return client


def _sessions(client: "Client") -> "Iterator[httpx.Client]":
    """The HTTP sessions inside a server's client: Chroma gives them no time-out and never closes them."""
    for part in (client, getattr(client, "_admin_client", None)):
        session = getattr(getattr(part, "_server", None), "_session", None)
        if session is not None:
            yield session


@contextmanager
def _translated() -> Iterator[None]:
    """Chroma's failures as ours; it raises ValueError where its server cannot be reached."""
    import httpx
    from chromadb.errors import ChromaError, NotFoundError

    try:
        yield
    except NotFoundError as error:
        raise IndexReplacedError(f"the index was replaced: {error}") from error
    except (ChromaError, httpx.HTTPError, OSError, ValueError) as error:
        raise RetrieverUnavailable(f"Chroma failed: {error}") from error
