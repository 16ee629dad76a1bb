"""The dialogue policy: from a session and what was heard to the steps of one turn. Pure; the whole of it is here."""

import re
from collections.abc import Callable
from typing import Literal

from assistant.types.actions import ActionName
from assistant.types.cases import CaseReason
from assistant.types.messages import (
    AwaitingChoice,
    AwaitingConfirmation,
    AwaitingSlot,
    AwaitingVerification,
    Dialogue,
    HumanAsked,
    IdentityProved,
    LockedOut,
    Session,
    Tapped,
)
from assistant.types.steps import (
    AnswerFromPolicy,
    AskVerification,
    Cancel,
    Clarify,
    Escalate,
    Execute,
    PassToAgent,
    Plan,
    ProposeEarlyRepay,
    ReadBank,
    Say,
    Step,
    Warn,
)
from assistant.types.understanding import Act, Alternative, RiskKind, Slots, Understanding
from assistant.types.value import Instant, IntentId, ProposalId

Route = Literal["answer", "action", "human", "social", "fallback"]
Heard = Understanding | Tapped | IdentityProved | HumanAsked | LockedOut

OFFERED: dict[IntentId, ActionName] = {
    IntentId("limit_query"): "limit_query",
    IntentId("bill_query"): "bill_query",
    IntentId("early_repay"): "early_repay",
}
"""The action intents that are served to their end; the others are answered from policy, with a person beside it."""

# Words of assent are taken literally: a mistaken "yes" moves money, a mistaken "no" costs one more question.
ASSENT = frozenset(
    {"确认", "确认办理", "是", "是的", "对", "好", "好的", "可以", "行", "办理", "yes", "ok", "okay", "confirm"}
)
DISSENT = frozenset({"取消", "不", "不了", "不要", "不办了", "算了", "先不办", "no", "cancel", "not now"})
FOLLOW_UPS = ("那", "那么", "what about", "and ", "how about", "ok but", "but ")
LEANING = 40
"""Characters up to which a message may lean on the question before it."""
_ASKS = re.compile(
    r"[?？吗呢么没不]$|[几哪啥多咋]|怎么|什么|能|可以|会|要不|算不|\b(?:how|what|when|where|which|who|can|do|does|is|are|will)\b"
)
EARLY_REPAY = IntentId("early_repay")
REPAYING = (EARLY_REPAY, IntentId("repay_how"))
"""Intents by which a customer with a repayment on the table names another sum or loan."""
INTERRUPTING_RISKS: tuple[RiskKind, ...] = ("self_harm", "scam_victim", "account_takeover")


def plan(
    session: Session,
    heard: Heard,
    route_of: Callable[[IntentId], Route],
    labels: dict[str, IntentId],
    now: Instant,
    patience: int,
) -> Plan:
    """The next steps.

    `labels` maps what a clarifying button sends back to its intent; `patience` is how many turns in a row may fail to
    be understood before a person is brought in (rules/escalation.yaml).
    """
    dialogue = session.dialogue
    if session.mode == "manual":
        return Plan(steps=(PassToAgent(),), dialogue=dialogue)
    if isinstance(heard, HumanAsked):
        return _hand_over(dialogue, "customer_asked", IntentId("human_agent"))
    if isinstance(heard, LockedOut):
        return _hand_over(dialogue.model_copy(update={"pending": None}), "verification_failed", dialogue.last_intent)
    if isinstance(heard, Tapped):
        step = Execute if heard.choice == "confirm" else Cancel
        cleared = _settled(dialogue, heard.proposal_id)
        return Plan(steps=(step(proposal_id=heard.proposal_id, digest=heard.digest),), dialogue=cleared)
    if isinstance(heard, IdentityProved):
        return _resume(dialogue)
    return _Said(session, heard, route_of, labels, now, patience).plan()


def _hand_over(dialogue: Dialogue, reason: CaseReason, intent: IntentId | None) -> Plan:
    return Plan(steps=(Escalate(reason=reason, intent=intent),), dialogue=dialogue.model_copy(update={"unknowns": 0}))


def _settled(dialogue: Dialogue, proposal_id: ProposalId) -> Dialogue:
    pending = dialogue.pending
    if isinstance(pending, AwaitingConfirmation) and pending.proposal_id == proposal_id:
        return dialogue.model_copy(update={"pending": None})
    return dialogue


