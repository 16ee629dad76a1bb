"""Policies as the files that institutions have: Markdown, HTML, Word and PDF.

Word and PDF files are written with python-docx and reportlab, which the tests need and serving does not; they are
imported where they are used.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from assistant.adapters.policy_files import SIDECAR
from assistant.errors import ConfigurationError
from assistant.knowledge import is_table, sections
from assistant.types.policies import PolicyDocument

_ITEM = re.compile(r"^\s*(\d+\.|-) +(.*)$")
_FONT = "STSong-Light"
"""A font that PDF readers bring along; nothing is embedded."""


class _Block(NamedTuple):
    """A paragraph of one cell, list items of one cell each, or the rows of a table."""

    kind: str
    rows: list[list[str]]


def write_policy(document: PolicyDocument, folder: Path, ending: str) -> Path:
    """The document as a file of this ending, its facts in it or beside it. Returns where it is.

    Raises ConfigurationError where the library that writes this kind of file is not installed.
    """
    path = folder / f"{document.id}@{document.version}{ending}"
    facts = document.model_dump(exclude={"file", "body"})
    lines = {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}
    front = yaml.safe_dump(lines, allow_unicode=True, sort_keys=False)
    if ending == ".md":
        path.write_text(f"---\n{front}---\n\n{document.body}\n", encoding="utf-8")
        return path
    try:
        WRITERS[ending](document, path)
    except ImportError as error:
        raise ConfigurationError(f"{ending} files are written with {error.name}: pip install -e '.[test]'") from error
    path.with_name(path.name + SIDECAR).write_text(front, encoding="utf-8")
    return path


def write_html(document: PolicyDocument, path: Path) -> None:
    """A page with the navigation that pages have."""
    parts = [f"<h1>{html.escape(document.title)}</h1>"]
    for heading, text in sections(document):
        parts.append(f"<h2>{html.escape(heading)}</h2>")
        for kind, rows in _blocks(text):
            escaped = [[html.escape(cell) for cell in row] for row in rows]
            if kind == "table":
                lines = ("".join(f"<td>{cell}</td>" for cell in row) for row in escaped)
                parts.append(f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>")
            elif kind == "paragraph":
                parts += [f"<p>{row[0]}</p>" for row in escaped]
            else:
                parts.append(f"<{kind}>{''.join(f'<li>{row[0]}</li>' for row in escaped)}</{kind}>")
    head = f"<head><meta charset='utf-8'><title>{html.escape(document.title)}</title></head>"
    body = f"<body><nav>首页 登录</nav>{''.join(parts)}<footer>版权所有</footer></body>"
    path.write_text(f"<!doctype html><html>{head}{body}</html>", encoding="utf-8")


def write_docx(document: PolicyDocument, path: Path) -> None:
    """A Word document with Word's own headings, lists and tables."""
    import docx

    styles = {"paragraph": "Normal", "ol": "List Number", "ul": "List Bullet"}
    file = docx.Document()
    file.add_heading(document.title, 1)
    for heading, text in sections(document):
        file.add_heading(heading, 2)
        for kind, rows in _blocks(text):
            if kind == "table":
                table = file.add_table(rows=len(rows), cols=max(map(len, rows)))
                for line, row in zip(table.rows, rows, strict=True):
                    for cell, words in zip(line.cells, row, strict=False):
                        cell.text = words
            else:
                for row in rows:
                    file.add_paragraph(row[0], style=styles[kind])
    file.save(str(path))


def write_pdf(document: PolicyDocument, path: Path) -> None:
    """Pages set in three sizes of type, with ruled tables."""
    from reportlab.lib import colors
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Table, TableStyle

    pdfmetrics.registerFont(UnicodeCIDFont(_FONT))
    title, section, body = (
        ParagraphStyle(str(size), fontName=_FONT, fontSize=size, leading=size * 1.6, wordWrap="CJK")
        for size in (18, 14, 10.5)
    )
    grid = TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)])
    story: list[Any] = [Paragraph(html.escape(document.title), title)]
    for heading, text in sections(document):
        story.append(Paragraph(html.escape(heading), section))
        for kind, rows in _blocks(text):
            if kind == "table":
                story.append(Table([[Paragraph(html.escape(cell), body) for cell in row] for row in rows], style=grid))
                continue
            for number, row in enumerate(rows, 1):
                mark = {"paragraph": "", "ol": f"{number}. ", "ul": "- "}[kind]
                story.append(Paragraph(html.escape(mark + row[0]), body))
    SimpleDocTemplate(str(path)).build(story)


WRITERS: Mapping[str, Callable[[PolicyDocument, Path], None]] = {
    ".html": write_html,
    ".docx": write_docx,
    ".pdf": write_pdf,
}
ENDINGS = (".md", *WRITERS)


def _blocks(text: str) -> Iterator[_Block]:
    for block in re.split(r"\n{2,}", text.replace("**", "")):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        if is_table(block):
            rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            yield _Block("table", [row for row in rows if set("".join(row)) - set("-: ")])
            continue
        for line in lines:
            item = _ITEM.match(line)
            if item is None:
                yield _Block("paragraph", [[line]])
        items = [match for line in lines if (match := _ITEM.match(line))]
        if items:
            yield _Block("ul" if items[0][1] == "-" else "ol", [[item[2]] for item in items])
