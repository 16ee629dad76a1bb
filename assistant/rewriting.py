"""A chat model may word an answer; it may not add to it."""

from typing import Literal

from assistant.answers import MAX_OPENING, claim_check, reading_length
from assistant.ports import ChatModel
from assistant.prompts import Prompts
from assistant.types.answers import Answer
from assistant.types.value import Locale, Value

_LANGUAGES: dict[Locale, str] = {"zh-CN": "Simplified Chinese", "en": "English"}
_LONGEST = 4 * MAX_OPENING
"""Characters after which the stream is left: the draft is too long whatever follows."""


class Rewritten(Value):
    """The answer to send: the model's wording, or the extractive one where `refused` says why that was kept."""

    answer: Answer
    unsupported: tuple[str, ...] = ()
    """What the draft stated and no clause supports."""
    refused: Literal["empty", "too_long", "unsupported"] | None = None


class Rewriter:
    """Words an extractive answer anew from the same clauses, and keeps it where the draft says more than they do."""

    def __init__(self, model: ChatModel, prompts: Prompts) -> None:
        self._model = model
        self._prompt = prompts["rewrite_answer"]
        self.version = model.version

    def rewrite(self, question: str, answer: Answer, locale: Locale) -> Rewritten:
        """Citations and details stay; only the text is worded anew. Raises ChatModelUnavailable."""
        clauses = "\n\n".join((*(citation.quote for citation in answer.citations), answer.details))
        prompt = self._prompt.fill(language=_LANGUAGES[locale], question=question, clauses=clauses, answer=answer.text)
        draft = self._draft(prompt.system, prompt.user)
        if not draft:
            return Rewritten(answer=answer, refused="empty")
        if reading_length(draft) > MAX_OPENING:
            return Rewritten(answer=answer, refused="too_long")
        if unsupported := claim_check(draft, (clauses, answer.text)):
            return Rewritten(answer=answer, unsupported=unsupported, refused="unsupported")
        return Rewritten(answer=answer.model_copy(update={"text": draft, "composer": "chat_model"}))

    def _draft(self, system: str, user: str) -> str:
        draft = ""
        for piece in self._model.stream(system, user):
            draft += piece
            if len(draft) > _LONGEST:
                break
        return draft.strip()
