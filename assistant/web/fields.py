"""The kinds of text that a request may carry."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field


def _storable(text: str) -> str:
    """Refuse what no database and no encoding takes: halves of a surrogate pair, and NUL."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text holds NUL or half of a surrogate pair")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$", description="Letters, digits and `._:-`, at most 64.")]
NONE_IF_EMPTY = BeforeValidator(lambda value: value or None)
"""`?status=` means the same as no status."""
