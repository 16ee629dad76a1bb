"""Questions that customers put to the policies, as they are kept for editors."""

from pydantic import Field

from assistant.types.understanding import Act, Product
from assistant.types.value import DocumentId, Instant, IntentId, Locale, SessionId, Value


class AskedQuestion(Value):
    """A question in the customer's own (masked) words, with all that the search for its answer rested on."""

    session_id: SessionId
    at: Instant
    text: str
    context: str | None = Field(None, description="The question before, where this one leans on it.")
    intent: IntentId
    act: Act | None = None
    product: Product | None = None
    locale: Locale
    nearest: tuple[DocumentId, ...] = Field((), description="Documents nearest to an unanswered question then.")

    @property
    def searched(self) -> str:
        """The words it was looked up by: with the question before it, where it leans on one."""
        return f"{self.context} {self.text}" if self.context else self.text
