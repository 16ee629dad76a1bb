"""The errors on real messages that teach most, sorted by kind; sentences are named by SHA-1 where they are not ours."""

from collections.abc import Sequence
from typing import Any, Protocol

from assistant.taxonomy import Taxonomy
from assistant.types.understanding import Prediction
from assistant.types.value import IntentId
from eval.cases import DataSource, IntentCase

MOST = 50


class Reader(Protocol):
    """Whose errors they are."""

    def predict(self, text: str) -> Prediction: ...


def instructive(
    classifier: Reader, taxonomy: Taxonomy, cases: Sequence[IntentCase], source: DataSource, most: int = MOST
) -> list[dict[str, Any]]:
    """Rows that were read wrongly, the surest first; then, up to `most`, those read rightly by the least margin."""
    read = [(case, classifier.predict(case.text)) for case in cases]
    right = [(case, said) for case, said in read if case.row.gold == said.intent]
    wrong = [(case, said) for case, said in read if case.row.gold != said.intent and not _is_defended(case, said)]
    wrong.sort(key=lambda pair: -pair[1].confidence)
    right.sort(key=lambda pair: _margin(pair[1]))
    return [
        source.label(case.text)
        | {
            "kind": kind_of(case, said, taxonomy),
            "gold": case.row.gold,
            "accept": sorted(case.row.accept),
            "predicted": said.intent,
            "confidence": round(said.confidence, 4),
            "abstained": said.abstained,
            "among_three": case.row.gold in [other.id for other in said.alternatives],
        }
        for case, said in (wrong + right)[:most]
    ]


def kind_of(case: IntentCase, said: Prediction, taxonomy: Taxonomy) -> str:
    """What sort of error it is."""
    gold = case.row.gold
    if gold == said.intent:
        return "right by a narrow margin"
    if said.intent in case.row.accept:
        return "the other annotator's label"
    if gold is None:
        return "annotators differ, and neither said this"
    wanted, read = taxonomy[IntentId(gold)], taxonomy[said.intent]
    if wanted.group == read.group:
        return f"neighbours within {wanted.group}"
    if not read.has_act:
        return "a request taken for small talk or for nothing"
    if not wanted.has_act:
        return "small talk or nothing taken for a request"
    return f"{wanted.group} taken for {read.group}"


def _is_defended(case: IntentCase, said: Prediction) -> bool:
    """Whether the annotators differ and one of them said the same."""
    return case.row.gold is None and case.row.accepts(said.intent)


def _margin(said: Prediction) -> float:
    second = max((other.confidence for other in said.alternatives if other.id != said.intent), default=0.0)
    return said.confidence - second
