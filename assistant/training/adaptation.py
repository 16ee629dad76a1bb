"""Goes on training with an institution's own words: unlabelled logs, and corrections that people made.

Logs teach by self-training (pseudo-labels; Lee, 2013): messages that the present models read surely are learnt with
that reading, under dropout and beside all labelled utterances, so that the sentences of the house become familiar.
Corrections are learnt like utterances, only more often. The encoder goes on from where its present changes end, and
the changes of both ship as one. New models that read the frozen calibration rows worse than the old ones are refused.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from assistant.adapters.encoders import OnnxEncoder
from assistant.errors import InvalidInput, ModelRegressed
from assistant.feedback import Correction
from assistant.glossary import Glossary, load_glossary
from assistant.heads import Adapted, Floats, Heads, HeadsMeta, ngram_buckets
from assistant.masking import MAX_CHARACTERS, clean, mask
from assistant.settings import Settings
from assistant.training.assembly import SEED, Material, Models, Rows, assemble, progress_on, write
from assistant.training.conversion import ensure_message_encoder
from assistant.training.data import Utterance, lines_of
from assistant.training.deltas import Deltas
from assistant.training.fitting import LinearHead
from assistant.training.trainer import encoded, gathered, tuned_from
from assistant.training.tuning import NO_ACT, Recipe, Start

ADAPTING = Recipe(epochs=0, settling=1, settling_rate=1.5e-4)
"""One pass on the factors of the present change, at half the rate of the first training."""
SURE = 0.9
"""Calibrated confidence from which a reading is learnt from."""
MOST_OF_AN_INTENT = 300
"""Messages of one intent that are taken from logs: what everybody asks must not drown the rest."""
TIMES = 8
"""How often a correction stands among the rows: people know better than models, and there are few."""

_SIGMAS = 1.96


def adapt(
    settings: Settings,
    *,
    messages: Path | None = None,
    corrections: Sequence[Correction] = (),
    data: Path | None = None,
    calibration: Path | None = None,
    out: Path | None = None,
    console: Console | None = None,
    recipe: Recipe | None = None,
) -> HeadsMeta:
    """Train on from the models in `weights_dir`; writes them and their card to `out`, or in their place.

    `messages` is a text file, a message a line, which is masked before it is read. `data` and `calibration` are those
    of `train`. A run that was stopped goes on where it was. Raises InvalidInput for bad data or nothing to learn from,
    ConfigurationError without models to begin with, ModelRegressed where the new ones are worse on calibration rows.
    """
    before = Heads.load(settings.weights_dir)
    material = gathered(settings, data, calibration)
    taxonomy = material.taxonomy
    if unknown := sorted({one.intent for one in corrections if one.intent not in taxonomy}):
        raise InvalidInput(f"corrections: intents.yaml has no intent {unknown[0]!r}")
    folder, recipe = settings.data_dir / "training", recipe or ADAPTING
    with progress_on(console) as progress:
        encoder = OnnxEncoder(ensure_message_encoder(settings, console), workers=os.cpu_count() or 1)
        glossary = load_glossary(material.glossary_path)
        logs = _canonical_messages(messages, glossary) if messages else []
        sure = _sure(before, logs, encoded(logs, encoder, folder, progress) if logs else ())
        corrected = [
            Utterance(text=text, intent=one.intent) for one in corrections if (text := _masked(one.text)) is not None
        ]
        taught = Rows.of(corrected, glossary, taxonomy)
        if not sure.texts and not taught.texts:
            raise InvalidInput("there is nothing to adapt to: no message is read surely, and nothing was corrected")
        material = replace(material, learn=sum([taught] * TIMES, material.learn + sure))
        heads = {name: LinearHead(*before.linear(name)) for name in ("intent", "act")}
        start = Start(*before.standard, heads, Deltas.load(settings.weights_dir))
        tuned = tuned_from(start, settings, material.learn, recipe, folder, progress)
        adapted = Adapted(
            began_with=before.version,
            messages=len(sure.texts),
            messages_sha256=hashlib.sha256(messages.read_bytes()).hexdigest() if messages else None,
            corrections=len(taught.texts),
        )
        models = assemble(settings, material, start, tuned, recipe, progress, adapted=adapted)
        judged = encoder.encode(material.judge.texts, "query")
    refuse_worse(_changes(before, judged, models, material))
    write(models, out or settings.weights_dir)
    return models.meta


def _canonical_messages(path: Path, glossary: Glossary) -> list[str]:
    """Distinct messages as the heads see them, in the file's order. Raises InvalidInput."""
    texts = (_masked(line) for _, line in lines_of(path))
    messages = dict.fromkeys(glossary.canonical(text) for text in texts if text is not None)
    if not messages:
        raise InvalidInput(f"{path} holds no message: write one a line")
    return list(messages)


