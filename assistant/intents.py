"""What a message wants: one of the taxonomy's intents and an act, with a calibrated confidence, or an abstention."""

import re
from collections.abc import Iterable
from itertools import islice
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
_SHORTEST_PART = 3
_MOST_CUTS = 4
_SECOND_LEAST = 0.001
"""What the whole message must give each of two requests: a story or a reason before one request gives less."""
_SURE_PART = 0.95
_CUT = re.compile(
    r"[,，。.?？!！;；、\n]+"
    r"|(?<=[\u4e00-\u9fff*])\s+(?=[\u4e00-\u9fff])"
    r"|(?=顺便|順便|另外|还有|還有|然后|然後|以及|同时|同時|还想|還想|还要|還要|再(?:帮|幫|问|問|查|说|說|看))"
    r"|(?<=[\u4e00-\u9fff])和(?=[\u4e00-\u9fff])"
    r"|\s+(?:and also|and|also|plus|btw)\s+",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"^[\s,，。.?？!！;；、]*"
    r"(?P<also>(?:顺便|順便|另外|还有|還有|然后|然後|以及|同时|同時|还想|還想|还要|還要|再|and|also|plus|btw)*)"
    r"(?:帮我|幫我)?(?:问一下|問一下|问下|問下|再问|再問|问|問)?[\s,，]*",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]")


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
        probabilities = self._heads.intent_probabilities(vector, buckets)
        requests = self._two_requests(text, probabilities)
        if requests:
            probabilities = _blend(requests)
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

    def _two_requests(self, text: str, whole: Floats) -> tuple[Floats, ...]:
        """The probabilities of both parts where a message asks for two things, each clear by itself; else nothing.

        It is cut where the parts are clearest. What was asked first stands first; but a first part that reports
        something, with nothing that links the second to it, is as often what happened before: then the one that the
        whole message speaks of more stands first.
        """
        found: tuple[Floats, ...] = ()
        if np.count_nonzero(whole >= _SECOND_LEAST) < 2:
            return found
        clearest = _SURE_PART
        for first, second, linked in _cuts(text):
            rows = [self.probabilities(first), self.probabilities(second)]
            places = [int(row.argmax()) for row in rows]
            clear = min(float(row.max()) for row in rows)
            if clear < clearest or places[0] == places[1] or min(whole[places]) < _SECOND_LEAST:
                continue
            if all(self._taxonomy[self._label(place)].has_act for place in places):
                clearest = clear
                asked = linked or self.act(first, self._label(places[0])) in ("ask", "do")
                found = tuple(rows if asked or whole[places[0]] >= whole[places[1]] else reversed(rows))
        return found

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


def _cuts(text: str) -> Iterable[tuple[str, str, bool]]:
    """Where one request may end and another begin: what stands before, what follows, and whether words link the two.

    Such words belong to neither; the first few places are taken.
    """
    return islice(filter(None, (_parts(text, cut) for cut in _CUT.finditer(text))), _MOST_CUTS)


def _parts(text: str, cut: re.Match[str]) -> tuple[str, str, bool] | None:
    before, after = text[: cut.start()].strip(), text[cut.end() :]
    link = _LINK.match(after)
    assert link is not None  # it may be empty
    second = after[link.end() :].strip()
    if min(len(before), len(second)) < _SHORTEST_PART:
        return None
    return before, second, bool(_WORD.search(cut[0]) or link["also"])


def _blend(requests: tuple[Floats, ...]) -> Floats:
    """Two clear requests share the probability of their message; the first leads where both are as clear."""
    first, second = requests
    blended: Floats = np.float32(0.55) * first + np.float32(0.45) * second
    return blended


def _unit(value: float) -> float:
    # float32 sums may end a hair above one.
    return min(1.0, max(0.0, float(value)))
