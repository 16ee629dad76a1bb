"""A customer turn is one straight line: mask, understand, plan, carry out, check, commit, send."""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from assistant import compliance, masking, risk, slots
from assistant.arbitration import Arbiter
from assistant.calendar import local_date
from assistant.carry_out import CarryOut
from assistant.catalogue import Catalogue
from assistant.compliance import ComplianceRules, Evidence
from assistant.errors import AssistantError, EncoderUnavailable, SessionBusy
from assistant.fragments import Fragment, Scene, choices
from assistant.glossary import Glossary
from assistant.intents import IntentClassifier
from assistant.lanes import Lanes
from assistant.past import past_time
from assistant.policy import Heard, plan
from assistant.ports import Clock, Store, TurnCommit
from assistant.risk import RiskRules
from assistant.taxonomy import Taxonomy
from assistant.teller import Teller, receipt_words
from assistant.types.actions import VerifiedIdentity
from assistant.types.events import (
    EventBody,
    EventDraft,
    IdentityVerified,
    IntentArbitrated,
    ReplyBlocked,
    RisksSeen,
    Versions,
)
from assistant.types.messages import (
    CaseView,
    HumanAsked,
    IdentityProved,
    IntentView,
    LockedOut,
    Outcome,
    ProposalView,
    Reply,
    RiskView,
    Said,
    Session,
    Tapped,
    Turn,
    TurnInput,
    VaultEntry,
)
from assistant.types.steps import Clarify, Escalate, Plan
from assistant.types.understanding import Understanding
from assistant.types.value import Instant, IntentId, MessageId, ProposalId, SessionId, TraceId, TurnId
from assistant.voice import Phrase, Voice, join

log = logging.getLogger(__name__)

OUTCOMES: tuple[Outcome, ...] = (
    "warned",
    "degraded",
    "escalated",
    "action_done",
    "action_declined",
    "awaiting_confirmation",
    "awaiting_verification",
    "awaiting_slot",
    "clarifying",
    "answered",
    "refused",
    "with_agent",
    "social",
)
"""Where the steps of a turn end differently, the first of these is the turn's."""


@dataclass(frozen=True)
class Stations:
    """What the line runs through, put together in `compose`."""

    classifier: IntentClassifier
    arbiter: Arbiter | None
    glossary: Glossary
    taxonomy: Taxonomy
    catalogue: Catalogue
    risk_rules: RiskRules
    compliance_rules: ComplianceRules
    carry_out: CarryOut
    teller: Teller
    patience: int
    versions: Callable[[], Versions]