def _masked(text: str) -> str | None:
    """As the assistant keeps it, since personal data must not reach the weights; None where there is nothing in it."""
    try:
        return mask(clean(text[:MAX_CHARACTERS]), {}).text
    except InvalidInput:
        return None


def _sure(heads: Heads, texts: Sequence[str], vectors: Sequence[Floats] | Floats) -> Rows:
    """Messages read with confidence SURE, with that reading; of each intent a sample that repeats with the seed."""
    readings = [
        heads.intent_probabilities(vector, ngram_buckets(text)) for text, vector in zip(texts, vectors, strict=True)
    ]
    taken: Counter[int] = Counter()
    rows: list[int] = []
    for row in np.random.default_rng(SEED).permutation(len(texts)):
        intent = int(readings[row].argmax())
        if readings[row][intent] >= SURE and taken[intent] < MOST_OF_AN_INTENT:
            taken[intent] += 1
            rows.append(int(row))
    rows.sort()
    intents = np.array([readings[row].argmax() for row in rows], np.int64)
    return Rows([texts[row] for row in rows], intents, np.full(len(rows), NO_ACT))


def _changes(before: Heads, vectors: Floats, models: Models, material: Material) -> dict[str, Floats]:
    """Figure by figure, what changed on the calibration rows; `vectors` are theirs under the encoder before."""
    judge = material.judge
    old, new = _verdicts(before, vectors, judge), _verdicts(models.heads, models.vectors, judge)
    human = np.array([material.taxonomy.intents[index].route == "human" for index in judge.intents])
    return {
        "intent": new.intent - old.intent,
        "human-route intent": (new.intent - old.intent)[human],
        "act": (new.act - old.act)[judge.with_act],
    }


def refuse_worse(changes: Mapping[str, Floats]) -> None:
    """Raises ModelRegressed where a figure fell by more than chance explains (paired, 95 %).

    `changes` holds per figure and row 1 where only the new model is right, -1 where only the old one is, else 0.
    """
    for name, change in changes.items():
        if len(change) and change.mean() + _SIGMAS * change.std() / np.sqrt(len(change)) < 0:
            raise ModelRegressed(
                f"{name} accuracy on {len(change)} calibration rows would change by {100 * change.mean():.1f} points: "
                "the models stay as they are; look at what the messages and corrections teach"
            )


class _Verdicts(NamedTuple):
    """1 where a row was read rightly, else 0."""

    intent: Floats
    act: Floats


def _verdicts(heads: Heads, vectors: Floats, judge: Rows) -> _Verdicts:
    intents, acts = [], []
    for text, vector in zip(judge.texts, vectors, strict=True):
        buckets = ngram_buckets(text)
        intents.append(int(heads.intent_probabilities(vector, buckets).argmax()))
        acts.append(int(heads.act_probabilities(vector, buckets, intents[-1]).argmax()))
    return _Verdicts(
        (np.array(intents) == judge.intents).astype(np.float32), (np.array(acts) == judge.acts).astype(np.float32)
    )
