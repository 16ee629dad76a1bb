"""What a message wants: one of the taxonomy's intents and an act, with a calibrated confidence, or an abstention."""

import re
from typing import cast

import numpy as np
from numpy.typing import NDArray

from assistant.errors import ConfigurationError
from assistant.glossary import Glossary
from assistant.heads import Floats, Heads, Indices, ngram_buckets
from assistant.ports import Encoder
from assistant.taxonomy import Taxonomy
from assistant.types.understanding import Abstention, Act, Alternative, Prediction
from assistant.types.value import IntentId

OUT_OF_SCOPE = IntentId("out_of_scope")
UNCLEAR = IntentId("unclear")
_ALTERNATIVES = 3
_SHORTEST_PART = 4
_SECOND_REQUEST = re.compile(
    r"[,，。.?？!！\s]*(?:顺便|順便|另外)(?:问一下|问下|再问|問一下)?[,，]?"
    r"|[,，。?？!！\s]+(?:还有|還有|再)"
    r"|[;；]"
    r"|[,.]?\s+(?:and also|and|also)\s+",
    re.IGNORECASE,
)


class IntentClassifier:
    """Encoder, glossary and trained heads, bound to one taxonomy."""

    def __init__(self, encoder: Encoder, glossary: Glossary, heads: Heads, taxonomy: Taxonomy) -> None:
        """Raises ConfigurationError where the heads were trained for another encoder or taxonomy."""
        _check_fit(encoder, heads, taxonomy)
        self.version = heads.version
        self.encoder_version = encoder.version
        self._encoder = encoder
        self._glossary = glossary
        self._heads = heads
        self._taxonomy = taxonomy

    def predict(self, text: str) -> Prediction:
        """The likeliest intent of a masked message. Raises EncoderUnavailable."""
        vector, buckets = self._features(text)
        requests = self._two_requests(text)
        probabilities = _blend(requests) if requests else self._heads.intent_probabilities(vector, buckets)
        intent, abstained = self._read(probabilities)
        return Prediction(
            intent=intent,
            act=self._act(intent, vector, buckets),
            confidence=_unit(probabilities.max()),
            secondary=next((other for row in requests if (other := self._read(row)[0]) != intent), None),
            abstained=None if requests else abstained,
            alternatives=self._alternatives(probabilities),
        )

    def act(self, text: str, intent: IntentId) -> Act | None:
        """The act of a masked message, were this its intent. Raises EncoderUnavailable."""
        return self._act(intent, *self._features(text))

    def predict_without_encoder(self, text: str) -> Prediction:
        """A guess from letters alone while the encoder is down: always abstained; its alternatives may be offered."""
        probabilities = self._heads.ngram_probabilities(ngram_buckets(self._glossary.canonical(text)))
        return Prediction(
            intent=self._label(int(probabilities.argmax())),
            act=None,
            confidence=_unit(probabilities.max()),
            abstained="low_confidence",
            alternatives=self._alternatives(probabilities),
        )

    def probabilities(self, text: str) -> NDArray[np.float32]:
        """Calibrated probabilities in the order of the taxonomy's ids."""
        return self._heads.intent_probabilities(*self._features(text))

    def _features(self, text: str) -> tuple[Floats, Indices]:
        canonical = self._glossary.canonical(text)
        return self._encoder.encode([canonical], "query")[0], ngram_buckets(canonical)

    def _read(self, probabilities: Floats) -> tuple[IntentId, Abstention | None]:
        second, first = np.argsort(probabilities, kind="stable")[-2:]
        return self._label(int(first)), self._abstention(
            self._label(int(first)), float(probabilities[first]), float(probabilities[second])
        )

    def _abstention(self, intent: IntentId, first: float, second: float) -> Abstention | None:
        thresholds = self._heads.meta.thresholds
        if intent == OUT_OF_SCOPE:
            return "out_of_scope"
        if intent == UNCLEAR:
            return "unclear"
        if first < thresholds.low_confidence:
            return "ambiguous" if first + second >= thresholds.pair else "low_confidence"
        return "ambiguous" if first - second < thresholds.margin else None

    def _act(self, intent: IntentId, vector: Floats, buckets: Indices) -> Act | None:
        if not self._taxonomy[intent].has_act:
            return None
        index = self._heads.meta.intents.index(intent)
        best = int(self._heads.act_probabilities(vector, buckets, index).argmax())
        return cast(Act, self._heads.meta.acts[best])

    def _alternatives(self, probabilities: Floats) -> tuple[Alternative, ...]:
        """The likeliest three, the prediction itself first."""
        order = np.argsort(-probabilities, kind="stable")[:_ALTERNATIVES]
        return tuple(Alternative(id=self._label(int(index)), confidence=_unit(probabilities[index])) for index in order)

    def _two_requests(self, text: str) -> tuple[Floats, ...]:
        """The probabilities of both halves where a message asks for two things, each clear by itself; else nothing."""
        parts = [part.strip() for part in _SECOND_REQUEST.split(text, maxsplit=1)]
        if len(parts) != 2 or min(map(len, parts)) < _SHORTEST_PART:
            return ()
        rows = tuple(self.probabilities(part) for part in parts)
        read = [self._read(row) for row in rows]
        if any(abstained is not None or not self._taxonomy[intent].has_act for intent, abstained in read):
            return ()
        return rows if read[0][0] != read[1][0] else ()

    def _label(self, index: int) -> IntentId:
        return IntentId(self._heads.meta.intents[index])


def _check_fit(encoder: Encoder, heads: Heads, taxonomy: Taxonomy) -> None:
    meta = heads.meta
    if (meta.encoder_version, meta.dimension) != (encoder.version, encoder.dimension):
        raise ConfigurationError(
            f"the heads were trained for encoder {meta.encoder_version} ({meta.dimension} numbers), "
            f"ASSISTANT_ENCODER gives {encoder.version} ({encoder.dimension}): run `assistant train`"
        )
    if meta.intents != taxonomy.ids or meta.taxonomy_version != taxonomy.version:
        raise ConfigurationError(
            f"the heads were trained for taxonomy version {meta.taxonomy_version} with {len(meta.intents)} labels, "
            f"intents.yaml is version {taxonomy.version} with {len(taxonomy.ids)}: run `assistant train`"
        )


def _blend(requests: tuple[Floats, ...]) -> Floats:
    """Two clear requests share the probability of their message; what was asked first leads where both are as clear."""
    first, second = requests
    blended: Floats = np.float32(0.55) * first + np.float32(0.45) * second
    return blended


def _unit(value: float) -> float:
    # float32 sums may end a hair above one.
    return min(1.0, max(0.0, float(value)))
