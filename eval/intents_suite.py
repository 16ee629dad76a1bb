"""The intent suite: the shipped classifier on labelled messages."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assistant.arbitration import Arbiter
from assistant.compose import open_arbiter, open_classifier
from assistant.errors import InvalidInput
from assistant.heads import Heads
from assistant.settings import Settings
from assistant.slots import language
from assistant.taxonomy import Taxonomy, load_taxonomy
from assistant.types.understanding import Prediction
from eval.cases import DATA, DataSource, IntentCase, load
from eval.index import message_encoder
from eval.metrics import OUT_OF_SCOPE, IntentTable, intent_intervals, intent_metrics, per_label
from eval.report import Report, confusion_plot, reliability_plot

_PACED = 1000


class Classifier(Protocol):
    """What is scored."""

    version: str

    def predict(self, text: str) -> Prediction: ...
    def probabilities(self, text: str) -> NDArray[np.float32]: ...


def evaluate_intents(settings: Settings, data: Path | None) -> Report:
    """Score the classifier the product runs, on the project's own exam or another file. Raises InvalidInput."""
    cases, source = load(data or DATA / "intents_exam.jsonl", IntentCase)
    encoder = message_encoder(settings)
    classifier = open_classifier(settings, encoder, Heads.load(settings.weights_dir))
    arbiter = open_arbiter(settings, classifier)
    return score(classifier, load_taxonomy(), cases, source, {"encoder": encoder.version}, arbiter)


def score(
    classifier: Classifier,
    taxonomy: Taxonomy,
    cases: Sequence[IntentCase],
    source: DataSource,
    versions: dict[str, str],
    arbiter: Arbiter | None = None,
) -> Report:
    """The report of one classifier on some rows, its unsure predictions settled by the arbiter where there is one.

    Raises InvalidInput for a label that the taxonomy lacks.
    """
    _check_labels(taxonomy, cases, source)

    def read(text: str) -> Prediction:
        prediction = classifier.predict(text)
        return arbiter.arbitrate(text, prediction) if arbiter else prediction

    predictions, latencies = [], []
    for case in cases:
        begin = time.perf_counter()
        predictions.append(read(case.text))
        latencies.append((time.perf_counter() - begin) * 1000)
    place = taxonomy.ids.index(taxonomy[OUT_OF_SCOPE].id)
    oos = [float(classifier.probabilities(case.text)[place]) for case in cases]
    human = frozenset(str(intent) for intent in taxonomy.ids if taxonomy[intent].route == "human")
    table = IntentTable.of([case.row for case in cases], predictions, oos, human)
    return Report(
        suite="intents",
        data=source,
        versions={"heads": classifier.version, "taxonomy": str(taxonomy.version), **versions}
        | ({"arbiter": arbiter.version} if arbiter else {}),
        metrics={
            **intent_metrics(table),
            **_requests(cases, predictions),
            **_languages(cases),
            **(_arbitrated(cases, predictions) if arbiter else {}),
            "latency_ms_p50": float(np.median(latencies)),
            "messages_per_second": _pace(read, [case.text for case in cases]),
        },
        intervals=intent_intervals(table),
        per_label=per_label(table),
        rows=[
            {**source.label(case.text), "gold": case.row.gold, "predicted": said.intent, "act": said.act}
            | {"confidence": round(said.confidence, 4), "abstained": said.abstained}
            | ({"arbitration": said.arbitration.outcome} if said.arbitration else {})
            for case, said in zip(cases, predictions, strict=True)
        ],
        plots=_plots(table),
    )


def _requests(cases: Sequence[IntentCase], predictions: Sequence[Prediction]) -> dict[str, float | None]:
    """Of messages with two requests, how often both are read; of those with one, how often a second is seen."""
    told = [(case, said) for case, said in zip(cases, predictions, strict=True) if "secondary" in case.model_fields_set]
    if not told:
        return {}
    both = [({case.row.gold, case.secondary}, {said.intent, said.secondary}) for case, said in told if case.secondary]
    return {
        "two_requests_read": _share(right == read for right, read in both),
        "one_of_two_requests_read": _share(bool(right & read) for right, read in both),
        "second_request_false_alarm": _share(said.secondary is not None for case, said in told if not case.secondary),
    }


def _languages(cases: Sequence[IntentCase]) -> dict[str, float | None]:
    """How often the language of a message is told rightly."""
    told = [(case.lang.partition("-")[0], language(case.text)) for case in cases if case.lang is not None]
    return {"language_accuracy": _share(right == read for right, read in told)} if told else {}


def _arbitrated(cases: Sequence[IntentCase], predictions: Sequence[Prediction]) -> dict[str, float | None]:
    """Share of the messages that the chat model was asked about, and strict accuracy on those before and after."""
    asked = [
        (case.row.gold, said.arbitration.read, said.intent)
        for case, said in zip(cases, predictions, strict=True)
        if said.arbitration
    ]
    scored = [one for one in asked if one[0] is not None]
    return {
        "arbitrated": len(asked) / len(cases) if cases else None,
        "arbitrated_accuracy_before": _share(gold == before for gold, before, _ in scored),
        "arbitrated_accuracy_after": _share(gold == after for gold, _, after in scored),
    }


def _share(flags: Iterable[bool]) -> float | None:
    known = list(flags)
    return sum(known) / len(known) if known else None


def _pace(read: Callable[[str], Prediction], texts: Sequence[str]) -> float:
    """Messages a second, read by two threads side by side."""
    texts = texts[:_PACED]
    with ThreadPoolExecutor(2) as pool:
        begin = time.perf_counter()
        list(pool.map(read, texts))
        return round(len(texts) / (time.perf_counter() - begin), 1)


def _check_labels(taxonomy: Taxonomy, cases: Sequence[IntentCase], source: DataSource) -> None:
    for number, case in enumerate(cases, 1):
        labels = {label for label in (case.row.gold, *case.accept) if label is not None}
        if unknown := sorted(label for label in labels if label not in taxonomy):
            raise InvalidInput(f"{source.name} row {number}: the taxonomy has no intent {unknown[0]}")


def _plots(table: IntentTable) -> dict[str, bytes]:
    scored = table.scored
    if not scored.any():
        return {}
    gold, predicted = table.gold[scored].tolist(), table.predicted[scored].tolist()
    return {
        "Confusion matrix": confusion_plot(gold, predicted),
        "Reliability": reliability_plot(table.confidence[scored], table.strict[scored]),
    }
