"""Lexical search: BM25 over Chinese character pairs and English stems, with the glossary's synonyms.

Words of a segmenter (jieba, search mode, knowing the glossary) beside the pairs were measured on the retrieval queries
and found nothing that the pairs had not found, for a second of start-up and 60 MB: pairs alone it is.
"""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assistant.words import normalise, tokens


class PolicyWords:
    """Texts to index terms: character pairs and Latin stems, and synonyms for queries."""

    def __init__(self, synonyms: Sequence[Sequence[str]] = ()) -> None:
        """Groups of words of one meaning, the word that policies use first."""
        self._groups = [
            (normalise(group[0]), tuple((normalise(word), frozenset(tokens(word))) for word in group))
            for group in synonyms
            if group
        ]

    def of_passage(self, text: str) -> list[str]:
        """Terms in order, repeated where they repeat."""
        return tokens(text)

    def of_query(self, text: str) -> list[str]:
        """Terms of the query, and of what policies call the things it names."""
        asked, words = normalise(text), frozenset(tokens(text))

        def named(word: str, terms: frozenset[str]) -> bool:
            # English words of one thing may stand apart: close my account.
            return bool(terms) and terms <= words if word.isascii() else word in asked

        also = [first for first, group in self._groups if first not in asked and any(named(*word) for word in group)]
        return list(dict.fromkeys(term for part in (text, *also) for term in tokens(part)))


class Bm25Index:
    """BM25 scores of every passage for a query; rebuilt from the passages when an index is opened."""

    def __init__(self, texts: Sequence[str], words: PolicyWords, *, k1: float = 1.2, b: float = 0.6) -> None:
        from bm25s import BM25

        # It sets its own logger to tell every step, which shows wherever another library has configured logging.
        logging.getLogger("bm25s").setLevel(logging.WARNING)
        self._words = words
        self._size = len(texts)
        self._index = BM25(method="lucene", k1=k1, b=b)
        # Numbers in place of words: the words of 100,000 passages would take a gigabyte while they are counted. A term
        # that no query holds keeps the vocabulary from being empty.
        vocabulary: dict[str, int] = {}
        numbered = [
            [vocabulary.setdefault(term, len(vocabulary)) for term in (*words.of_passage(text), "\0")] for text in texts
        ]
        self._index.index((numbered, vocabulary), show_progress=False)

    def scores(self, query: str) -> NDArray[np.float32]:
        """One score a passage, in the order of the texts; 0: not one word in common."""
        known = [term for term in self._words.of_query(query) if term in self._index.vocab_dict]
        if not known:
            return np.zeros(self._size, np.float32)
        return np.asarray(self._index.get_scores(known), np.float32)
