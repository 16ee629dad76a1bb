"""Carrying out the steps of a plan: each kind of step has its one place here."""

from dataclasses import replace
from datetime import date

from assistant.answers import compose
from assistant.calendar import local_date
from assistant.errors import BankUnavailable, ChatModelUnavailable, RetrieverUnavailable
from assistant.fragments import Fragment, Scene, choices
from assistant.institution import Institution
from assistant.ports import Retriever
from assistant.rewriting import Rewriter
from assistant.switchboard import Handed, Switchboard
from assistant.taxonomy import Taxonomy
from assistant.teller import Teller
from assistant.types.answers import Answer, Unanswered
from assistant.types.cases import CaseReason
from assistant.types.events import EventBody, QuestionUnanswered, ReplyBlocked
from assistant.types.messages import AwaitingVerification, Choice, Outcome
from assistant.types.steps import (
    AnswerFromPolicy,
    AskVerification,
    Cancel,
    Clarify,
    Escalate,
    Execute,
    PassToAgent,
    ProposeEarlyRepay,
    ReadBank,
    Say,
    Step,
    Warn,
)
from assistant.types.understanding import RiskKind
from assistant.types.value import IntentId, Locale
from assistant.voice import SILENCE, Phrase, Voice

WARNINGS: dict[RiskKind, str] = {
    "scam_victim": "warned_scam",
    "account_takeover": "warned_takeover",
    "self_harm": "warned_self_harm",
}
OFFERS = {"bill_query": "bill", "limit_query": "limit", "early_repay": "settle_quote"}


class CarryOut:
    """The hands of the assistant."""

    def __init__(
        self,
        retriever: Retriever,
        rewriter: Rewriter | None,
        taxonomy: Taxonomy,
        institution: Institution,
        teller: Teller,
        switchboard: Switchboard,
    ) -> None:
        self._retriever = retriever
        self._rewriter = rewriter
        self._taxonomy = taxonomy
        self._institution = institution
        self._teller = teller
        self._switchboard = switchboard

    def step(self, step: Step, scene: Scene) -> Fragment | None:
        """Carry one step out; None where it has nothing to say. A bank that is down becomes words and a case."""
        try:
            return self._step(step, scene)
        except BankUnavailable:
            return self.to_person(scene, Escalate(reason="bank_down"), "degraded", scene.voice.say("bank_down"))

    def to_person(
        self, scene: Scene, step: Escalate, outcome: Outcome, before: Phrase, announce: str | None = None
    ) -> Fragment:
        """Words, then the hand-over they lead to."""
        return _handed(self._switchboard.put_through(scene, step, announce), outcome, before)

    def _step(self, step: Step, scene: Scene) -> Fragment | None:
        match step:
            case AnswerFromPolicy():
                return self._answer(step, scene)
            case ReadBank() | ProposeEarlyRepay() | Execute() | Cancel():
                return self._at_the_bank(step, scene)
            case AskVerification():
                return self._verify(step.pending, scene)
            case Clarify():
                return self._clarify(step, scene.voice)
            case Warn():
                return Fragment("warned", scene.voice.say(WARNINGS[step.risk]), choices=choices(scene.voice))
            case Escalate():
                return self.to_person(scene, step, "escalated", Phrase())
            case PassToAgent():
                return Fragment("with_agent", Phrase())
            case Say():
                return self._say(step, scene.voice)

    def _at_the_bank(self, step: ReadBank | ProposeEarlyRepay | Execute | Cancel, scene: Scene) -> Fragment:
        scene.stage("acting")
        match step:
            case ReadBank():
                return self._teller.limits(scene) if step.action == "limit_query" else self._teller.bill(scene)
            case ProposeEarlyRepay():
                return self._teller.propose(step.slots, scene)
            case Cancel():
                return self._teller.cancel(step, scene)
        done = self._teller.execute(step, scene)
        if done.receipt is not None and done.receipt.status == "unknown":
            followed_up = self._switchboard.put_through(
                scene, Escalate(reason="action_unknown", intent=IntentId("early_repay"))
            )
            return _handed(followed_up, "degraded", done.words, done)
        return done

    # --- words ---

    def _say(self, step: Say, voice: Voice) -> Fragment:
        minutes = self._institution.verification.step_up_minutes
        words = voice.say(step.key, minutes=minutes) if step.key == "verification_done" else voice.say(step.key)
        return Fragment(step.outcome, words, choices=choices(voice, "bill", "limit", "early_repay"))

    def _verify(self, pending: AwaitingVerification, scene: Scene) -> Fragment:
        key = "code_hint" if scene.session.dialogue.pending == pending else "verification_needed"
        return Fragment("awaiting_verification", scene.voice.say(key), pending=pending, choices=choices(scene.voice))

    def _clarify(self, step: Clarify, voice: Voice) -> Fragment:
        labels = [self._label(intent, voice) for intent in step.options]
        offered = tuple(Choice(label=label, message=label) for label in labels)
        return Fragment("clarifying", voice.say("clarify"), choices=(*offered, *choices(voice)))

    def _label(self, intent: IntentId, voice: Voice) -> str:
        entry = self._taxonomy[intent]
        return entry.zh if voice.locale == "zh-CN" else entry.en

    # --- policy ---

    def _answer(self, step: AnswerFromPolicy, scene: Scene) -> Fragment | None:
        scene.stage("retrieving")
        found = self._composed(step, scene)
        if isinstance(found, Unanswered):
            return self._unanswered(found, step, scene)
        found, events = self._rewritten(found, step, scene)
        words = Phrase(found.text, texts=(*(citation.quote for citation in found.citations), found.details))
        if step.brand is not None:
            words = scene.voice.say("other_brand", brand=step.brand).joined(words)
        if self._is_not_offered(step, scene):
            words = scene.voice.say("action_not_offered").joined(words)
        offers = (OFFERS[step.offer],) if step.offer else ()
        return Fragment(
            "answered",
            words,
            details=Phrase(found.details, texts=(found.details,)),
            citations=found.citations,
            choices=choices(scene.voice, *offers),
            events=events,
        )

    def _composed(self, step: AnswerFromPolicy, scene: Scene) -> Answer | Unanswered:
        try:
            return answer_from(self._retriever, step, local_date(scene.now), scene.session.locale)
        except RetrieverUnavailable:
            return Unanswered(reason="retriever_down")

    def _rewritten(self, found: Answer, step: AnswerFromPolicy, scene: Scene) -> tuple[Answer, tuple[EventBody, ...]]:
        """The chat model's wording where one is configured and every claim in it is supported."""
        if self._rewriter is None:
            return found, ()
        try:
            rewritten = self._rewriter.rewrite(step.question, found, scene.session.locale)
        except ChatModelUnavailable as error:
            return found, (ReplyBlocked(rule="chat_model_down", draft=str(error)),)
        blocked = tuple(ReplyBlocked(rule="claim_check", draft=claim) for claim in rewritten.unsupported)
        return rewritten.answer, blocked

    def _unanswered(self, found: Unanswered, step: AnswerFromPolicy, scene: Scene) -> Fragment | None:
        gap = _gap(found, step, scene.session.locale)
        if step.first_help:
            # A person follows: nothing is said, and what could not be is kept. Any other step's outcome goes before.
            return Fragment("social", SILENCE, events=gap) if gap else None
        if step.brand is not None:
            words = scene.voice.say("other_brand_only", brand=step.brand)
            return Fragment("refused", words, choices=choices(scene.voice))
        reason: CaseReason = "unanswered"
        escalate = Escalate(reason=reason, intent=step.intent)
        if found.reason == "retriever_down":
            return self.to_person(scene, escalate, "degraded", scene.voice.say("degraded"))
        handed = self.to_person(scene, escalate, "escalated", Phrase(), announce="unanswered")
        return replace(handed, events=(*gap, *handed.events))

    def _is_not_offered(self, step: AnswerFromPolicy, scene: Scene) -> bool:
        """Whether the customer asked for something to be done that cannot be done here yet."""
        wanted = scene.heard is not None and scene.heard.prediction.act == "do" and step.brand is None
        return wanted and step.offer is None and not step.first_help and self._taxonomy[step.intent].route == "action"


