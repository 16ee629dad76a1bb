"""Carrying out the steps of a plan: each kind of step has its one place here."""

from dataclasses import replace

from assistant.enquiries import Enquiries
from assistant.errors import BankUnavailable
from assistant.fragments import Fragment, Scene, choices
from assistant.institution import Institution
from assistant.passbook import Passbook
from assistant.switchboard import Handed, Switchboard
from assistant.taxonomy import Taxonomy
from assistant.teller import Teller
from assistant.types.answers import Unanswered
from assistant.types.events import EventBody, QuestionUnanswered
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


class CarryOut:
    """The hands of the assistant."""

    def __init__(
        self,
        enquiries: Enquiries,
        taxonomy: Taxonomy,
        institution: Institution,
        passbook: Passbook,
        teller: Teller,
        switchboard: Switchboard,
    ) -> None:
        self._enquiries = enquiries
        self._taxonomy = taxonomy
        self._institution = institution
        self._passbook = passbook
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
                return self._passbook.limits(scene) if step.action == "limit_query" else self._passbook.bill(scene)
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

    def _answer(self, step: AnswerFromPolicy, scene: Scene) -> Fragment | None:
        scene.stage("retrieving")
        found = self._enquiries.answer(step, scene)
        return found if isinstance(found, Fragment) else self._unanswered(found, step, scene)

    def _unanswered(self, found: Unanswered, step: AnswerFromPolicy, scene: Scene) -> Fragment | None:
        gap = _gap(found, step, scene.session.locale)
        if step.first_help:
            # A person follows: nothing is said, and what could not be is kept. Any other step's outcome goes before.
            return Fragment("social", SILENCE, events=gap) if gap else None
        if step.brand is not None:
            words = scene.voice.say("other_brand_only", brand=step.brand)
            return Fragment("refused", words, choices=choices(scene.voice))
        escalate = Escalate(reason="unanswered", intent=step.intent)
        if found.reason == "retriever_down":
            return self.to_person(scene, escalate, "degraded", scene.voice.say("degraded"))
        handed = self.to_person(scene, escalate, "escalated", Phrase(), announce="unanswered")
        return replace(handed, events=(*gap, *handed.events))

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


def _gap(found: Unanswered, step: AnswerFromPolicy, locale: Locale) -> tuple[EventBody, ...]:
    """What editors are told: nothing of another company's product, nor while the index is down."""
    if step.brand is not None or found.reason == "retriever_down":
        return ()
    noted = QuestionUnanswered(
        text=step.question,
        context=step.context,
        intent=step.intent,
        act=step.act,
        product=step.product,
        locale=locale,
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
