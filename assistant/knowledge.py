"""Policy documents, and the dated, versioned passages made of them."""

import itertools
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date
from typing import NamedTuple

from assistant.figures import figures
from assistant.folding import fold
from assistant.types.answers import Passage
from assistant.types.policies import Finding, PolicyDocument
from assistant.types.value import DocumentId, IntentId
from assistant.words import content

LONGEST_PASSAGE = 480
"""Encoder tokens after which a section is split: it reads 512, and the heading stands before the text."""
LONGEST_OPENING = 120
"""Chinese characters of a section's first sentence: it is what a customer reads before anything unfolds."""
ENGLISH = "-en"
"""What the id of an English translation ends in; the rest is the id of its original."""
_HEADING = re.compile(r"^## +(.+?)\s*$", re.MULTILINE)
ONE_MATTER = 0.5
"""Share of the words of two statements that they have in common where they speak of one thing."""
_LEAST_WORDS = 3
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")
_STATEMENT = re.compile(r"[^。；;!?！？\n]+")
_EXAMPLE = re.compile(r"示例|例如|example|\|", re.IGNORECASE)
_SENTENCES = ["\n\n", "\n", "。", "；", ". ", "; ", "，", ", "]


# --- passages ---------------------------------------------------------------------------------------------------------


def passages_of(documents: Sequence[PolicyDocument]) -> tuple[Passage, ...]:
    """The passages of all documents, in their order; `passage_id` is `id@version#n`, n from 1 in each document."""
    return tuple(passage for document in documents for passage in _passages(document))


def _passages(document: PolicyDocument) -> Iterator[Passage]:
    pieces = ((section, piece) for section, text in sections(document) for piece in _pieces(text))
    for number, (section, text) in enumerate(pieces, 1):
        yield Passage(
            passage_id=f"{document.id}@{document.version}#{number}",
            document_id=document.id,
            version=document.version,
            title=document.title,
            section=section,
            text=text,
            products=document.products,
            audience=document.audience,
            language=document.language,
            effective_from=document.effective_from,
            effective_to=document.effective_to,
            owner=document.owner,
            intents=document.intents,
            sources=document.sources,
            governs=document.governs,
        )


def sections(document: PolicyDocument) -> tuple[tuple[str, str], ...]:
    """(heading, text) of each `## ` section with text in it.

    What stands before the first one introduces the document and answers nothing; a body without headings is one section
    under the title.
    """
    # Of LangChain's two splitters by heading this one keeps indentation and blank lines, so that a quote is word for
    # word and nested lists stay nested. It cuts out rules and code blocks as chunks of their own: joined again here.
    from langchain_text_splitters import ExperimentalMarkdownSyntaxTextSplitter

    splitter = ExperimentalMarkdownSyntaxTextSplitter([("#", "title"), ("##", "section")])
    found: list[tuple[str | None, str]] = []
    for chunk in splitter.split_text(document.body):
        section = chunk.metadata.get("section")
        if found and found[-1][0] == section:
            found[-1] = (section, found[-1][1] + chunk.page_content)
        else:
            found.append((section, chunk.page_content))
    divided = any(section is not None for section, _ in found)
    return tuple(
        (section or document.title, text.strip())
        for section, text in found
        if text.strip() and (section is not None or not divided)
    )


def _pieces(text: str) -> Iterator[str]:
    """The section itself, or where it is too long its blocks packed anew; a table is never cut."""
    if _length(text) <= LONGEST_PASSAGE:
        yield text
        return
    packed = ""
    for block in _blocks(text):
        if packed and _length(packed) + _length(block) > LONGEST_PASSAGE:
            yield packed
            packed = ""
        packed = f"{packed}\n\n{block}" if packed else block
    if packed:
        yield packed


def _blocks(text: str) -> Iterator[str]:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(
        separators=_SENTENCES,
        keep_separator="end",
        chunk_size=LONGEST_PASSAGE,
        chunk_overlap=0,
        length_function=_length,
    )
    for block in re.split(r"\n{2,}", text):
        if _length(block) <= LONGEST_PASSAGE or is_table(block):
            yield block
        else:
            yield from splitter.split_text(block)


