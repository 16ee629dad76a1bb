"""The dialogue suite: the bank's end state first, then what became of the conversation, then the words."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.settings import Settings
from assistant.types.messages import Reply
from eval.cases import DATA, DataSource, DialogueCase, load_dialogues, sha1
from eval.dialogue_player import Played, Stage, play
from eval.index import message_encoder, policy_index, search_encoder
from eval.report import Report
from eval.slots_suite import bootstrap

SERVED = frozenset({"self_served", "clarified_then_served"})
NEEDS_A_PERSON = frozenset({"warned", "escalated"})
_MISSING = object()
_DIGIT_GROUP = re.compile(r"(?<=\d)[,，](?=\d{3})")
_TRAILING_ZEROS = re.compile(r"(\d)\.(?:00|0)(?!\d)")
_KEPT = re.compile(r"[^\w.%¥-]")


@dataclass(frozen=True)
class Verdict:
    """One dialogue, judged. It passes where `faults` is empty."""

    case: DialogueCase
    outcome: str
    case_opened: bool
    wrong_action: bool
    faults: tuple[str, ...]


def evaluate_dialogues(settings: Settings, data: Path | None) -> Report:
    """Play every dialogue of a file on the real application. Raises InvalidInput."""
    cases, source = load_dialogues(data or DATA / "dialogues.jsonl")
    encoder = message_encoder(settings)
    with policy_index(settings, search_encoder(settings)) as retriever:
        stage = Stage(settings, encoder, retriever)
        versions = {"encoder": encoder.version, "policy": retriever.version}
        return score(lambda case: play(stage, case), cases, source, versions)


def score(
    player: Callable[[DialogueCase], Played],
    cases: Sequence[DialogueCase],
    source: DataSource,
    versions: Mapping[str, str],
) -> Report:
    """The report of one player on some dialogues."""
    verdicts = [judge(case, player(case)) for case in cases]
    right = np.array([verdict.outcome == verdict.case.expected.outcome for verdict in verdicts])
    passed = np.array([not verdict.faults for verdict in verdicts])
    wanted = [verdict.case.expected.outcome in NEEDS_A_PERSON for verdict in verdicts]
    opened = [verdict.case_opened for verdict in verdicts]
    both = sum(a and b for a, b in zip(wanted, opened, strict=True))
    outcomes = sorted({verdict.case.expected.outcome for verdict in verdicts})
    return Report(
        suite="dialogues",
        data=source,
        versions=versions,
        metrics={
            "outcome_accuracy": float(right.mean()),
            "self_service_rate": float(np.mean([verdict.outcome in SERVED for verdict in verdicts])),
            "escalation_recall": both / sum(wanted) if any(wanted) else None,
            "escalation_precision": both / sum(opened) if any(opened) else None,
            "wrong_actions": float(sum(verdict.wrong_action for verdict in verdicts)),
            "pass_1": float(passed.mean()),
        },
        intervals={"outcome_accuracy": bootstrap(right), "pass_1": bootstrap(passed)},
        per_label={name: _per_outcome(name, verdicts) for name in outcomes},
        rows=[_row(verdict, source) for verdict in verdicts],
        notes=[
            f"wrong_actions counts dialogues, of {len(verdicts)}; self_service_rate: the share without a person",
            *_to_read(cases, source),
        ],
    )


def judge(case: DialogueCase, played: Played) -> Verdict:
    """Compare one played dialogue with what was expected."""
    expected = case.expected
    wrong = wrong_changes(expected.bank, played)
    outcome = outcome_of(played)
    faults = [f"bank changed: {path}" for path in wrong]
    faults += [f"bank: {path}" for path in unmet(expected.bank, played.end)]
    if outcome != expected.outcome:
        faults.append(f"outcome {outcome}, expected {expected.outcome}")
    faults += _wrong_words(case, played)
    return Verdict(case, outcome, _case_opened(played), bool(wrong), tuple(faults))


def outcome_of(played: Played) -> str:
    """The first that applies; `unserved` where the customer got nothing at all."""
    outcomes = [reply.outcome for reply in played.replies]
    if "warned" in outcomes:
        return "warned"
    if _case_opened(played):
        return "escalated"
    if "refused" in outcomes:
        return "refused"
    served = [place for place, reply in enumerate(played.replies) if _serves(reply)]
    if not served:
        return "unserved"
    return "clarified_then_served" if "clarifying" in outcomes[: served[-1]] else "self_served"


def wrong_changes(expected: Mapping[str, Any], played: Played) -> list[str]:
    """Paths of the books that changed and whose new value the expectation does not name."""
    before, after, named = _leaves(played.before), _leaves(played.after), _leaves(expected)
    changed = [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]
    wrong = [path for path in changed if named.get(path, _MISSING) != after.get(path)]
    return wrong + (["another customer"] if played.others_changed else [])


def unmet(expected: Mapping[str, Any], end: Mapping[str, Any]) -> list[str]:
    """Paths of the expected end state that the books do not show."""
    found = _leaves(end)
    return [
        f"{path} is {found.get(path)}, expected {value}"
        for path, value in _leaves(expected).items()
        if found.get(path, _MISSING) != value
    ]


def normalised(text: str) -> str:
    """Widths, case, digit grouping, trailing zeros, spaces and punctuation made alike."""
    folded = unicodedata.normalize("NFKC", text).lower().replace("￥", "¥")
    folded = _TRAILING_ZEROS.sub(r"\1", _DIGIT_GROUP.sub("", folded))
    return _KEPT.sub("", folded)


def _leaves(tree: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        here = f"{path}.{name}" if path else str(name)
        found |= _leaves(value, here) if isinstance(value, Mapping) else {here: value}
    return found


def _case_opened(played: Played) -> bool:
    opened = any(event.case is not None and event.case.what == "opened" for event in played.events)
    return opened or any(reply.case is not None for reply in played.replies)


def _serves(reply: Reply) -> bool:
    if reply.outcome == "answered":
        return bool(reply.citations)
    return reply.outcome == "action_declined" or (reply.outcome == "action_done" and reply.receipt is not None)


def _wrong_words(case: DialogueCase, played: Played) -> list[str]:
    expected = case.expected
    said = normalised("\n".join(map(_words, played.replies)))
    faults = [
        f"nothing said of {' / '.join(fact)}"
        for fact in expected.must_mention
        if not isinstance(fact, str) and not any(normalised(alternative) in said for alternative in fact)
    ]
    faults += [f"said {words}" for words in expected.must_not if normalised(words) in said]
    priorities = [reply.case.priority for reply in played.replies if reply.case is not None]
    priorities += [event.case.priority for event in played.events if event.case is not None]
    if expected.priority is not None and expected.priority not in priorities:
        faults.append(f"priority {priorities[-1] if priorities else None}, expected {expected.priority}")
    understood = {
        name for reply in played.replies if reply.intent for name in (reply.intent.id, reply.intent.secondary)
    }
    faults += [f"intent {name} was not understood" for name in expected.intents if name not in understood]
    return faults


def _words(reply: Reply) -> str:
    """What the customer reads without unfolding a source."""
    consequences = reply.proposal.consequences if reply.proposal else ()
    return "\n".join((reply.text, reply.details, *consequences))


def _per_outcome(name: str, verdicts: Sequence[Verdict]) -> dict[str, float | None]:
    chosen = [verdict for verdict in verdicts if verdict.case.expected.outcome == name]
    said = sum(verdict.outcome == name for verdict in verdicts)
    hits = sum(verdict.outcome == name for verdict in chosen)
    return {"rows": len(chosen), "precision": hits / said if said else None, "recall": hits / len(chosen)}


def _row(verdict: Verdict, source: DataSource) -> dict[str, Any]:
    case = verdict.case
    judged = {"expected": case.expected.outcome, "outcome": verdict.outcome, "passed": not verdict.faults}
    if source.ours:
        return {"id": case.id, **judged, "faults": list(verdict.faults)}
    return {"sha1": sha1("\n".join(case.customer_turns)), **judged, "faults": len(verdict.faults)}


def _to_read(cases: Sequence[DialogueCase], source: DataSource) -> list[str]:
    """Facts written as prose are for a reader, where the file is ours to quote."""
    if not source.ours:
        return []
    return [
        f"{case.id}: to be read for: {fact}"
        for case in cases
        for fact in case.expected.must_mention
        if isinstance(fact, str)
    ]