def answer_from(retriever: Retriever, step: AnswerFromPolicy, day: date, locale: Locale) -> Answer | Unanswered:
    """What the policies in force on a day say to a question. Raises RetrieverUnavailable."""

    def found(asked: str) -> Answer | Unanswered:
        passages = retriever.search(asked, on=day, product=step.product, language=locale, limit=12)
        return compose(step.question, step.intent, step.act, passages)

    composed = found(f"{step.context} {step.question}" if step.context else step.question)
    # A follow-up that turns to another topic is found by itself: what was asked before only leads astray.
    return found(step.question) if step.context and isinstance(composed, Unanswered) else composed


def _gap(found: Unanswered, step: AnswerFromPolicy, locale: Locale) -> tuple[EventBody, ...]:
    """What editors are told: nothing of another company's product, nor while the index is down."""
    if step.brand is not None or found.reason == "retriever_down" or found.reason == "other_institution":
        return ()
    noted = QuestionUnanswered(
        text=step.question,
        context=step.context,
        intent=step.intent,
        act=step.act,
        product=step.product,
        locale=locale,
        gap=found.reason,
        nearest=found.nearest,
    )
    return (noted,)


def _handed(handed: Handed, outcome: Outcome, before: Phrase, done: Fragment | None = None) -> Fragment:
    fragment = Fragment(
        outcome,
        before.joined(handed.words),
        case=handed.case,
        queue_position=handed.position,
        events=(handed.news,),
    )
    if done is None:
        return fragment
    return Fragment(
        outcome,
        fragment.words,
        ended=done.ended,
        receipt=done.receipt,
        case=handed.case,
        queue_position=handed.position,
        choices=done.choices,
        events=(*done.events, handed.news),
    )