def _length(text: str) -> int:
    """About how many tokens: one a Chinese character or mark, one for three Latin ones."""
    latin = sum(char.isascii() for char in text)
    return len(text) - latin + (latin + 2) // 3


def is_table(block: str) -> bool:
    """Whether a block of Markdown is a table: every line begins with a bar."""
    lines = [line for line in block.splitlines() if line.strip()]
    return len(lines) > 1 and all(line.lstrip().startswith("|") for line in lines)


# --- checking ---------------------------------------------------------------------------------------------------------


def check(
    documents: Sequence[PolicyDocument], routes: Mapping[IntentId, str | None], today: date
) -> tuple[Finding, ...]:
    """What is wrong with the policy base; `routes` maps each intent of the taxonomy to its route."""
    return (
        *(finding for document in documents for finding in _check_document(document, frozenset(routes))),
        *_check_versions(documents, today),
        *_check_coverage(documents, routes, today),
        *_check_references(documents),
        *_check_contradictions(documents),
    )


def _check_document(document: PolicyDocument, intents: Set[IntentId]) -> Iterator[Finding]:
    def finding(key: str, message: str, severity: str = "error") -> Finding:
        return Finding(file=document.file, key=key, message=message, severity=severity)

    if not document.owner.strip():
        yield finding("owner", "missing")
    if document.effective_to is not None and document.effective_to < document.effective_from:
        yield finding("effective_to", f"{document.effective_to} lies before effective_from {document.effective_from}")
    for intent in document.intents:
        if intent not in intents:
            yield finding("intents", f"{intent} is not in the taxonomy")
    headings = list(_HEADING.finditer(document.body))
    if not headings:
        yield finding("body", "has no `## ` section")
    for heading, following in itertools.zip_longest(headings, headings[1:]):
        text = document.body[heading.end() : following.start() if following else None].strip()
        if not text:
            yield finding(f"## {heading[1]}", "empty section")
        elif _length(re.split(r"(?<=[。！？])|(?<=\.)\s|\n", text, maxsplit=1)[0]) > LONGEST_OPENING:
            yield finding(f"## {heading[1]}", f"opens with a sentence over {LONGEST_OPENING} characters", "warning")


def _check_versions(documents: Sequence[PolicyDocument], today: date) -> Iterator[Finding]:
    by_id: dict[str, list[PolicyDocument]] = {}
    for document in documents:
        by_id.setdefault(document.id, []).append(document)
    for versions in by_id.values():
        seen: dict[str, str] = {}
        for document in versions:
            if document.version in seen:
                message = f"{document.id}@{document.version} stands in {seen[document.version]} too"
                yield Finding(file=document.file, key="version", message=message)
            seen.setdefault(document.version, document.file)
        if len({document.governs for document in versions}) > 1:
            message = f"the versions of {versions[0].id} do not agree on which day decides between them"
            yield Finding(file=versions[0].file, key="governs", message=message)
        yield from _check_validity(sorted(versions, key=lambda document: document.effective_from), today)
        if (original := versions[0].id.removesuffix(ENGLISH)) != versions[0].id:
            written = {document.version for document in by_id.get(DocumentId(original), ())}
            for document in versions:
                if document.version not in written:
                    message = f"translates {original}@{document.version}, which does not exist"
                    yield Finding(file=document.file, key="version", message=message)


