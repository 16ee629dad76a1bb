"""Writes the model card from what a training run measured; nothing in it is typed by hand."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from assistant.adapters.encoders import EncoderMeta
from assistant.heads import Floats, HeadsMeta, Indices
from assistant.taxonomy import Taxonomy
from assistant.training.calibration import TARGET_ERROR, WORTH_ANSWERING
from assistant.training.data import Utterance
from assistant.training.tuning import Recipe

_WORST = 10


def model_card(
    meta: HeadsMeta,
    taxonomy: Taxonomy,
    utterances: Sequence[Utterance],
    encoder: EncoderMeta,
    recipe: Recipe,
    probabilities: Floats,
    labels: Indices,
) -> str:
    """The card in Markdown; `probabilities` are of the rows that were judged by, `labels` their right intents."""
    sections = (
        _what(meta, encoder, len(utterances)),
        _tuning(meta, recipe),
        _data(meta, utterances),
        _figures(meta, len(labels)),
        _thresholds(meta),
        _per_intent(taxonomy, probabilities, labels),
        _limits(),
    )
    return "\n\n".join(sections) + "\n"


def _what(meta: HeadsMeta, encoder: EncoderMeta, rows: int) -> str:
    return f"""# Model card: understanding models

Written by `assistant train`{" --quick" if meta.quick else ""} (seed {meta.seed}); do not edit.

**What.** {len(meta.intents)} intents (taxonomy version {meta.taxonomy_version}) and {len(meta.acts)} acts of a message.
Two linear heads each, one on standardised sentence vectors of the int8 encoder, one on hashed character 1- to 3-grams
({meta.buckets} buckets); log-probabilities averaged (n-grams {meta.ngram_weight:g}), then divided by a temperature of
{meta.temperature:g} (acts {meta.act_temperature:g}).
The act also rests on how often the predicted intent comes with it. Before all, product words and numbers are mapped to
one word each.

**Encoder.** `{meta.encoder_version}`, {meta.dimension} numbers, recipe {encoder.recipe}, weights SHA-256
`{encoder.source}`. Heads refuse to serve with another encoder.

**Intended use.** Routing messages of customers of a consumer-finance institution, Chinese first, English second, with a
person one tap away. Not for decisions about a person: no credit, limit or collection decision rests on it. Trained on
{rows} utterances.{_adapting(meta)}"""


def _adapting(meta: HeadsMeta) -> str:
    if meta.adapted is None:
        return ""
    found = meta.adapted
    logs = f" of logs with SHA-256 `{found.messages_sha256}`" if found.messages_sha256 else ""
    return f"""

**Adapted** from version `{found.began_with}`, to {found.messages} messages{logs} under the reading of that version, and
to {found.corrections} messages that people labelled. The recipe below is that of the adaptation."""


def _tuning(meta: HeadsMeta, recipe: Recipe) -> str:
    if meta.deltas is None:
        return "## Tuning\n\nNone: the encoder is as it came, the heads are logistic regressions on its vectors."
    free = f"""
- {recipe.starts} starts of {recipe.epochs} passes in which all learn freely, at a peak rate of {recipe.rate:g};
  their ends are averaged"""
    return f"""## Tuning

All matrices of the encoder but its word table, together with both vector heads:
{free if recipe.epochs else ""}
- {recipe.settling} passes in which the factors of the change learn, at a peak rate of {recipe.settling_rate:g}
- heads at {recipe.head_rate:g}; batches of {recipe.batch}, AdamW, label smoothing {recipe.smoothing:g}, dropout
  {recipe.dropout:g}
- act loss weighted {recipe.act_weight:g}

Shipped is the change, at rank {recipe.rank} of each matrix in eight bits (`encoder.safetensors`, digest
`{meta.deltas[:16]}`); set-up merges it and converts to int8. All figures are taken after that."""


def _data(meta: HeadsMeta, utterances: Sequence[Utterance]) -> str:
    languages = Counter(utterance.lang for utterance in utterances)
    acts = Counter[str](utterance.act for utterance in utterances if utterance.act is not None)
    return f"""## Data

SHA-256 `{meta.data_sha256}`; glossary `{meta.glossary_sha256}`.
Languages: {_listed(languages)}. Acts: {_listed(acts)}."""


def _figures(meta: HeadsMeta, rows: int) -> str:
    lines = "\n".join(f"| {name} | {value:.4f} |" for name, value in meta.metrics.items())
    return f"""## Figures on rows that were not learnt from

{rows} rows. The mixture, the temperature and the thresholds were chosen on the same rows, so these figures are a little
kind; the exam's are in `eval/reports`.

| figure | value |
|---|---|
{lines}"""


def _thresholds(meta: HeadsMeta) -> str:
    chosen = meta.thresholds
    return f"""## Abstention

Chosen on the same rows.

- `low_confidence`: below {chosen.low_confidence:g} (above it at most {TARGET_ERROR:.0%} are wrong, and each more often
  right than {WORTH_ANSWERING:g}).
- `ambiguous`: the leading two are nearer than {chosen.margin:g}, or the confidence is low and both together reach
  {chosen.pair:g}.
- `out_of_scope`, `unclear`: where these labels win."""


def _per_intent(taxonomy: Taxonomy, probabilities: Floats, labels: Indices) -> str:
    winners = probabilities.argmax(axis=1)
    rows = []
    for index, name in enumerate(taxonomy.ids):
        of_intent = labels == index
        if not of_intent.any():
            continue
        mistaken = Counter(winners[of_intent & (winners != index)].tolist())
        rival = taxonomy.ids[mistaken.most_common(1)[0][0]] if mistaken else "–"
        rows.append((float(np.mean(winners[of_intent] == index)), name, int(of_intent.sum()), rival))
    lines = "\n".join(
        f"| {name} | {count} | {recall:.2f} | {rival} |" for recall, name, count, rival in sorted(rows)[:_WORST]
    )
    return f"""## The {_WORST} intents with the lowest recall on those rows

| intent | rows | recall | taken most often for |
|---|---|---|---|
{lines}"""


def _limits() -> str:
    return """## Limits

Utterances were written for this project and are not a sample of any institution's traffic: measure on your own messages
(`assistant evaluate intents --data FILE`). Traditional Chinese is a small share. The act labels come from several
authors and are uneven. A message is read by itself, without the conversation before it."""


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
