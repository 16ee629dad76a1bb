"""The answer suite: is what was asked answered with the right facts, is nothing said without ground, and is it said
plainly where the policies do not answer.

Each question goes through the whole line, in a conversation of its own, as a customer who has not said who they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from assistant.calendar import SHANGHAI
from assistant.compose import Application
from assistant.figures import figures
from assistant.folding import fold
from assistant.settings import Settings
from assistant.types.answers import Passage
from assistant.types.messages import Reply
from eval.cases import DATA, START, DataSource, Row, load
from eval.dialogue_player import ScriptClock, Stage, application
from eval.dialogues_suite import normalised
from eval.index import message_encoder, policy_index, policy_passages, search_encoder
from eval.report import Report
from eval.slots_suite import bootstrap

_NOON = time(12, 0)
_PARTS = "\n\n"
"""Between what a clause says and the hand-over that follows."""


class AnswerCase(Row):
    """A question; each of `facts` is met where one of its alternatives is said."""

    question: str = Field(min_length=1)
    answerable: bool
    facts: tuple[tuple[str, ...], ...] = ()
    must_not: tuple[str, ...] = ()
    as_of: date | None = Field(None, description="The day whose rules are right; None: the day of the suites.")
    stated: bool = Field(False, description="Its words say so themselves; else it is asked on that day.")
    context: tuple[str, ...] = Field((), description="What the customer had written before.")
    relevant: tuple[str, ...] = Field((), description="Documents that answer it, for readers.")
    lang: str = "zh"
    kind: str = "plain"


@dataclass(frozen=True)
class Judged:
    """One reply, judged."""

    case: AnswerCase
    outcome: str
    answered: bool
    facts_met: int
    said_wrongly: tuple[str, ...]
    unsupported: tuple[str, ...]
    cited: tuple[str, ...]


def evaluate_answers(settings: Settings, data: Path | None) -> Report:
    """Ask every question of the real application. Raises InvalidInput."""
    cases, source = load(data or DATA / "answers_exam.jsonl", AnswerCase)
    encoder = message_encoder(settings)
    with policy_index(settings, search_encoder(settings)) as retriever:
        stage = Stage(settings, encoder, retriever)
        with application(stage) as (running, clock, _):
            replies = [ask(running, clock, case) for case in cases]
        versions = {"encoder": encoder.version, "policy": retriever.version}
    return score(cases, replies, policy_passages(settings), source, versions)


def ask(running: Application, clock: ScriptClock, case: AnswerCase) -> Reply:
    """The reply to one question, after what was written before it."""
    clock.set(datetime.combine(case.as_of, _NOON, SHANGHAI) if case.as_of and not case.stated else START)
    session = running.sessions.open("en" if case.lang == "en" else "zh-CN", "evaluation").session_id
    for number, text in enumerate((*case.context, case.question)):
        clock.step()
        reply = running.assistant.respond(session, text, f"turn-{number}")
    return reply


def score(
    cases: Sequence[AnswerCase],
    replies: Sequence[Reply],
    passages: Iterable[Passage],
    source: DataSource,
    versions: Mapping[str, str],
) -> Report:
    """The report of some replies; `passages` are what they may rest on."""
    texts: dict[tuple[str, str, str], str] = {}
    for passage in passages:
        key = (passage.document_id, passage.version, passage.section)
        texts[key] = f"{texts.get(key, '')}\n{passage.title} {passage.section}\n{passage.text}"
    judged = [judge(case, reply, texts) for case, reply in zip(cases, replies, strict=True)]
    answerable = [one for one in judged if one.case.answerable]
    unanswerable = [one for one in judged if not one.case.answerable]
    facts = np.repeat([True, False], [sum(o.facts_met for o in answerable), sum(_missing(o) for o in answerable)])
    declined, refused = (np.array([not one.answered for one in group]) for group in (unanswerable, answerable))
    return Report(
        suite="answers",
        data=source,
        versions=versions,
        metrics={
            "fact_recall": _share(facts),
            "unsupported_numbers": float(sum(len(one.unsupported) for one in judged)),
            "must_not_violations": float(sum(bool(one.said_wrongly) for one in judged)),
            "declined_recall": _share(declined),
            "false_refusal": _share(refused),
        },
        intervals={
            name: bootstrap(group)
            for name, group in (("fact_recall", facts), ("declined_recall", declined), ("false_refusal", refused))
            if len(group)
        },
        per_label={
            kind: _of_kind([o for o in judged if o.case.kind == kind]) for kind in sorted({o.case.kind for o in judged})
        },
        rows=[_row(one, source) for one in judged],
        notes=(
            f"{len(answerable)} questions can be answered, {len(unanswerable)} cannot.",
            f"fact_recall is of {len(facts)} facts.",
            "unsupported_numbers counts figures of replies that no cited section states; must_not_violations, replies.",
        ),
    )


def judge(case: AnswerCase, reply: Reply, texts: Mapping[tuple[str, str, str], str]) -> Judged:
    """Compare one reply with what was asked for; an answer is a reply that cites, also where a person follows."""
    answered = bool(reply.citations)
    words = f"{reply.text}\n{reply.details}"
    said = normalised(words)
    # Who is handed over is told a place in the queue and a time at the end: figures of the case, not of a clause.
    answer = words if reply.case is None else f"{reply.text.rpartition(_PARTS)[0]}\n{reply.details}"
    cited = [(one.document_id, one.version, one.section) for one in reply.citations]
    # The days a clause holds from and to are figures of its citation.
    days = [f"{day:%Y-%m-%d}" for one in reply.citations for day in (one.effective_from, one.effective_to) if day]
    ground = {figure for text in (*(texts.get(key, "") for key in cited), *days) for _, figure in figures(fold(text))}
    # Who asks about then is told in the details what holds now.
    wrong_in = normalised(reply.text) if case.stated else said
    return Judged(
        case=case,
        outcome=reply.outcome,
        answered=answered,
        facts_met=sum(any(normalised(one) in said for one in fact) for fact in case.facts) if answered else 0,
        said_wrongly=tuple(one for one in case.must_not if answered and normalised(one) in wrong_in),
        unsupported=tuple(text for text, one in figures(fold(answer)) if one not in ground) if answered else (),
        cited=tuple(f"{document}@{version} {section}" for document, version, section in cited),
    )


def _missing(judged: Judged) -> int:
    return len(judged.case.facts) - judged.facts_met


def _share(hits: "np.ndarray[Any, np.dtype[np.bool_]]") -> float | None:
    return float(hits.mean()) if len(hits) else None


def _of_kind(judged: Sequence[Judged]) -> dict[str, float | None]:
    facts = sum(len(one.case.facts) for one in judged)
    return {
        "rows": len(judged),
        "answered": float(np.mean([one.answered for one in judged])),
        "fact_recall": sum(one.facts_met for one in judged) / facts if facts else None,
        "must_not_violations": float(sum(bool(one.said_wrongly) for one in judged)),
    }


def _row(judged: Judged, source: DataSource) -> dict[str, Any]:
    case = judged.case
    row = {
        **source.label(case.question),
        "kind": case.kind,
        "answerable": case.answerable,
        "outcome": judged.outcome,
        "facts_met": f"{judged.facts_met}/{len(case.facts)}",
    }
    if source.ours:
        row |= {"cited": list(judged.cited), "said_wrongly": list(judged.said_wrongly)}
    return row | ({"unsupported": list(judged.unsupported)} if judged.unsupported else {})