def _resume(dialogue: Dialogue) -> Plan:
    pending = dialogue.pending
    if not isinstance(pending, AwaitingVerification):
        return Plan(steps=(Say(key="verification_done"),), dialogue=dialogue)
    cleared = dialogue.model_copy(update={"pending": None})
    return Plan(steps=(_act_on(OFFERED[pending.intent], pending.slots),), dialogue=cleared)


def _act_on(action: ActionName, slots: Slots) -> ReadBank | ProposeEarlyRepay:
    return ProposeEarlyRepay(slots=slots) if action == "early_repay" else ReadBank(action=action)


class _Said:
    """The reading of one written message against the session, rule by rule in order of precedence."""

    def __init__(
        self,
        session: Session,
        heard: Understanding,
        route_of: Callable[[IntentId], Route],
        labels: dict[str, IntentId],
        now: Instant,
        patience: int,
    ) -> None:
        self._patience = patience
        self._session = session
        self._heard = heard
        self._dialogue = session.dialogue
        self._route_of = route_of
        self._labels = labels
        self._now = now
        self._words = heard.text.strip().rstrip("。.!！~～").lower()

    def plan(self) -> Plan:
        for rule in (
            self._danger,
            self._pending_confirmation,
            self._pending_choice,
            self._pending_slot,
            self._fallbacks,
        ):
            found = rule()
            if found is not None:
                return found
        return self._by_route(self._heard.prediction.intent, self._heard.prediction.act, self._heard.text)

    # --- precedence 1: people in danger ---

    def _danger(self) -> Plan | None:
        high = {risk.kind for risk in self._heard.risks if risk.level == "high"}
        for kind in INTERRUPTING_RISKS:
            if kind in high:
                warned = tuple(dict.fromkeys((*self._dialogue.warned, kind)))
                state = self._dialogue.model_copy(update={"pending": None, "warned": warned, "unknowns": 0})
                intent = self._heard.prediction.intent
                return Plan(steps=(Warn(risk=kind), Escalate(reason="risk", intent=intent)), dialogue=state)
        if "abuse" in high and self._not_understood():
            return Plan(steps=(Say(key="abuse_boundary", outcome="refused"),), dialogue=self._dialogue)
        return None

    # --- precedence 2: an open question of ours ---

    def _pending_confirmation(self) -> Plan | None:
        pending = self._dialogue.pending
        if not isinstance(pending, AwaitingConfirmation):
            return None
        if self._words in ASSENT:
            return Plan(steps=(Execute(proposal_id=pending.proposal_id),), dialogue=self._with(pending=None))
        if self._words in DISSENT or self._surely("deny"):
            return Plan(steps=(Cancel(proposal_id=pending.proposal_id),), dialogue=self._with(pending=None))
        if self._changes_the_order():
            return self._serve_action(EARLY_REPAY, "early_repay", self._heard.slots)
        if self._surely("affirm"):
            # It sounds like a yes, and a yes moves money: the card asks again for the exact word or a tap.
            return Plan(steps=(Say(key="confirm_exactly", outcome="clarifying"),), dialogue=self._dialogue)
        return None

    def _changes_the_order(self) -> bool:
        """Another loan or amount is named for the proposal on the table; a new quote replaces it."""
        slots, prediction = self._heard.slots, self._heard.prediction
        named = slots.loan is not None or slots.part is not None or slots.amount_fen is not None
        same_topic = prediction.intent in REPAYING and prediction.act != "ask"
        return named and (same_topic or prediction.abstained is not None)

    def _pending_choice(self) -> Plan | None:
        pending = self._dialogue.pending
        chosen = self._labels.get(self._heard.text.strip())
        if chosen is None:
            return None
        if isinstance(pending, AwaitingChoice) and chosen in pending.options:
            return self._by_route(chosen, self._heard.prediction.act, pending.text)
        return self._by_route(chosen, "ask", self._heard.text)

    def _pending_slot(self) -> Plan | None:
        pending = self._dialogue.pending
        if not isinstance(pending, AwaitingSlot):
            return None
        slots = self._heard.slots
        answered = slots.loan is not None if pending.slot == "loan" else slots.amount_fen is not None
        if not answered:
            return None
        named = {name: value for name, value in slots.model_dump().items() if value is not None}
        if pending.slot == "amount":
            named["part"] = "part"
        merged = pending.slots.model_copy(update=named)
        return self._serve_action(pending.intent, OFFERED[pending.intent], merged)

    # --- precedence 3: what cannot be taken at its word ---

    def _fallbacks(self) -> Plan | None:
        prediction = self._heard.prediction
        intent = prediction.intent
        if self._words in ASSENT or self._words in DISSENT:
            return self._say("affirm_nothing" if self._words in ASSENT else "deny_nothing")
        if self._is_follow_up():
            return self._follow_up(intent)
        if prediction.abstained == "out_of_scope":
            return Plan(steps=(Say(key="out_of_scope", outcome="refused"),), dialogue=self._with(pending=self._kept()))
        if self._not_understood():
            return self._not_known(prediction.abstained == "unclear")
        return None

    def _follow_up(self, intent: IntentId) -> Plan | None:
        """A question that leans on the last one: its topic stays unless another is plain."""
        topic = self._dialogue.last_intent if self._not_understood() or self._route_of(intent) == "fallback" else intent
        if topic is None or self._route_of(topic) not in ("answer", "action"):
            return None
        answer = self._answer(topic, self._heard.text)
        past = self._heard.past or self._dialogue.last_past
        # What turns to another topic is found by itself: what was asked before would only lead astray.
        context = self._dialogue.last_question if topic == self._dialogue.last_intent else None
        answer = answer.model_copy(update={"context": context, "offer": OFFERED.get(topic), "past": past})
        return self._answered(topic, self._heard.text, (answer,))

    def _not_known(self, unclear: bool) -> Plan:
        unknowns = self._dialogue.unknowns + 1
        if unknowns >= self._patience:
            state = self._with(pending=None, unknowns=0)
            return Plan(
                steps=(Escalate(reason="not_understood", intent=self._heard.prediction.intent),), dialogue=state
            )
        if unclear:
            state = self._with(pending=self._kept(), unknowns=unknowns)
            return Plan(steps=(Say(key="clarify_unclear", outcome="clarifying"),), dialogue=state)
        options = tuple(
            alternative.id
            for alternative in self._heard.prediction.alternatives[:3]
            if self._route_of(alternative.id) not in ("social", "fallback")
        ) or (self._heard.prediction.intent,)
        pending = self._kept() or AwaitingChoice(options=options, text=self._heard.text)
        step = Clarify(options=options, text=self._heard.text)
        return Plan(steps=(step,), dialogue=self._with(pending=pending, unknowns=unknowns))

    # --- precedence 4: the route of the intent ---

    def _by_route(self, intent: IntentId, act: Act | None, text: str) -> Plan:
        route = self._route_of(intent)
        if route == "social":
            return self._social(intent)
        if route == "fallback":
            return self._not_known(unclear=True)
        if route == "human":
            return self._to_person(intent, act, text)
        second = self._heard.prediction.secondary
        if second is not None and self._route_of(second) == "human":
            # What belongs to a person must not get lost behind the other request; the person serves both.
            person = self._to_person(second, None, text).steps
            return self._answered(intent, text, (self._answer(intent, text, first_help=True), *person))
        if route == "action":
            return self._action(intent, act, text)
        steps: tuple[Step, ...] = (self._answer(intent, text),)
        if intent == "credit_record" and act == "report":
            # A dispute of a credit record runs on a legal clock from the day it is received.
            steps = (
                self._answer(intent, text, first_help=True),
                Escalate(reason="human_route", intent=intent, act=act),
            )
        return self._answered(intent, text, (*steps, *self._second()))

    def _social(self, intent: IntentId) -> Plan:
        if intent in ("affirm", "deny"):
            if isinstance(self._dialogue.pending, AwaitingVerification):
                return Plan(steps=(AskVerification(pending=self._dialogue.pending),), dialogue=self._dialogue)
            return self._say(f"{intent}_nothing")
        return self._say(intent)

    def _to_person(self, intent: IntentId, act: Act | None, text: str) -> Plan:
        reason: CaseReason = "customer_asked" if intent == "human_agent" else "human_route"
        help_key = None if reason == "customer_asked" else f"help_{intent}"
        escalate = Escalate(reason=reason, intent=intent, act=act, help_key=help_key)
        if act == "ask" and intent != "human_agent":
            steps: tuple[Step, ...] = (
                self._answer(intent, text, first_help=True),
                escalate.model_copy(update={"help_key": None}),
            )
            return self._answered(intent, text, steps)
        return self._answered(intent, text, (escalate,))

    def _action(self, intent: IntentId, act: Act | None, text: str) -> Plan:
        action = OFFERED.get(intent)
        if action is None or act == "ask" or self._heard.slots.brand is not None:
            offer = action if self._heard.slots.brand is None else None
            answer = self._answer(intent, text).model_copy(update={"offer": offer})
            return self._answered(intent, text, (answer, *self._second()))
        return self._serve_action(intent, action, self._heard.slots)

    def _serve_action(self, intent: IntentId, action: ActionName, slots: Slots) -> Plan:
        state = self._with(pending=None, unknowns=0, last_intent=intent)
        if self._session.customer(self._now) is None:
            pending = AwaitingVerification(intent=intent, slots=slots)
            return Plan(
                steps=(AskVerification(pending=pending),), dialogue=state.model_copy(update={"pending": pending})
            )
        return Plan(steps=(_act_on(action, slots),), dialogue=state)

    # --- small words ---

    def _answer(self, intent: IntentId, text: str, *, first_help: bool = False) -> AnswerFromPolicy:
        slots = self._heard.slots
        return AnswerFromPolicy(
            question=text,
            context=self._dialogue.last_question if intent == self._dialogue.last_intent and self._may_lean() else None,
            act=self._heard.prediction.act,
            intent=intent,
            likely=self._likely(intent),
            product=slots.product,
            brand=slots.brand,
            past=self._heard.past,
            first_help=first_help,
        )

    def _likely(self, topic: IntentId) -> tuple[Alternative, ...]:
        """What a question on a topic may be about: one of two requests is about itself alone."""
        prediction = self._heard.prediction
        if prediction.secondary is not None:
            return (Alternative(id=topic, confidence=1.0),)
        kept = (
            () if any(one.id == topic for one in prediction.alternatives) else (Alternative(id=topic, confidence=0.5),)
        )
        return (*kept, *prediction.alternatives)

    def _second(self) -> tuple[AnswerFromPolicy, ...]:
        """The second request of the message, where a clause can answer it."""
        second = self._heard.prediction.secondary
        if second is None or self._route_of(second) not in ("answer", "action"):
            return ()
        return (self._answer(second, self._heard.text),)

    def _answered(self, intent: IntentId, text: str, steps: tuple[Step, ...]) -> Plan:
        past = next((step.past for step in steps if isinstance(step, AnswerFromPolicy)), None)
        state = self._with(
            pending=self._kept(), unknowns=0, last_intent=intent, last_question=text[:200], last_past=past
        )
        return Plan(steps=steps, dialogue=state)

    def _kept(self) -> AwaitingConfirmation | None:
        """A live proposal survives a digression; every other open question gives way to the new one."""
        pending = self._dialogue.pending
        return pending if isinstance(pending, AwaitingConfirmation) else None

    def _say(self, key: str) -> Plan:
        return Plan(steps=(Say(key=key),), dialogue=self._with(unknowns=0))

    def _with(self, **changes: object) -> Dialogue:
        return self._dialogue.model_copy(update=changes)

    def _surely(self, intent: str) -> bool:
        prediction = self._heard.prediction
        return prediction.intent == intent and prediction.abstained is None

    def _not_understood(self) -> bool:
        return self._heard.prediction.abstained in ("low_confidence", "ambiguous", "unclear")

    def _is_follow_up(self) -> bool:
        """Whether it leans on the last question: by its first word, or because it asks and says too little alone."""
        if not self._may_lean():
            return False
        prediction = self._heard.prediction
        if prediction.abstained is None:
            # An order is taken by itself, whatever word it begins with.
            return self._words.startswith(FOLLOW_UPS) and prediction.act != "do"
        return self._words.startswith(FOLLOW_UPS) or _ASKS.search(self._words) is not None

    def _may_lean(self) -> bool:
        return self._dialogue.last_question is not None and len(self._heard.text) <= LEANING