def _check_validity(versions: Sequence[PolicyDocument], today: date) -> Iterator[Finding]:
    """Versions of one id, earliest first: neither two at once nor none between two."""
    for earlier, later in itertools.pairwise(versions):
        if earlier.effective_to is None or earlier.effective_to >= later.effective_from:
            message = (
                f"{earlier.id}@{earlier.version} runs until {earlier.effective_to or 'further notice'}, "
                f"{later.id}@{later.version} ({later.file}) from {later.effective_from}: both are in force"
            )
            yield Finding(file=earlier.file, key="effective_to", message=message)
        elif (later.effective_from - earlier.effective_to).days > 1:
            message = f"nothing in force between {earlier.effective_to} and {later.effective_from} ({later.file})"
            yield Finding(file=earlier.file, key="effective_to", message=message)
    last = versions[-1]
    if last.effective_to is not None and last.effective_to < today:
        message = f"{last.id} ended on {last.effective_to} and has no successor"
        yield Finding(file=last.file, key="effective_to", message=message, severity="warning")


def _check_coverage(
    documents: Sequence[PolicyDocument], routes: Mapping[IntentId, str | None], today: date
) -> Iterator[Finding]:
    """Each intent that is answered from policy needs a customer document in force, in Chinese."""
    covered = {
        intent
        for document in documents
        if document.audience == "customer" and document.language == "zh-CN"
        if document.effective_from <= today and (document.effective_to is None or today <= document.effective_to)
        for intent in document.intents
    }
    for intent, route in routes.items():
        if route == "answer" and intent not in covered:
            yield Finding(file="(no file)", key="intents", message=f"no customer document in force for {intent}")


def _check_references(documents: Sequence[PolicyDocument]) -> Iterator[Finding]:
    """A link to another document must lead to one."""
    files = {document.file for document in documents}
    for document in documents:
        for target in _LINK.findall(document.body):
            if posixpath.normpath(posixpath.join(posixpath.dirname(document.file), target)) not in files:
                yield Finding(file=document.file, key="body", message=f"links to {target}, which does not exist")


class _Statement(NamedTuple):
    """A sentence with figures: what it is about, and its values by unit."""

    document: PolicyDocument
    section: str
    text: str
    words: frozenset[str]
    values: Mapping[str, Set[object]]


def _check_contradictions(documents: Sequence[PolicyDocument]) -> Iterator[Finding]:
    """Statements of one matter with other figures, in documents in force on one day for one product and language.

    Examples and tables are left out: their figures are of a case. What it finds is for a person to judge.
    """
    statements = [statement for document in documents for statement in _statements(document)]
    holding: dict[str, list[int]] = {}
    for place, statement in enumerate(statements):
        shared = Counter(other for word in statement.words for other in holding.get(word, ()))
        for other, common in shared.items():
            earlier = statements[other]
            alike = common / (len(statement.words) + len(earlier.words) - common)
            if alike >= ONE_MATTER and _meet(statement.document, earlier.document):
                for unit in statement.values.keys() & earlier.values.keys():
                    if statement.values[unit].isdisjoint(earlier.values[unit]):
                        yield Finding(
                            file=statement.document.file,
                            key=f"## {statement.section}",
                            message=f"{statement.text!r} may contradict {earlier.document.file}: {earlier.text!r}",
                            severity="warning",
                        )
        for word in statement.words:
            holding.setdefault(word, []).append(place)


def _statements(document: PolicyDocument) -> Iterator[_Statement]:
    for section, text in sections(document):
        for sentence in _STATEMENT.findall(fold(text)):
            found = [] if _EXAMPLE.search(sentence) else [(said, one) for said, one in figures(sentence) if one[1]]
            bare = sentence
            for said, _ in found:
                bare = bare.replace(said, " ")
            words = content(bare)
            if found and len(words) >= _LEAST_WORDS:
                values: dict[str, set[object]] = {}
                for _, (value, unit) in found:
                    values.setdefault(unit, set()).add(value)
                yield _Statement(document, section, sentence.strip(), words, values)


def _meet(one: PolicyDocument, other: PolicyDocument) -> bool:
    """Whether both speak to the same reader: on some day, of some product, in one language."""
    first, last = max(one.effective_from, other.effective_from), [one.effective_to, other.effective_to]
    days = all(end is None or end >= first for end in last)
    products = not one.products or not other.products or bool(set(one.products) & set(other.products))
    return days and products and one.language == other.language and one is not other
