"""Policy passages and the answers composed from them."""

from datetime import date
from typing import Literal

from pydantic import Field

from assistant.types.understanding import Product
from assistant.types.value import DocumentId, IntentId, Value

Audience = Literal["customer", "staff"]
Governs = Literal["handling", "signing"]
"""Which day decides the version that holds: that of what happens, or for a loan that on which it was signed."""


class Passage(Value):
    """One section of one version of a policy document."""

    passage_id: str = Field(description="`document@version#section-number`, unique in an index.")
    document_id: DocumentId
    version: str
    title: str
    section: str
    text: str
    products: tuple[Product, ...] = Field((), description="Empty: all products.")
    audience: Audience
    language: Literal["zh-CN", "en"]
    effective_from: date
    effective_to: date | None = Field(None, description="Inclusive; None: until further notice.")
    owner: str
    intents: tuple[IntentId, ...] = ()
    sources: tuple[str, ...] = ()
    governs: Governs = "handling"

    def in_force(self, day: date) -> bool:
        """Whether the passage governs the given Asia/Shanghai day."""
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)


class ScoredPassage(Value):
    """A retrieved passage; the higher `score`, the surer it answers, and below 0 it hardly does."""

    passage: Passage
    score: float


class Citation(Value):
    """The clause an answer rests on, quoted word for word."""

    document_id: DocumentId
    version: str
    title: str
    section: str
    quote: str
    effective_from: date
    effective_to: date | None = None


class Answer(Value):
    """Words to a customer with the clauses that carry them."""

    text: str
    details: str = Field("", description="What unfolds below the answer: steps, tables, conditions.")
    citations: tuple[Citation, ...] = Field(min_length=1)
    composer: Literal["extractive", "chat_model"] = "extractive"


class Unanswered(Value):
    """The knowledge base has no clause in force that answers the question."""

    reason: Literal["no_passage", "retriever_down"]
    nearest: tuple[DocumentId, ...] = ()
