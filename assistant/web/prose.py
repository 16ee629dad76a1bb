"""Plain text to escaped HTML: paragraphs, lists, tables and emphasis, and nothing else.

The result holds no line break, so that a Markdown renderer takes it for one block and leaves what is inside alone.
"""

import html
import re
from collections.abc import Iterator
from itertools import groupby

_BULLET = re.compile(r"^\s*[-*•]\s+(.*)$")
_NUMBER = re.compile(r"^\s*\d+[.、)]\s*(.*)$")
_RULE = re.compile(r"^\s*\|?[\s:|-]+\|?\s*$")
_STRONG = re.compile(r"\*\*(.+?)\*\*")


def escaped(text: str) -> str:
    """Text that no renderer reads as markup; line breaks become `<br>`."""
    return "<br>".join(html.escape(line, quote=True) for line in text.splitlines())


def inline(text: str) -> str:
    """One line with its emphasis."""
    return _STRONG.sub(r"<strong>\1</strong>", html.escape(text, quote=True))


def prose(text: str) -> str:
    """Paragraphs, bulleted and numbered lists, pipe tables."""
    return "".join(_block(kind, list(lines)) for kind, lines in groupby(text.splitlines(), _kind) if kind != "blank")


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    if line.lstrip().startswith("|"):
        return "table"
    if _BULLET.match(line):
        return "bullets"
    return "numbers" if _NUMBER.match(line) else "lines"


def _block(kind: str, lines: list[str]) -> str:
    if kind == "table":
        return _table(lines)
    if kind == "bullets":
        return f"<ul>{''.join(_items(lines, _BULLET))}</ul>"
    if kind == "numbers":
        return f"<ol>{''.join(_items(lines, _NUMBER))}</ol>"
    return f"<p>{'<br>'.join(inline(line.lstrip('# ')) for line in lines)}</p>"


def _items(lines: list[str], pattern: re.Pattern[str]) -> Iterator[str]:
    for line in lines:
        match = pattern.match(line)
        yield f"<li>{inline(match.group(1) if match else line)}</li>"


def _table(lines: list[str]) -> str:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if not _RULE.match(line)]
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{inline(cell)}</th>' for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{inline(cell)}</td>' for cell in row)}</tr>" for row in rows[1:])
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
