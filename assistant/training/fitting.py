"""Linear heads by logistic regression, on encoder vectors or on character n-grams."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assistant.heads import BUCKETS, Floats, Indices, ngram_buckets, tfidf

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

VECTOR_C = 0.03
NGRAM_C = 3.0
"""Inverse strengths of the regularisation; both measured on held-out rows."""

_ITERATIONS = 200
_PRIOR_ROWS = 10
# The text has told part of what the intent tells: at full weight accuracy falls, at half `status` gains.
_AFFINITY_WEIGHT = 0.5


@dataclass(frozen=True)
class LinearHead:
    """Scores of classes: weight (classes, features), bias (classes,)."""

    weight: Floats
    bias: Floats

    def scores(self, features: "Floats | csr_matrix") -> Floats:
        """Of each row, shape (rows, classes)."""
        return np.asarray(features @ self.weight.T, np.float32) + self.bias


def ngram_features(texts: Sequence[str]) -> tuple["csr_matrix", Floats]:
    """Tf-idf rows of canonical texts, and the idf of every bucket (smoothed, so that unseen buckets have one)."""
    counts = np.bincount(np.concatenate([ngram_buckets(text) for text in texts]), minlength=BUCKETS)
    idf = (np.log((1 + len(texts)) / (1 + counts)) + 1).astype(np.float32)
    return ngram_rows(texts, idf), idf


def ngram_rows(texts: Sequence[str], idf: Floats) -> "csr_matrix":
    """Tf-idf rows under given frequencies, shape (texts, BUCKETS)."""
    from scipy.sparse import csr_matrix

    buckets = [ngram_buckets(text) for text in texts]
    ends = np.cumsum([0, *map(len, buckets)])
    values = np.concatenate([tfidf(idf, row) for row in buckets])
    return csr_matrix((values, np.concatenate(buckets), ends), shape=(len(texts), BUCKETS))


def act_affinity(intents: Indices, acts: Indices, sizes: tuple[int, int]) -> Floats:
    """What an intent adds to the log-probability of each act, shape `sizes`; nothing where there is no evidence."""
    counts = np.zeros(sizes)
    np.add.at(counts, (intents, acts), 1)
    overall = (counts.sum(axis=0) + 1) / (counts.sum() + sizes[1])
    given = (counts + _PRIOR_ROWS * overall) / (counts.sum(axis=1, keepdims=True) + _PRIOR_ROWS)
    affinity: Floats = (_AFFINITY_WEIGHT * np.log(given / overall)).astype(np.float32)
    return affinity


def fit_linear(features: "Floats | csr_matrix", labels: Indices, regularisation: float, classes: int) -> LinearHead:
    """Multinomial logistic regression; each of the classes must occur."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Stopped early is regularised a little more; it is seeded by the data and so reproducible.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=regularisation, max_iter=_ITERATIONS).fit(features, labels)
    assert model.coef_.shape[0] == classes
    return LinearHead(model.coef_.astype(np.float32), model.intercept_.astype(np.float32))
