"""What would change: the policies folder as it stands against the published index, before anything is published."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from difflib import ndiff
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from assistant import masking, slots
from assistant.adapters.retrieval import UNPUBLISHED, HybridRetriever
from assistant.adapters.sql_schema import EPOCH
from assistant.calendar import local_date
from assistant.compose import open_classifier, open_encoder, open_message_encoder, open_retriever
from assistant.enquiries import chosen
from assistant.errors import InvalidInput
from assistant.glossary import Glossary, load_glossary
from assistant.heads import Heads
from assistant.intents import IntentClassifier
from assistant.knowledge import passages_of
from assistant.library import policies, progress, require_set_up
from assistant.settings import Settings
from assistant.setup import open_store
from assistant.taxonomy import load_taxonomy
from assistant.types.answers import Passage, Unanswered
from assistant.types.policies import Finding
from assistant.types.questions import AskedQuestion
from assistant.types.steps import AnswerFromPolicy
from assistant.types.understanding import Act, Product
from assistant.types.value import DocumentId, IntentId, Locale, Value
from assistant.words import normalise

if TYPE_CHECKING:
    from rich.console import Console

QUESTIONS = 1_000
"""Stored questions that are tried, the newest; each counts once."""
LOOKED_AT = 5_000
"""Turns, and unanswered questions, among which they are looked for."""
LONGEST_FILE = 10_000
"""Rows of a file of questions."""

Change = Literal["added", "removed", "changed"]
Kind = Literal["new answer", "lost", "other clause", "other words"]
_MARKS: dict[Change, str] = {"added": "+", "removed": "-", "changed": "~"}


class DocumentChange(Value):
    """A version of a document that the folder and the published index do not both have, or not alike."""

    document_id: DocumentId
    version: str
    change: Change


class Clause(Value):
    """What a question is answered with, and where that stands."""

    document_id: DocumentId
    version: str
    section: str
    text: str

    def __str__(self) -> str:
        return f"{self.document_id}@{self.version} {self.section}"


class AnswerChange(Value):
    """A question that would be answered otherwise; None: not at all. A new version in the old words changes nothing."""

    question: str
    intent: IntentId
    on: date = Field(description="The day it was searched for, before and after.")
    kind: Kind
    before: Clause | None
    after: Clause | None


class Revision(Value):
    """The folder against the published index."""

    published: str = Field(description="Version of the index that it was compared with.")
    documents: tuple[DocumentChange, ...]
    questions: int = Field(description="How many were tried.")
    answers: tuple[AnswerChange, ...]
    left_out: tuple[Finding, ...] = Field((), description="Files that cannot be read, and would not be published.")

    def report(self) -> str:
        """For people: the documents, each question with its answers, and the counts last."""
        documents = Counter(one.change for one in self.documents)
        kinds = Counter(one.kind for one in self.answers)
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        lines = [f"{_MARKS[one.change]} {one.document_id}@{one.version}" for one in self.documents]
        for one in self.answers:
            lines += ["", f"{one.kind}: {one.question}  [{one.intent}, {one.on}]", *_told(one)]
        counts = ", ".join(f"{documents[change]} {change}" for change in _MARKS)
        lines += [""] if lines else []
        lines += [f"documents: {counts}", f"questions: {self.questions} tried, {len(self.answers)} answered otherwise"]
        return "\n".join(lines) + (f" ({told})" if told else "")


def _told(change: AnswerChange) -> Iterator[str]:
    """Both answers; of one whose words alone differ, the lines that do."""
    before, after = change.before, change.after
    yield f"  before  {before or 'no answer'}"
    if change.kind != "other words" and before is not None:
        yield from (f"    {line}" for line in before.text.splitlines() if line.strip())
    yield f"  after   {after or 'no answer'}"
    if change.kind != "other words" and after is not None:
        yield from (f"    {line}" for line in after.text.splitlines() if line.strip())
    if change.kind == "other words" and before is not None and after is not None:
        lines = ndiff(before.text.splitlines(), after.text.splitlines())
        yield from (f"    {line}" for line in lines if line.startswith(("- ", "+ ")) and line[2:].strip())


def compare(
    settings: Settings, questions: Path | None = None, as_of: date | None = None, console: "Console | None" = None
) -> Revision:
    """What would change if the folder were published now; the published index stays as it is.

    Tried are the questions that customers asked, or those of a file. `as_of` is the day that both are searched for;
    without it a row's own `as_of` counts, or today. Raises ConfigurationError before set-up, InvalidInput for a folder
    without policies or a file that holds no questions.
    """
    require_set_up(settings)
    encoder, messages = open_encoder(settings), open_message_encoder(settings)
    today = local_date(datetime.now(UTC))
    with (
        closing(open_retriever(settings, encoder, messages)) as published,
        tempfile.TemporaryDirectory(prefix="index-") as place,
    ):
        documents, left_out = policies(settings, console)
        passages = passages_of(documents)
        apart = settings.model_copy(update={"data_dir": Path(place), "chroma_url": None})
        with closing(open_retriever(apart, encoder, messages)) as revised, progress(console) as bars:
            revised.publish(passages, bars("encoding passages"), known=published.vectors())
            asked = _of_store(settings, today) if questions is None else _of_file(settings, questions, today)
            changes = _changes(published, revised, asked, as_of, bars("asking questions"))
            return Revision(
                published=published.version,
                documents=_documents(published.passages, passages),
                questions=len(asked),
                answers=changes,
                left_out=left_out,
            )


# --- documents --------------------------------------------------------------------------------------------------------


def _documents(before: Sequence[Passage], after: Sequence[Passage]) -> tuple[DocumentChange, ...]:
    old, new = _by_document(before), _by_document(after)
    changes: dict[tuple[DocumentId, str], Change] = {}
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            changes[name] = "added" if name not in old else "removed" if name not in new else "changed"
    return tuple(DocumentChange(document_id=name[0], version=name[1], change=how) for name, how in changes.items())


def _by_document(passages: Sequence[Passage]) -> dict[tuple[DocumentId, str], list[Passage]]:
    found: dict[tuple[DocumentId, str], list[Passage]] = {}
    for passage in passages:
        found.setdefault((passage.document_id, passage.version), []).append(passage)
    return found


# --- answers ----------------------------------------------------------------------------------------------------------


class _Asked(Value):
    """A question to try, as the assistant would search for its answer."""

    step: AnswerFromPolicy
    locale: Locale
    on: date


def _changes(
    published: HybridRetriever,
    revised: HybridRetriever,
    asked: Sequence[_Asked],
    as_of: date | None,
    after_some: Callable[[int, int], None],
) -> tuple[AnswerChange, ...]:
    changes = []
    nothing_before = published.version == UNPUBLISHED
    for number, one in enumerate(asked, 1):
        day = as_of or one.on
        before = None if nothing_before else _clause(published, one, day)
        after = _clause(revised, one, day)
        if (kind := _kind(before, after)) is not None:
            changes.append(
                AnswerChange(
                    question=one.step.question, intent=one.step.intent, on=day, kind=kind, before=before, after=after
                )
            )
        after_some(number, len(asked))
    return tuple(changes)


def _clause(retriever: HybridRetriever, asked: _Asked, day: date) -> Clause | None:
    found = chosen(retriever, asked.step, day, asked.locale)
    if isinstance(found, Unanswered):
        return None
    return Clause(document_id=found.document_id, version=found.version, section=found.section, text=found.text)


def _kind(before: Clause | None, after: Clause | None) -> Kind | None:
    if before is None or after is None:
        return None if before is after else "new answer" if before is None else "lost"
    if (before.document_id, before.section) != (after.document_id, after.section):
        return "other clause"
    return None if before.text == after.text else "other words"


# --- questions --------------------------------------------------------------------------------------------------------


def _of_store(settings: Settings, today: date) -> tuple[_Asked, ...]:
    """What customers asked, answered or not, in the words and with the intent of then; the newest first."""
    glossary = load_glossary(settings.knowledge_dir / "glossary.yaml")
    with closing(open_store(settings)) as store:
        asked = [*store.answered(EPOCH, LOOKED_AT), *store.unanswered(EPOCH, LOOKED_AT)]
    distinct: dict[tuple[str, IntentId, Locale], _Asked] = {}
    for one in sorted(asked, key=lambda one: one.at, reverse=True):
        distinct.setdefault((normalise(one.searched), one.intent, one.locale), _stored(one, glossary, today))
    return tuple(distinct.values())[:QUESTIONS]


def _stored(one: AskedQuestion, glossary: Glossary, today: date) -> _Asked:
    # The product is kept with unanswered questions; of the others it is read again, as it was then.
    product = one.product or slots.extract(one.text, local_date(one.at), glossary).product
    step = AnswerFromPolicy(question=one.text, context=one.context, intent=one.intent, act=one.act, product=product)
    return _Asked(step=step, locale=one.locale, on=today)


class _Row(BaseModel):
    """A line of a file: of answers, of retrieval, or of one's own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    question: str = Field(validation_alias=AliasChoices("question", "query"))
    intent: IntentId | None = None
    act: Act | None = None
    product: Product | None = None
    context: tuple[str, ...] = Field((), description="The turns before; the last one counts.")
    lang: str | None = None
    as_of: date | None = None


