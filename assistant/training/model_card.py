"""Writes the model card from what a training run measured; nothing in it is typed by hand."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from assistant.adapters.encoders import EncoderMeta
from assistant.heads import Floats, HeadsMeta, Indices
from assistant.taxonomy import Taxonomy
from assistant.training.calibration import TARGET_ERROR
from assistant.training.data import Utterance

_WORST = 10


def model_card(
    meta: HeadsMeta,
    taxonomy: Taxonomy,
    utterances: Sequence[Utterance],
    encoder: EncoderMeta,
    held_out: Floats,
    labels: Indices,
) -> str:
    """The card in Markdown; `held_out` are out-of-fold scores, one row an utterance, one column an intent."""
    sections = (
        _what(meta, encoder, len(utterances)),
        _data(meta, utterances),
        _figures(meta),
        _thresholds(meta),
        _per_intent(taxonomy, held_out, labels),
        _limits(),
    )
    return "\n\n".join(sections) + "\n"


def _what(meta: HeadsMeta, encoder: EncoderMeta, rows: int) -> str:
    return f"""# Model card: understanding heads

Written by `assistant train`{" --quick" if meta.quick else ""} (seed {meta.seed}); do not edit.

**What.** {len(meta.intents)} intents (taxonomy version {meta.taxonomy_version}) and {len(meta.acts)} acts of a message.
Two multinomial logistic regressions each, one on standardised frozen int8 sentence vectors, one on hashed character
1- to 3-grams ({meta.buckets} buckets); log-probabilities averaged (n-grams {meta.ngram_weight:g}), then divided by a
temperature of {meta.temperature:g} (acts {meta.act_temperature:g}).
The act also rests on how often the predicted intent comes with it. Before all, product words and numbers are mapped to
one word each.

**Encoder.** `{meta.encoder_version}`, {meta.dimension} numbers, recipe {encoder.recipe}, weights SHA-256
`{encoder.source}`. Heads refuse to serve with another encoder.

**Intended use.** Routing messages of customers of a consumer-finance institution, Chinese first, English second, with a
person one tap away. Not for decisions about a person: no credit, limit or collection decision rests on it. Trained on
{rows} utterances."""


def _data(meta: HeadsMeta, utterances: Sequence[Utterance]) -> str:
    languages = Counter(utterance.lang for utterance in utterances)
    acts = Counter[str](utterance.act for utterance in utterances if utterance.act is not None)
    return f"""## Data

SHA-256 `{meta.data_sha256}`; glossary `{meta.glossary_sha256}`.
Languages: {_listed(languages)}. Acts: {_listed(acts)}."""


def _figures(meta: HeadsMeta) -> str:
    lines = "\n".join(f"| {name} | {value:.4f} |" for name, value in meta.metrics.items())
    return f"""## Out-of-fold figures

{2 if meta.quick else 5} folds, stratified by intent. Each row is scored by heads that have not seen it; near-duplicates
by one author can stand in two folds.

| figure | value |
|---|---|
{lines}"""


def _thresholds(meta: HeadsMeta) -> str:
    chosen = meta.thresholds
    return f"""## Abstention

Chosen on the same out-of-fold predictions.

- `low_confidence`: below {chosen.low_confidence:g} (above it at most {TARGET_ERROR:.0%} are wrong).
- `ambiguous`: the leading two are nearer than {chosen.margin:g}, or the confidence is low and both together reach
  {chosen.pair:g}.
- `out_of_scope`, `unclear`: where these labels win."""


def _per_intent(taxonomy: Taxonomy, held_out: Floats, labels: Indices) -> str:
    winners = held_out.argmax(axis=1)
    rows = []
    for index, name in enumerate(taxonomy.ids):
        of_intent = labels == index
        mistaken = Counter(winners[of_intent & (winners != index)].tolist())
        rival = taxonomy.ids[mistaken.most_common(1)[0][0]] if mistaken else "–"
        rows.append((float(np.mean(winners[of_intent] == index)), name, int(of_intent.sum()), rival))
    lines = "\n".join(
        f"| {name} | {count} | {recall:.2f} | {rival} |" for recall, name, count, rival in sorted(rows)[:_WORST]
    )
    return f"""## The {_WORST} intents with the lowest out-of-fold recall

| intent | utterances | recall | taken most often for |
|---|---|---|---|
{lines}"""


def _limits() -> str:
    return """## Limits

Utterances were written for this project and are not a sample of any institution's traffic: measure on your own messages
(`assistant evaluate intents --data FILE`). English and traditional Chinese are a small share. The act labels come from
several authors and are uneven. A message is read by itself, without the conversation before it."""


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
