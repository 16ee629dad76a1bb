"""Answers from clauses: quoted and cited, or an honest `Unanswered`."""

import re
from collections.abc import Iterator, Sequence

from assistant.figures import figures
from assistant.folding import fold
from assistant.types.answers import Answer, Citation, Passage, ScoredPassage, Unanswered
from assistant.words import content

MAX_OPENING = 120
"""Chinese characters of an answer before its details; a Latin character counts as a third of one."""
NEAREST = 3

_SENTENCE = re.compile(r".+?(?:[。！？!?](?:[”」』）)\"']*)|(?<=[A-Za-z0-9)%])\.(?=\s|$)|$)", re.DOTALL)
_MARKS = re.compile(r"\*\*|__|`")
_LIST_OR_TABLE = re.compile(r"\s*(?:\||[-*+] |[0-9]+[.)、] ?)")


def nearest(passages: Sequence[ScoredPassage]) -> Unanswered:
    """That none of the passages answers, with the documents that come nearest."""
    return Unanswered(
        reason="no_passage", nearest=tuple(dict.fromkeys(one.passage.document_id for one in passages[:NEAREST]))
    )


def choose(passages: Sequence[ScoredPassage]) -> Passage | None:
    """The best passage, where it answers at all."""
    return passages[0].passage if passages and passages[0].score >= 0 else None


def extract(passage: Passage, room: int = MAX_OPENING) -> Answer:
    """The opening of a section, word for word, with the rest of it as details; `room` is in Chinese characters.

    Emphasis marks are dropped; every other character of text, details and quote is the clause's.
    """
    body = _MARKS.sub("", passage.text).strip()
    first, _, rest = body.partition("\n")
    if _LIST_OR_TABLE.match(first):
        opening, quote, details = _announced(passage), first, body
    else:
        opening = quote = _opening(first, room)
        details = f"{first[len(opening) :].strip()}\n{rest.strip()}".strip()
    citation = Citation(
        document_id=passage.document_id,
        version=passage.version,
        title=passage.title,
        section=passage.section,
        quote=quote,
        effective_from=passage.effective_from,
        effective_to=passage.effective_to,
    )
    return Answer(text=opening, details=details, citations=(citation,))


def _announced(passage: Passage) -> str:
    """What is said of a section that opens with a list or a table."""
    if passage.language == "en":
        return f"{passage.section}: see below."
    return f"关于「{passage.section}」，规定如下。"


def _opening(paragraph: str, room: int) -> str:
    """Whole sentences from the start, as many as fit; the first one always, for half a rule can be a wrong one."""
    taken = ""
    for match in _SENTENCE.finditer(paragraph):
        if taken and reading_length(taken + match[0]) > room:
            break
        taken += match[0]
    return taken.strip() or paragraph.strip()


def reading_length(text: str) -> int:
    """Length in Chinese characters; three Latin characters count as one."""
    latin = sum(char.isascii() for char in text)
    return len(text) - latin + latin // 3


# --- claims -----------------------------------------------------------------------------------------------------------

_RULE = re.compile(
    r"《[^》]{2,40}》|[一-龥]{0,14}?[一-龥]{2}(?:法典|条例|管理办法|保护法|监督法|洗钱法)|第[零一二三四五六七八九十百千0-9]+条"
)
_CLAUSE = re.compile(r"(?:[^。！？!?；;\n.]|\.(?!\s|$))+")
_MODALITIES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"不可以|不能|不得|不可(?!能)|不允许|禁止|无法|must not|may not|can ?not|can't",
        r"免费|免息|免收|零费用|不(?:另)?(?:收|扣)(?:取)?[^。，,；;]{0,8}(?:费|息)|无需付费|不用付费|"
        r"free of charge|for free|\bis free\b|no (?:fee|charge|interest)",
        r"(?<!不)可以|(?<!不)允许|\bcan\b(?! ?not)|\bmay\b(?! not)",
        r"必须|务必|应当|\bmust\b(?! not)|have to|required",
        r"(?<!不)保证|承诺|(?<!不)(?<!不是)一定(?!要|期|的|数)|肯定|百分之?百|\bguarantee[sd]?\b|definitely",
    )
)
"""What is forbidden, free, allowed, required, promised."""
_SAME_MATTER = 0.34
"""Share of the content words of the shorter clause that two of the same matter have in common."""


def claim_check(draft: str, passages: Sequence[str]) -> tuple[str, ...]:
    """What a draft states and no passage supports: figures, dates, times, named rules, and clauses of modality.

    A figure is its value with its unit, however written: 三天 is 3 days, 百分之二十四 is 24%. A modality (可以, 不可以,
    必须, 免费, 保证; may, must, free) counts as supported where a sentence of the same matter has the same one.
    """
    ground = [fold(text) for text in passages]
    text = fold(draft)
    unsupported = [
        *_unsupported_figures(text, " \n".join(ground)),
        *(rule for rule in _rules(text) if not any(_is_named(rule, one.replace(" ", "")) for one in ground)),
        *_unsupported_modalities(text, ground),
    ]
    return tuple(dict.fromkeys(unsupported))


def _unsupported_figures(draft: str, ground: str) -> Iterator[str]:
    known = {figure for _, figure in figures(ground)}
    values = {value for value, _ in known}
    for written, (value, unit) in figures(draft):
        if (value, unit) not in known and (unit or value not in values):
            yield written


def _rules(text: str) -> Iterator[str]:
    for match in _RULE.finditer(text.replace(" ", "")):
        yield match[0]


def _is_named(rule: str, text: str) -> bool:
    if rule.startswith(("《", "第")):
        return rule.strip("《》") in text
    # Without marks the words before a name run into it: its end must stand in the text.
    return any(rule[start:] in text for start in range(max(1, len(rule) - 4)))


def _unsupported_modalities(draft: str, ground: Sequence[str]) -> Iterator[str]:
    sentences = [sentence for text in ground for sentence in _CLAUSE.findall(text)]
    for clause in _CLAUSE.findall(draft):
        for pattern in _MODALITIES:
            if pattern.search(clause) and not any(
                pattern.search(sentence) and _same_matter(pattern.sub(" ", clause), pattern.sub(" ", sentence))
                for sentence in sentences
            ):
                yield clause.strip()


def _same_matter(one: str, other: str) -> bool:
    said, known = content(one), content(other)
    smaller = min(len(said), len(known))
    return not smaller or len(said & known) / smaller >= _SAME_MATTER
