"""Personal data out of a message, a placeholder in its place; and what a message may be made of at all."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping

from assistant.errors import InvalidInput
from assistant.folding import digits_from_chinese, fold
from assistant.recognisers import Kind, find
from assistant.types.messages import Masked, VaultEntry

MAX_CHARACTERS = 2_000
"""The longest message accepted, after cleaning: about three printed pages of Chinese."""

_LABELS: dict[Kind, str] = {
    "phone": "PHONE",
    "id_number": "ID",
    "bank_card": "CARD",
    "email": "EMAIL",
    "name": "NAME",
    "address": "ADDRESS",
    "code": "CODE",
}
_PLACEHOLDER = re.compile(rf"\[((?:{'|'.join(_LABELS.values())})_\d+)\]", re.IGNORECASE)
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def clean(text: str) -> str:
    """NFC, without control, bidirectional and zero-width characters, blanks collapsed.

    Raises InvalidInput for nothing left, or more than MAX_CHARACTERS left.
    """
    kept = "".join(map(_kept, unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))))
    lines = [" ".join(line.split()) for line in kept.split("\n")]
    trimmed = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if not trimmed:
        raise InvalidInput("the message is empty: write something")
    if len(trimmed) > MAX_CHARACTERS:
        raise InvalidInput(f"the message has {len(trimmed):,} characters; at most {MAX_CHARACTERS:,} are accepted")
    return trimmed


def _kept(char: str) -> str:
    if char in "\n\t":
        return char
    if char in _BLANKS:
        return ""
    category = unicodedata.category(char)
    if category in ("Zl", "Zp"):
        return "\n"
    return "" if category in ("Cc", "Cf", "Cs", "Co", "Cn") else char


def mask(text: str, known: Mapping[str, VaultEntry]) -> Masked:
    """The message with placeholders; `entries` holds only what is new to the vault.

    `known` is the session's vault by placeholder: what was said before keeps its placeholder.
    """
    # Somebody who types a placeholder must not thereby name what the vault keeps under it.
    text = _PLACEHOLDER.sub(r"(\1)", text)
    by_value = {
        (entry.kind, _canonical(entry.kind, entry.original)): placeholder for placeholder, entry in known.items()
    }
    last: defaultdict[Kind, int] = defaultdict(int)
    for placeholder, entry in known.items():
        last[entry.kind] = max(last[entry.kind], _number(placeholder))
    new: list[VaultEntry] = []
    pieces: list[str] = []
    position = 0
    for span in find(text):
        original = text[span.start : span.end]
        key = (span.kind, _canonical(span.kind, original))
        if key not in by_value:
            last[span.kind] += 1
            by_value[key] = f"[{_LABELS[span.kind]}_{last[span.kind]}]"
            new.append(VaultEntry(placeholder=by_value[key], kind=span.kind, original=original))
        pieces += (text[position : span.start], by_value[key])
        position = span.end
    return Masked(text="".join((*pieces, text[position:])), entries=tuple(new))


def plain_phone(original: str) -> str:
    """The eleven digits of a mobile number however it was written."""
    return _canonical("phone", original)


def _canonical(kind: Kind, original: str) -> str:
    """One spelling of the same thing, for comparison."""
    folded = fold(original)
    if kind in ("phone", "id_number", "bank_card"):
        spoken = digits_from_chinese(folded).upper()
        digits = "".join(char for char in spoken if char.isdigit() or char == "X")
        return digits[-11:] if kind == "phone" and len(digits) > 12 else digits
    return folded.casefold()


def _number(placeholder: str) -> int:
    match = re.search(r"_(\d+)\]$", placeholder)
    return int(match[1]) if match else 0
