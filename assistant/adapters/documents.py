"""Policy files that are not Markdown, turned into it: headings become sections, tables stay tables."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from assistant.adapters.pdf import pdf_to_markdown
from assistant.errors import InvalidInput

CONVERTER = "1"
"""Version of how files become text; another one converts them anew."""
LARGEST = 20_000_000
"""Bytes of a file; a policy is text."""
_LARGEST_UNFOLDED = 10 * LARGEST
_LEFT_OUT = ("script", "style", "nav", "header", "footer", "aside", "form", "noscript", "template", "img", "svg")
_HEADING = re.compile(r"^(#{1,6}) +(.+?)\s*#*$")
_NUMBERED = re.compile(
    r"^(?:(?P<chapter>第[一二三四五六七八九十百零0-9]+[章节])|(?P<article>第[一二三四五六七八九十百零0-9]+条)"
    r"|(?P<item>[一二三四五六七八九十]+、))[\s　]*(?P<rest>.*)$"
)
_LONGEST_HEADING = 30


class _Line(NamedTuple):
    """A line of Markdown; `level` is 0 where it is no heading."""

    level: int
    text: str


def to_markdown(path: Path) -> str:
    """The text of a file as Markdown whose `## ` headings are its sections.

    A section below another is named after both: `还款 · 提前还款`. Documents without headings are divided where
    chapters (第一章), articles (第三条) or items (一、) begin. Raises InvalidInput for what cannot be read.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(f"cannot read {path.suffix or 'a file without an ending'}: give {', '.join(READERS)} or .md")
    if path.stat().st_size > LARGEST:
        raise InvalidInput(f"larger than {LARGEST // 1_000_000} MB")
    text = reader(path)
    if not text.strip():
        raise InvalidInput("holds no text: if it is a scan, run text recognition first")
    return sectioned(text)


def html_to_markdown(path: Path) -> str:
    """An HTML page without its navigation, scripts and pictures."""
    return _markdown_of_html(path.read_bytes())


def docx_to_markdown(path: Path) -> str:
    """A Word document; headings are what Word's heading styles mark. Raises InvalidInput."""
    from zipfile import BadZipFile, ZipFile

    import mammoth

    try:
        # An archive says how large it unfolds; a small one can hold gigabytes.
        with ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > _LARGEST_UNFOLDED:
                raise InvalidInput(f"unfolds to more than {_LARGEST_UNFOLDED // 1_000_000} MB")
        with path.open("rb") as file:
            return _markdown_of_html(mammoth.convert_to_html(file).value)
    except (BadZipFile, KeyError, ValueError) as error:
        raise InvalidInput(f"not a Word document: {error}") from error


READERS: Mapping[str, Callable[[Path], str]] = {
    ".html": html_to_markdown,
    ".htm": html_to_markdown,
    ".docx": docx_to_markdown,
    ".pdf": pdf_to_markdown,
}


def _markdown_of_html(html: bytes | str) -> str:
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    soup = BeautifulSoup(html, "html.parser")
    for tag in soup(_LEFT_OUT):
        tag.decompose()
    converter = MarkdownConverter(
        heading_style="ATX",
        bullets="-",
        strip=["a"],
        table_infer_header=True,
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
    )
    text: str = converter.convert_soup(soup.body or soup)
    return text


def sectioned(markdown: str) -> str:
    """Markdown with every heading at the level of a section, and no section without text."""
    lines = list(_lines(markdown))
    if not any(line.level for line in lines):
        lines = list(_numbered(lines))
    top = _section_level(lines)
    trail: dict[int, str] = {}
    written: list[str] = []
    pending: str | None = None
    for line in lines:
        if not line.level:
            if pending and line.text.strip():
                written += ["", f"## {pending}"]
                pending = None
            written.append(line.text)
            continue
        trail = {level: text for level, text in trail.items() if level < line.level} | {line.level: line.text}
        pending = " · ".join(text for level, text in sorted(trail.items()) if level >= top) or None
    return re.sub(r"\n{3,}", "\n\n", "\n".join(written)).strip() + "\n"


def _lines(markdown: str) -> Iterator[_Line]:
    fenced = False
    for text in markdown.splitlines():
        fenced ^= text.lstrip().startswith("```")
        match = None if fenced else _HEADING.match(text)
        yield _Line(len(match[1]), _plain(match[2])) if match else _Line(0, text.rstrip())


def _numbered(lines: list[_Line]) -> Iterator[_Line]:
    """Chapters, articles and items as headings; what follows the number of an article is its text."""
    for line in lines:
        match = _NUMBERED.match(_plain(line.text))
        if match is None:
            yield line
        elif match["article"]:
            yield _Line(2, match["article"])
            if match["rest"]:
                yield _Line(0, match["rest"])
        elif len(line.text) <= _LONGEST_HEADING and not line.text.rstrip().endswith(("。", "；", "，")):
            yield _Line(1 if match["chapter"] else 3, _plain(line.text))
        else:
            yield line


def _section_level(lines: list[_Line]) -> int:
    """The first level that occurs more than once; a single heading above is the title."""
    levels = sorted(line.level for line in lines if line.level)
    for level, group in itertools.groupby(levels):
        if len(list(group)) > 1 or level == levels[-1]:
            return level
    return 1


def _plain(text: str) -> str:
    return re.sub(r"\*\*|__|`", "", text).strip()
