"""What several commands share: settings, the console for people, options."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

if TYPE_CHECKING:
    from rich.console import Console

    from assistant.settings import Settings

# Rich's markup of help and errors costs start-up time and writes errors over several lines.
PLAIN: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False, "add_completion": False}


class Product(StrEnum):
    """Whose policies are meant."""

    pay_later = "pay_later"
    cash_loan = "cash_loan"
    merchant_loan = "merchant_loan"


class Language(StrEnum):
    """A language the assistant speaks."""

    zh = "zh-CN"
    en = "en"


Json = Annotated[bool, Option("--json", help="Print JSON.")]
Out = Annotated[Path | None, Option(help="Folder that the result is written to.")]


def read_settings(**changed: Any) -> "Settings":
    """The settings, with options of the command in place of variables."""
    from assistant.settings import Settings

    return Settings(**{name: value for name, value in changed.items() if value is not None})


def terminal() -> "Console":
    """Where progress and notes for people go: standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