def _of_file(settings: Settings, path: Path, today: date) -> tuple[_Asked, ...]:
    """The rows of a JSONL file; where one names no intent, the shipped classifier reads it."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not 0 < len(rows) <= LONGEST_FILE:
        raise InvalidInput(f"{path} holds {len(rows):,} questions: 1 to {LONGEST_FILE:,} can be tried")
    taxonomy, glossary = load_taxonomy(), load_glossary(settings.knowledge_dir / "glossary.yaml")
    found: list[_Asked] = []
    classifier: IntentClassifier | None = None
    for number, line in rows:
        try:
            row = _Row.model_validate_json(line)
            text = masking.mask(masking.clean(row.question), {}).text
        except (ValueError, InvalidInput) as error:
            raise InvalidInput(f"{path}:{number} is not a question: {' '.join(str(error).split())}") from error
        if row.intent is None:
            classifier = classifier or _classifier(settings)
            prediction = classifier.predict(text)
            row = row.model_copy(update={"intent": prediction.intent, "act": row.act or prediction.act})
        elif row.intent not in taxonomy:
            raise InvalidInput(f"{path}:{number}: no intent {row.intent!r} in the taxonomy")
        found.append(_written(row, text, glossary, today))
    return tuple(found)


def _written(row: _Row, text: str, glossary: Glossary, today: date) -> _Asked:
    assert row.intent is not None
    step = AnswerFromPolicy(
        question=text,
        context=row.context[-1] if row.context else None,
        intent=row.intent,
        act=row.act,
        product=row.product or slots.extract(text, today, glossary).product,
    )
    english = row.lang == "en" or (row.lang is None and text.isascii())
    return _Asked(step=step, locale="en" if english else "zh-CN", on=row.as_of or today)


def _classifier(settings: Settings) -> IntentClassifier:
    heads = Heads.load(settings.weights_dir)
    return open_classifier(settings, open_encoder(settings, heads.meta.deltas), heads)
