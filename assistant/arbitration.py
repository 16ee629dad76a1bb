"""Which of the leading intents an unsure message has, asked of a chat model in place of the customer.

The model chooses one of the likeliest intents, as a clarifying question would offer them, or none of them. Whatever
else it says changes nothing.
"""

import json
import logging
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from assistant.errors import ChatModelUnavailable, EncoderUnavailable
from assistant.ports import ChatModel
from assistant.prompts import Prompts
from assistant.taxonomy import FALLBACK, SOCIAL, Taxonomy
from assistant.types.understanding import Act, Alternative, Arbitration, ArbitrationOutcome, Prediction
from assistant.types.value import IntentId, Value

log = logging.getLogger(__name__)

_UNSURE = ("ambiguous", "low_confidence")
_LEAST = 0.01
"""An alternative less likely than this is chance, and no candidate."""
_LONGEST = 400
"""Characters after which the stream is left: no answer of the schema is as long."""


class _Choice(Value):
    """The answer that the schema demands; None: none of these."""

    intent: IntentId | None


class Arbiter:
    """Settles predictions that the classifier abstained from for want of a clear leader."""

    def __init__(
        self,
        model: ChatModel,
        prompts: Prompts,
        taxonomy: Taxonomy,
        act_of: Callable[[str, IntentId], Act | None],
    ) -> None:
        """`act_of` reads the act of a message under an intent; it may raise EncoderUnavailable."""
        self._model = model
        self._prompt = prompts["arbitrate_intent"]
        self._taxonomy = taxonomy
        self._act_of = act_of
        self.version = f"{model.version} {prompts.version}"

    def arbitrate(self, text: str, prediction: Prediction) -> Prediction:
        """The prediction of a masked message under the intent that was chosen, not abstained any more.

        The confidence stays what the classifier gives that intent. A prediction that was not unsure comes back as it
        is; one that the model could not settle is as it was but for `arbitration`, which says so. Raises nothing.
        """
        candidates = self._candidates(prediction)
        abstained = prediction.abstained
        if abstained not in _UNSURE or not candidates:
            return prediction
        ids = tuple(candidate.id for candidate in candidates)

        def told(outcome: ArbitrationOutcome, **changes: object) -> Prediction:
            arbitration = Arbitration(candidates=ids, read=prediction.intent, abstained=abstained, outcome=outcome)
            return prediction.model_copy(update={"arbitration": arbitration, **changes})

        try:
            chosen = self._choice(text, ids)
            if chosen is None:
                return told("none_of_these")
            if chosen not in ids:
                return told("invalid")
            if self._leaves_a_person(chosen, ids):
                return told("person_kept")
            act = self._act_of(text, chosen)
        except ValidationError:
            return told("invalid")
        except (ChatModelUnavailable, EncoderUnavailable) as error:
            log.warning("an unsure message could not be settled: %s", error)
            return told("unavailable")
        first = next(candidate for candidate in candidates if candidate.id == chosen)
        others = (one for one in prediction.alternatives if one != first)
        return told(
            "chosen",
            intent=chosen,
            act=act,
            confidence=first.confidence,
            abstained=None,
            alternatives=(first, *others),
        )

    def _candidates(self, prediction: Prediction) -> Sequence[Alternative]:
        # A model's guess must neither refuse a customer nor say yes or no for them.
        unfit = (SOCIAL, FALLBACK)
        likely = (one for one in prediction.alternatives if one.confidence >= _LEAST)
        return [one for one in likely if self._taxonomy[one.id].group not in unfit]

    def _leaves_a_person(self, chosen: IntentId, ids: Sequence[IntentId]) -> bool:
        """Whether a message that may belong to a person would no longer get there."""
        human = {one for one in ids if self._taxonomy[one].route == "human"}
        return bool(human) and chosen not in human

    def _choice(self, text: str, ids: Sequence[IntentId]) -> IntentId | None:
        """Raises ChatModelUnavailable; ValidationError for what is not one object of the schema's form."""
        lines = (f"- {intent.id}: {intent.zh}. {intent.definition}" for intent in map(self._taxonomy.__getitem__, ids))
        prompt = self._prompt.fill(candidates="\n".join(lines), schema=_schema(ids), message=text)
        said = ""
        for piece in self._model.stream(prompt.system, prompt.user):
            said += piece
            if len(said) > _LONGEST:
                break
        return _Choice.model_validate_json(said).intent


def _schema(ids: Sequence[IntentId]) -> str:
    schema = {
        "type": "object",
        "properties": {"intent": {"enum": [*ids, None]}},
        "required": ["intent"],
        "additionalProperties": False,
    }
    return json.dumps(schema)
