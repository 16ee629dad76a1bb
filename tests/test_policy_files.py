"""HTML, Word and PDF files become policies with their sections and tables; what cannot be read is named."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import docx
import pytest
from reportlab.lib import colors
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Table, TableStyle

from assistant.adapters.documents import to_markdown
from assistant.adapters.policy_files import read_policies
from assistant.errors import InvalidInput
from assistant.knowledge import passages_of, sections

FONT = "STSong-Light"
FACTS = """id: early
version: "2026"
title: 提前还款
audience: customer
language: zh-CN
effective_from: 2026-01-01
owner: 产品部
intents: [early_repay]
"""
FEE = "第一个还款日之前提前还款，按提前归还本金的1%收提前还款费；从第一个还款日起，提前还款不收费。"
RATES = [["年化利率", "用了", "提前还款费"], ["10.8%", "30天", "100.00元"], ["14.6%", "10天", "25.75元"]]
TABLE = "| 年化利率 | 用了 | 提前还款费 |\n| --- | --- | --- |\n| 10.8% | 30天 | 100.00元 |\n| 14.6% | 10天 | 25.75元 |"


def write_html(path: Path) -> None:
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in RATES)
    path.write_bytes(
        "<html><head><meta charset='gb2312'><script>track()</script></head><body><nav>首页 登录</nav>"
        f"<h1>提前还款办法</h1><h2>收不收费</h2><p>{FEE}</p><table>{rows}</table>"
        "<h2>怎么办</h2><ol><li>打开App</li><li>选<b>借款</b></li></ol><footer>版权所有</footer></body></html>".encode(
            "gb2312"
        )
    )


def write_docx(path: Path) -> None:
    document = docx.Document()
    document.add_heading("提前还款办法", 1)
    document.add_heading("收不收费", 2)
    document.add_paragraph(FEE)
    table = document.add_table(rows=3, cols=3)
    for row, cells in zip(table.rows, RATES, strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.add_heading("怎么办", 2)
    for step in ("打开App", "选借款"):
        document.add_paragraph(step, style="List Number")
    document.save(str(path))


def write_pdf(path: Path, story: list[Flowable] | None = None) -> None:
    title, heading, body = (
        ParagraphStyle(str(size), fontName=FONT, fontSize=size, leading=size * 1.6, wordWrap="CJK")
        for size in (18, 14, 10.5)
    )
    grid = TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black), ("FONTNAME", (0, 0), (-1, -1), FONT)])
    usual: list[Flowable] = [
        Paragraph("提前还款办法", title),
        Paragraph("收不收费", heading),
        Paragraph(FEE, body),
        Table(RATES[:2], style=grid),
        PageBreak(),
        # A table that a page break cut in two repeats its head.
        Table([RATES[0], RATES[2]], style=grid),
        Paragraph("怎么办", heading),
        Paragraph("1. 打开App", body),
        Paragraph("2. 选借款", body),
        PageBreak(),
        Paragraph("附注", heading),
        Paragraph("以合同为准。", body),
    ]

    def margin(canvas: Canvas, page: SimpleDocTemplate) -> None:
        canvas.setFont(FONT, 8)
        canvas.drawString(60, 810, "云禾消费金融有限公司 制度汇编")
        canvas.drawString(280, 30, f"第 {page.page} 页")

    SimpleDocTemplate(str(path)).build(story or usual, onFirstPage=margin, onLaterPages=margin)


@pytest.fixture(autouse=True, scope="module")
def _font() -> None:
    pdfmetrics.registerFont(UnicodeCIDFont(FONT))


WRITERS: dict[str, Callable[[Path], None]] = {".html": write_html, ".docx": write_docx, ".pdf": write_pdf}


@pytest.mark.parametrize("ending", WRITERS)
def test_headings_become_sections_and_tables_stay_tables(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"early{ending}"
    WRITERS[ending](path)
    (tmp_path / f"early{ending}.yaml").write_text(FACTS, encoding="utf-8")
    (document,), broken = read_policies(tmp_path)
    assert broken == ()
    assert (document.id, document.file, document.intents) == ("early", f"early{ending}", ("early_repay",))
    found = dict(sections(document))
    assert found["收不收费"] == f"{FEE}\n\n{TABLE}"
    assert [line.strip() for line in found["怎么办"].splitlines() if line.strip()] == ["1. 打开App", "2. 选借款"] or (
        found["怎么办"].replace("**", "").split() == ["1.", "打开App", "2.", "选借款"]
    )
    everything = "".join(one.text for one in passages_of([document]))
    assert not any(word in everything for word in ("首页", "track", "版权所有", "制度汇编", "页"))


def test_a_section_below_another_is_named_after_both(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(
        "<h1>还款</h1><h2>方式</h2><p>甲。</p><h3>等额</h3><p>乙。</p><h2>日期</h2><p>丙。</p>", encoding="utf-8"
    )
    assert to_markdown(path) == "## 方式\n甲。\n\n## 方式 · 等额\n乙。\n\n## 日期\n丙。\n"


def test_a_regulation_without_headings_is_divided_by_its_articles(tmp_path: Path) -> None:
    document = docx.Document()
    for line in (
        "催收管理办法",
        "第一章 总则",
        "第一条 本办法自2026年起施行。",
        "第二条 依照第一条办理。",
        "第二章 附则",
        "第三条　由合规部解释。",
    ):
        document.add_paragraph(line)
    document.save(str(tmp_path / "a.docx"))
    assert to_markdown(tmp_path / "a.docx") == (
        "催收管理办法\n\n## 第一章 总则 · 第一条\n本办法自2026年起施行。\n\n"
        "## 第一章 总则 · 第二条\n依照第一条办理。\n\n## 第二章 附则 · 第三条\n由合规部解释。\n"
    )


def test_lines_of_a_pdf_are_joined_and_paragraphs_kept_apart(tmp_path: Path) -> None:
    body = ParagraphStyle("body", fontName=FONT, fontSize=10.5, leading=17, wordWrap="CJK")
    write_pdf(tmp_path / "a.pdf", [Paragraph(FEE * 3, body), Paragraph("另起一段。", body)])
    assert to_markdown(tmp_path / "a.pdf") == f"{FEE * 3}\n\n另起一段。\n"


# --- what cannot be read ----------------------------------------------------------------------------------------------


def locked(path: Path) -> None:
    canvas = Canvas(str(path), encrypt=StandardEncryption("secret", ownerPassword="owner"))
    canvas.drawString(100, 700, "locked")
    canvas.save()


def scanned(path: Path) -> None:
    canvas = Canvas(str(path))
    canvas.rect(100, 100, 300, 300, fill=1)
    canvas.save()


def swollen(path: Path) -> None:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as part:
        for _ in range(210):
            part.write(bytes(1_000_000))


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("a.docx", swollen, "unfolds to more than 200 MB"),
        ("a.docx", lambda path: path.write_bytes(b"PK no archive"), "not a Word document"),
        ("a.pdf", lambda path: path.write_bytes(b"%PDF-1.4 nothing"), "not a readable PDF"),
        ("a.pdf", locked, "password"),
        ("a.pdf", scanned, "text recognition"),
        ("a.html", lambda path: path.write_bytes(b""), "no text"),
        ("a.xlsx", lambda path: path.write_bytes(b"x"), "cannot read .xlsx"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, name: str, make: Callable[[Path], None], said: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(InvalidInput, match=said):
        to_markdown(tmp_path / name)


def test_a_broken_file_is_named_and_the_rest_goes_in(tmp_path: Path) -> None:
    write_html(tmp_path / "good.html")
    (tmp_path / "good.html.yaml").write_text(FACTS, encoding="utf-8")
    (tmp_path / "torn.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "torn.pdf.yaml").write_text(FACTS, encoding="utf-8")
    write_docx(tmp_path / "alone.docx")
    write_html(tmp_path / "unsaid.html")
    (tmp_path / "unsaid.html.yaml").write_text("id: [unclosed", encoding="utf-8")
    (tmp_path / "sheet.xlsx").write_bytes(b"x")
    (tmp_path / "~$alone.docx").write_bytes(b"an office program's lock")
    documents, broken = read_policies(tmp_path)
    assert [one.file for one in documents] == ["good.html"]
    assert {(one.file, one.key) for one in broken} == {
        ("torn.pdf", "body"),
        ("alone.docx", "front matter"),
        ("unsaid.html", "front matter"),
        ("sheet.xlsx", "format"),
    }
    assert "alone.docx.yaml" in next(one.message for one in broken if one.file == "alone.docx")


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_a_file_that_stays_as_it_is_is_not_converted_again(tmp_path: Path) -> None:
    folder, kept = tmp_path / "policies", tmp_path / "kept"
    folder.mkdir()
    write_pdf(folder / "early.pdf")
    (folder / "early.pdf.yaml").write_text(FACTS, encoding="utf-8")
    (first,), _ = read_policies(folder, kept)
    (text,) = kept.iterdir()
    text.write_text("## 收不收费\n来自保存的文本。\n", encoding="utf-8")
    # Other facts beside the same file: the kept text goes with them.
    (folder / "early.pdf.yaml").write_text(FACTS.replace("产品部", "合规部"), encoding="utf-8")
    (again,), _ = read_policies(folder, kept)
    assert (again.body, again.owner) == ("## 收不收费\n来自保存的文本。\n", "合规部")
    write_pdf(folder / "early.pdf")
    (changed,), _ = read_policies(folder, kept)
    assert changed.body == first.body
    # What no file stands for any more is dropped.
    assert len(list(kept.iterdir())) == 1
    (folder / "early.pdf").unlink()
    assert read_policies(folder, kept) == ((), ())
    assert list(kept.iterdir()) == []


def test_progress_is_told_file_by_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_html(tmp_path / f"{name}.html")
        (tmp_path / f"{name}.html.yaml").write_text(FACTS, encoding="utf-8")
    heard: list[tuple[int, int]] = []
    read_policies(tmp_path, after_file=lambda done, files: heard.append((done, files)))
    assert heard == [(1, 2), (2, 2)]
