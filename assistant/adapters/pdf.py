"""Text of PDF files as Markdown: larger or bolder lines are headings, ruled tables stay tables."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from assistant.errors import InvalidInput

if TYPE_CHECKING:
    from pdfplumber.page import Page

MOST_PAGES = 300
_LARGER = 1.12
"""How much larger than the text a heading is."""
_LONGEST_HEADING = 40
"""Chinese characters; a Latin one takes half of one."""
_EDGE = 0.07
"""Share of a page's height in which running heads and feet stand."""
_LEAST_REPEATS = 3
"""Pages on which a line stands that belongs to the page and not to the text."""
_PAGE_NUMBER = re.compile(
    r"^[-—–\s]*(?:第\s*)?\d+(?:\s*[/／]\s*(?:共\s*)?\d+)?(?:\s*页)?(?:\s*[,，]?\s*共\s*\d+\s*页)?[-—–\s]*$"
)
_BEGINS_ANEW = re.compile(
    r"^(?:[-•·●○▪]|[0-9]{1,2}[.、)）]|[（(][0-9一二三四五六七八九十]+[)）]|第[一二三四五六七八九十百零0-9]+[章节条]|[一二三四五六七八九十]+、)"
)
_BULLET = re.compile(r"^[•·●○▪]\s*")

Rows = list[list[str]]


class _Line(NamedTuple):
    page: int
    top: float
    bottom: float
    right: float
    size: float
    bold: bool
    edge: bool
    """It stands where running heads and feet do."""
    text: str


class _Table(NamedTuple):
    page: int
    top: float
    bottom: float
    rows: Rows


def pdf_to_markdown(path: Path) -> str:
    """Empty where the file holds pictures alone. Raises InvalidInput for what is broken, locked or too long."""
    import pdfplumber
    from pdfminer.pdfdocument import PDFPasswordIncorrect
    from pdfminer.pdfexceptions import PDFException
    from pdfplumber.utils.exceptions import PdfminerException

    try:
        with pdfplumber.open(path) as pdf:
            if len(pdf.pages) > MOST_PAGES:
                raise InvalidInput(f"has {len(pdf.pages)} pages, more than {MOST_PAGES}: divide it")
            parts = [part for number, page in enumerate(pdf.pages) for part in _parts(page, number)]
    except (PDFException, PdfminerException, ValueError, KeyError, TypeError) as error:
        locked = isinstance(error, PDFPasswordIncorrect) or isinstance(error.__context__, PDFPasswordIncorrect)
        raise InvalidInput("is locked by a password" if locked else f"not a readable PDF: {error}") from error
    return "\n\n".join(_blocks(_without_margins(parts)))


def _parts(page: "Page", number: int) -> Iterator[_Line | _Table]:
    """Lines and tables of a page from top to bottom."""
    tables = [table for table in page.find_tables() if len(table.rows) > 1]

    def outside(thing: dict[str, float]) -> bool:
        x, y = (thing["x0"] + thing["x1"]) / 2, (thing["top"] + thing["bottom"]) / 2
        return not any(
            left <= x <= right and top <= y <= bottom for left, top, right, bottom in (t.bbox for t in tables)
        )

    found: list[_Line | _Table] = [
        _Table(number, table.bbox[1], table.bbox[3], [[_cell(text) for text in row] for row in table.extract()])
        for table in tables
    ]
    text = page.filter(lambda thing: thing["object_type"] == "char" and outside(thing))
    for line in text.dedupe_chars().extract_text_lines(return_chars=True):
        chars = line["chars"]
        size = Counter(round(char["size"] * 2) / 2 for char in chars).most_common(1)[0][0]
        bold = all(re.search("bold|black|heavy|heiti|simhei", char["fontname"], re.IGNORECASE) for char in chars)
        edge = line["bottom"] < page.height * _EDGE or line["top"] > page.height * (1 - _EDGE)
        found.append(_Line(number, line["top"], line["bottom"], line["x1"], size, bold, edge, line["text"].strip()))
    yield from sorted(found, key=lambda part: part.top)


def _cell(text: str | None) -> str:
    return _joined((text or "").splitlines()).replace("|", "／")


def _without_margins(parts: Sequence[_Line | _Table]) -> list[_Line | _Table]:
    """Without page numbers, small print at the edge of a page, and what stands at one height of many pages."""
    lines = [part for part in parts if isinstance(part, _Line)]
    places, usual = Counter((round(line.top), line.text) for line in lines), _usual_size(lines)

    def of_the_page(line: _Line) -> bool:
        small = line.edge and line.size < usual
        return small or bool(_PAGE_NUMBER.match(line.text)) or places[round(line.top), line.text] >= _LEAST_REPEATS

    return [part for part in parts if isinstance(part, _Table) or not of_the_page(part)]


def _usual_size(lines: Sequence[_Line]) -> float:
    sizes = Counter[float]()
    for line in lines:
        sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _blocks(parts: Sequence[_Line | _Table]) -> Iterator[str]:
    lines = [part for part in parts if isinstance(part, _Line)]
    usual = _usual_size(lines)
    margin = max((line.right for line in lines), default=0.0)
    ranks = sorted({(line.size, line.bold) for line in lines if _is_heading(line, usual)}, reverse=True)
    paragraph: list[_Line] = []
    table: _Table | None = None
    for part in parts:
        heading = isinstance(part, _Line) and _is_heading(part, usual)
        if paragraph and (isinstance(part, _Table) or heading or _ends(paragraph[-1], part, margin)):
            yield _paragraph(paragraph)
            paragraph = []
        if table is not None and not (isinstance(part, _Table) and _goes_on(table, part)):
            yield _markdown(table.rows)
            table = None
        if isinstance(part, _Table):
            table = part if table is None else _appended(table, part)
        elif heading:
            yield f"{'#' * min(6, 1 + ranks.index((part.size, part.bold)))} {part.text}"
        else:
            paragraph.append(part)
    if paragraph:
        yield _paragraph(paragraph)
    if table is not None:
        yield _markdown(table.rows)


def _is_heading(line: _Line, usual: float) -> bool:
    width = sum(0.5 if char.isascii() else 1 for char in line.text)
    short = width <= _LONGEST_HEADING and not line.text.endswith(("。", "；", "，", ",", ";"))
    return short and (line.size >= usual * _LARGER or (line.bold and line.size >= usual))


def _ends(last: _Line, following: _Line, margin: float) -> bool:
    """Whether a paragraph ends with its last line: it is short of the margin, or the next one begins anew."""
    if _BEGINS_ANEW.match(following.text):
        return True
    if following.page != last.page:
        return last.text.endswith(("。", "！", "？", "：", "."))
    gap = following.top - last.bottom
    return gap > 1.2 * last.size or (last.right < margin - 2 * last.size)


def _paragraph(lines: Sequence[_Line]) -> str:
    return _BULLET.sub("- ", _joined([line.text for line in lines]))


def _joined(lines: Sequence[str]) -> str:
    """Lines as one; a blank between them only where Latin words meet."""
    text = ""
    for line in (line.strip() for line in lines):
        between = " " if text and line and text[-1].isascii() and line[0].isascii() and not text.endswith("-") else ""
        text += between + line
    return text


def _goes_on(table: _Table, following: _Table) -> bool:
    return following.page == table.page + 1 and len(following.rows[0]) == len(table.rows[0])


def _appended(table: _Table, following: _Table) -> _Table:
    """A table that a page break cut in two; the heading that was printed again is dropped."""
    rest = following.rows[1:] if following.rows[0] == table.rows[0] else following.rows
    return following._replace(rows=[*table.rows, *rest])


def _markdown(rows: Rows) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
