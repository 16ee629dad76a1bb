"""Policy documents as their files state them, and what is wrong with them."""

from datetime import date

from pydantic import Field, field_validator

from assistant.types.answers import Audience, Governs
from assistant.types.understanding import Product
from assistant.types.value import DocumentId, IntentId, Locale, Value


class PolicyDocument(Value):
    """One version of one policy as its file states it."""

    file: str = Field(description="Path below the policies folder, for messages.")
    id: DocumentId
    version: str
    title: str
    products: tuple[Product, ...] = Field((), description="Empty: all products.")
    audience: Audience = "customer"
    language: Locale = "zh-CN"
    effective_from: date
    effective_to: date | None = Field(None, description="Inclusive; None: until further notice.")
    owner: str = ""
    intents: tuple[IntentId, ...] = ()
    sources: tuple[str, ...] = ()
    governs: Governs = "handling"
    sample: bool = Field(False, description="The institution's own values are made up.")
    body: str

    @field_validator("effective_from", "effective_to", mode="before")
    @classmethod
    def _is_a_day(cls, value: object) -> object:
        # Pydantic would take "2026" for seconds since 1970.
        if isinstance(value, str):
            return date.fromisoformat(value)
        return value

    @field_validator("id", "version", "title")
    @classmethod
    def _is_written(cls, value: str) -> str:
        if not value.strip() or any(mark in value for mark in "@#\n"):
            raise ValueError("must not be empty or contain @ or #")
        return value.strip()

    @field_validator("owner", mode="before")
    @classmethod
    def _none_is_nobody(cls, value: object) -> object:
        return "" if value is None else value


class Finding(Value):
    """Something wrong with the policy base, and where."""

    file: str
    key: str
    message: str
    severity: str = Field("error", pattern="^(error|warning)$")

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.message}"