class Assistant:
    """Answers one input of one session at a time, and finishes what a crash left open."""

    def __init__(self, store: Store, clock: Clock, lanes: Lanes, stations: Stations) -> None:
        self._store = store
        self._clock = clock
        self._lanes = lanes
        self._on = stations
        self._labels: dict[str, IntentId] = {
            label: intent.id for intent in stations.taxonomy.intents for label in (intent.zh, intent.en)
        }

    # --- what starts a turn ---

    def respond(
        self, session_id: SessionId, text: str, client_message_id: str, on_stage: Callable[[str], None] | None = None
    ) -> Reply:
        """The reply to a written message; the same `client_message_id` gets the same reply and does nothing twice.

        Raises InvalidInput, NotFound, Conflict for an id used for another message, StoreUnavailable.
        """
        cleaned = masking.clean(text)
        with self._lanes.of(session_id):
            masked = masking.mask(cleaned, self._store.vault(session_id))
            return self._serve(session_id, Said(text=masked.text), client_message_id, masked.entries, on_stage)

    def tap(
        self, session_id: SessionId, choice: Literal["confirm", "cancel"], proposal_id: ProposalId, digest: str
    ) -> Reply:
        """The reply to a tap on a proposal card; a second tap gets the first one's reply.

        Raises NotFound, DigestMismatch, ProposalNotLive: nothing was written for a card that is not good.
        """
        with self._lanes.of(session_id):
            session = self._store.session(session_id)
            key = f"{choice}/{proposal_id}"
            if session.mode == "bot":
                self._on.teller.check_card(session_id, choice, proposal_id, digest, self._clock.now())
            tapped = Tapped(choice=choice, proposal_id=proposal_id, digest=digest)
            return self._serve(session_id, tapped, key)

    def ask_human(self, session_id: SessionId, client_message_id: str) -> Reply:
        """Put the customer through to a person; always possible."""
        with self._lanes.of(session_id):
            return self._serve(session_id, HumanAsked(), client_message_id)

    def identity_proved(self, session_id: SessionId, identity: VerifiedIdentity, key: str) -> Reply:
        """Serve what waited for the customer to prove who they are."""
        with self._lanes.of(session_id):
            return self._serve(session_id, IdentityProved(identity=identity), key)

    def locked_out(self, session_id: SessionId, key: str) -> Reply:
        """Open a case for a customer who could not prove who they are."""
        with self._lanes.of(session_id):
            return self._serve(session_id, LockedOut(), key)

    def reconcile(self) -> int:
        """Finish every open turn and ask after every unknown action, before serving; returns how many were settled."""
        settled = 0
        for turn in self._store.open_turns():
            with self._lanes.of(turn.session_id):
                self._finish(turn)
            settled += 1
        return settled + self._on.teller.settle_unknown(self._clock.now(), self._on.catalogue)

    # --- the line ---

    def _serve(
        self,
        session_id: SessionId,
        said: TurnInput,
        client_message_id: str,
        vault: Sequence[VaultEntry] = (),
        on_stage: Callable[[str], None] | None = None,
    ) -> Reply:
        turn = Turn(
            turn_id=TurnId(f"t_{secrets.token_hex(12)}"),
            session_id=session_id,
            client_message_id=client_message_id,
            input=said,
            trace_id=TraceId(secrets.token_hex(8)),
            accepted_at=self._clock.now(),
        )
        try:
            start = self._store.accept(turn, vault)
        except SessionBusy:
            # We hold the session's lane, so nobody is serving that turn: it was left behind, and is finished first.
            for left in self._store.open_turns():
                if left.session_id == session_id:
                    self._finish(left)
            start = self._store.accept(turn, vault)
        if start.reply is not None:
            return start.reply
        return self._run(start.turn, start.session, on_stage or _silent)

    def _finish(self, turn: Turn) -> None:
        """Complete a turn that was left open: by the line, or, where the line itself breaks on it, by a hand-over."""
        session = self._store.session(turn.session_id)
        try:
            self._run(turn, session, _silent)
        except AssistantError:
            raise
        except Exception:
            # A message that breaks a station must not block its session for ever; a person takes it.
            log.exception("turn %s could not be finished (trace %s)", turn.turn_id, turn.trace_id)
            scene = Scene(turn, session, None, self._clock.now(), self._voice(session), _silent)
            before = scene.voice.say("degraded")
            fragment = self._on.carry_out.to_person(scene, Escalate(reason="not_understood"), "degraded", before)
            self._commit(
                scene, Plan(steps=(Escalate(reason="not_understood"),), dialogue=session.dialogue), [fragment], ()
            )

    def _run(self, turn: Turn, session: Session, stage: Callable[[str], None]) -> Reply:
        now = self._clock.now()
        if isinstance(turn.input, IdentityProved):
            session = session.model_copy(update={"identity": turn.input.identity})
        stage("understanding")
        heard = self._heard(turn)
        planned = self._planned(session, heard, now)
        if isinstance(heard, Understanding) and self._on.arbiter and isinstance(planned.steps[0], Clarify):
            # Only here does the turn hang on the intent alone: danger, an open question of ours and an agent at the
            # wheel come first, and must not wait for a chat model.
            prediction = self._on.arbiter.arbitrate(heard.text, heard.prediction)
            heard = heard.model_copy(update={"prediction": prediction})
            planned = self._planned(session, heard, now)
        scene = Scene(
            turn, session, heard if isinstance(heard, Understanding) else None, now, self._voice(session), stage
        )
        fragments = [done for step in planned.steps if (done := self._on.carry_out.step(step, scene)) is not None]
        stage("checking")
        fragments, blocked = self._checked(scene, fragments)
        return self._commit(scene, planned, fragments, blocked)

    def _heard(self, turn: Turn) -> Heard:
        if not isinstance(turn.input, Said):
            return turn.input
        text = turn.input.text
        try:
            prediction = self._on.classifier.predict(text)
        except EncoderUnavailable as error:
            log.warning("the encoder is down (trace %s): %s", turn.trace_id, error)
            prediction = self._on.classifier.predict_without_encoder(text)
        return Understanding(
            text=text,
            language=slots.language(text),
            prediction=prediction,
            slots=slots.extract(text, local_date(turn.accepted_at), self._on.glossary),
            risks=risk.detect(text, self._on.risk_rules),
            past=past_time(text, local_date(turn.accepted_at)),
        )

    def _planned(self, session: Session, heard: Heard, now: Instant) -> Plan:
        return plan(session, heard, self._route, self._labels, now, self._on.patience)

    def _route(self, intent: IntentId) -> Literal["answer", "action", "human", "social", "fallback"]:
        return self._on.taxonomy[intent].route or "fallback"

    def _voice(self, session: Session) -> Voice:
        return Voice(self._on.catalogue, session.locale)

    # --- check and commit ---

    def _checked(self, scene: Scene, fragments: list[Fragment]) -> tuple[list[Fragment], tuple[ReplyBlocked, ...]]:
        """The fragments as they may be sent. What fails is withheld with a case; a receipt is never withheld."""
        words = join(fragment.words.joined(fragment.details) for fragment in fragments)
        evidence = Evidence(amounts_fen=words.amounts, texts=words.texts, dates=words.dates)
        verdict = compliance.check(words.text, evidence, self._on.compliance_rules)
        if verdict.ok:
            return fragments, ()
        rules = ",".join(sorted({violation.rule for violation in verdict.violations}))
        log.warning("a draft was withheld by %s (trace %s)", rules, scene.turn.trace_id)
        blocked = (ReplyBlocked(rule=rules, draft=words.text),)
        receipts = [
            Fragment("action_done", receipt_words(done.receipt, scene.voice), receipt=done.receipt, ended=done.ended)
            for done in fragments
            if done.receipt is not None and done.ended
        ]
        escalate = Escalate(reason="exit_check")
        fallback = self._on.carry_out.to_person(scene, escalate, "escalated", Phrase(), "exit_check_fallback")
        return [*receipts, fallback], blocked

    def _commit(
        self, scene: Scene, planned: Plan, fragments: list[Fragment], blocked: tuple[ReplyBlocked, ...]
    ) -> Reply:
        turn, session, now = scene.turn, scene.session, scene.now
        case = next((done.case for done in reversed(fragments) if done.case is not None), None)
        pending = next((done.pending for done in fragments if done.pending is not None), planned.dialogue.pending)
        dialogue = planned.dialogue.model_copy(update={"pending": pending})
        after = session.model_copy(
            update={
                "dialogue": dialogue,
                "version": session.version + 1,
                "case_id": case.case_id if case else session.case_id,
            }
        )
        versions = self._on.versions()
        bodies = (*_heard_events(scene), *(body for done in fragments for body in done.events), *blocked)
        proposals = tuple(one for done in fragments for one in (*done.ended, *((done.shown,) if done.shown else ())))
        commit = TurnCommit(
            turn=turn,
            session=after,
            reply=self._reply(scene, fragments),
            events=tuple(
                EventDraft(source="assistant", trace_id=turn.trace_id, at=now, body=body, versions=versions)
                for body in bodies
            ),
            proposals=proposals,
            case=case,
            at=now,
            versions=versions,
        )
        return self._store.commit(commit)

    def _reply(self, scene: Scene, fragments: list[Fragment]) -> Reply:
        heard = scene.heard
        shown = next((done.shown for done in fragments if done.shown is not None), None)
        handed = next((done for done in reversed(fragments) if done.case is not None), None)
        offered = tuple(dict.fromkeys(choice for done in fragments for choice in done.choices)) or choices(scene.voice)
        person = choices(scene.voice)[-1]
        return Reply(
            message_id=MessageId(f"m_{scene.turn.turn_id[2:]}"),
            text=join((done.words for done in fragments), "\n\n").text,
            details=join((done.details for done in fragments), "\n\n").text,
            locale=scene.session.locale,
            outcome=min((done.outcome for done in fragments), key=OUTCOMES.index),
            intent=_intent_view(heard),
            risks=tuple(RiskView(kind=one.kind, level=one.level, evidence=one.evidence) for one in heard.risks)
            if heard
            else (),
            citations=tuple(dict.fromkeys(citation for done in fragments for citation in done.citations)),
            proposal=ProposalView.of(shown) if shown else None,
            receipt=next((done.receipt for done in fragments if done.receipt is not None), None),
            case=CaseView(
                case_id=handed.case.case_id, priority=handed.case.priority, queue_position=handed.queue_position
            )
            if handed and handed.case
            else None,
            choices=(*(one for one in offered if one != person), person),
            trace_id=scene.turn.trace_id,
        )


def _heard_events(scene: Scene) -> tuple[EventBody, ...]:
    if isinstance(scene.turn.input, IdentityProved):
        return (IdentityVerified(customer_id=scene.turn.input.identity.customer_id),)
    if scene.heard is None:
        return ()
    seen: list[EventBody] = []
    if scene.heard.risks:
        seen.append(RisksSeen(risks=scene.heard.risks))
    if arbitration := scene.heard.prediction.arbitration:
        seen.append(IntentArbitrated(arbitration=arbitration, intent=scene.heard.prediction.intent))
    return tuple(seen)


def _intent_view(heard: Understanding | None) -> IntentView | None:
    if heard is None:
        return None
    seen = heard.prediction
    return IntentView(
        id=seen.intent,
        act=seen.act,
        confidence=seen.confidence,
        secondary=seen.secondary,
        abstained=seen.abstained,
        alternatives=seen.alternatives,
    )


def _silent(stage: str) -> None:
    """Nobody follows the stages of this turn."""
