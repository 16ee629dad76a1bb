"""At the bank's counter: quoting, and executing what was confirmed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Literal

from assistant.actions import (
    NeedsAmount,
    NeedsLoan,
    NothingOpen,
    confirm,
    execute,
    prepare_early_repay,
    propose,
    receipt,
)
from assistant.catalogue import Catalogue
from assistant.errors import BankTimeout, BankUnavailable, DigestMismatch, NotAllowed, NotFound, ProposalNotLive
from assistant.fragments import Fragment, Scene, choices
from assistant.institution import Institution
from assistant.passbook import customer_of
from assistant.ports import CoreBanking, Store
from assistant.types.actions import ActionClaim, Confirmed, EarlyRepayArguments, Proposal, Receipt
from assistant.types.banking import BankResult, EarlyRepaymentQuote, Loan
from assistant.types.events import EventDraft, ReplySent
from assistant.types.messages import (
    AwaitingConfirmation,
    AwaitingSlot,
    AwaitingVerification,
    Choice,
    Outcome,
    Reply,
    Tapped,
    Turn,
)
from assistant.types.steps import Cancel, Execute
from assistant.types.understanding import Slots
from assistant.types.value import Instant, IntentId, MessageId, ProposalId, SessionId, TraceId, TurnId
from assistant.voice import Phrase, Voice, Yuan, join

EARLY_REPAY = IntentId("early_repay")


class Teller:
    """Every order goes through here, and needs a `Confirmed`."""

    def __init__(self, store: Store, bank: CoreBanking, institution: Institution, new_id: Callable[[str], str]) -> None:
        self._store = store
        self._bank = bank
        self._institution = institution
        self._new_id = new_id

    # --- quoting ---

    def propose(self, slots: Slots, scene: Scene) -> Fragment:
        """A quote with a card to confirm, or the one question that is still open."""
        voice = scene.voice
        customer_id = customer_of(scene)
        prepared = prepare_early_repay(self._bank, customer_id, slots)
        if isinstance(prepared, NothingOpen):
            return Fragment("action_declined", voice.say("no_open_loan"), choices=choices(voice))
        if isinstance(prepared, NeedsLoan):
            return self._which_loan(prepared, slots, voice)
        if isinstance(prepared, NeedsAmount):
            return self._how_much(prepared, slots, voice)
        arguments, loan = prepared
        words, consequences = self._quoted(arguments.quote, loan, voice)
        proposal = propose(
            ProposalId(self._new_id("p")),
            scene.session.session_id,
            customer_id,
            EarlyRepayArguments(quote=arguments.quote),
            tuple(line.text for line in consequences),
            scene.now,
            self._institution.proposal_minutes,
        )
        hint = voice.say("proposal_confirm_hint", expires_at=proposal.expires_at)
        return Fragment(
            "awaiting_confirmation",
            words.joined(hint).joined(replace(join(consequences), text="")),
            shown=proposal,
            pending=AwaitingConfirmation(proposal_id=proposal.proposal_id),
            choices=choices(voice),
        )

    def _quoted(self, quote: EarlyRepaymentQuote, loan: Loan, voice: Voice) -> tuple[Phrase, list[Phrase]]:
        settles = quote.remaining_principal_fen == 0
        paid = {
            "total": Yuan(quote.total_fen),
            "principal": Yuan(quote.principal_fen),
            "interest": Yuan(quote.interest_fen),
            "fee": Yuan(quote.fee_fen),
        }
        remaining = Yuan(quote.remaining_principal_fen)
        if settles:
            words = voice.say("quote", card_tail=quote.card_tail, **paid)
        else:
            words = voice.say("quote_part", card_tail=quote.card_tail, remaining=remaining, **paid)
        product = self._institution.products.name(loan.product, voice.locale)
        lines = [
            voice.say("consequence_loan", loan_id=loan.loan_id, product=product, purpose=loan.purpose),
            voice.say("consequence_principal", principal=paid["principal"]),
            voice.say("consequence_interest", interest=paid["interest"], on=quote.on),
            voice.say("consequence_fee", fee=paid["fee"]),
            voice.say("consequence_total", total=paid["total"]),
            voice.say("consequence_card", card_tail=quote.card_tail),
            voice.say("consequence_settled") if settles else voice.say("consequence_schedule", remaining=remaining),
        ]
        if quote.interest_saved_fen > 0:
            lines.append(voice.say("consequence_saved", saved=Yuan(quote.interest_saved_fen)))
        return words, [*lines, voice.say("consequence_credit_record"), voice.say("consequence_irreversible")]

    def _which_loan(self, missing: NeedsLoan, slots: Slots, voice: Voice) -> Fragment:
        lines = join(
            voice.say(
                "loan_option",
                loan_id=loan.loan_id,
                product=self._institution.products.name(loan.product, voice.locale),
                purpose=loan.purpose,
                outstanding=Yuan(loan.outstanding_fen),
            )
            for loan in missing.loans
        )
        question = voice.say("choose_loan", count=len(missing.loans)) if missing.found else voice.say("loan_not_found")
        offered = tuple(
            Choice(
                label=voice.label("choice_loan_label", loan_id=loan.loan_id, purpose=loan.purpose),
                message=voice.label("choice_loan_message", loan_id=loan.loan_id),
            )
            for loan in missing.loans[:4]
        )
        pending = AwaitingSlot(intent=EARLY_REPAY, slot="loan", slots=slots.model_copy(update={"loan": None}))
        return Fragment("awaiting_slot", question.joined(lines), pending=pending, choices=(*offered, *choices(voice)))

    def _how_much(self, missing: NeedsAmount, slots: Slots, voice: Voice) -> Fragment:
        outstanding = Yuan(missing.loan.outstanding_fen)
        if missing.asked is None:
            words = voice.say("ask_amount", outstanding=outstanding)
        else:
            least = Yuan(self._institution.early_repayment.min_partial_fen)
            words = voice.say("amount_out_of_range", outstanding=outstanding, minimum=least)
        kept = slots.model_copy(update={"loan": f"id:{missing.loan.loan_id}", "amount_fen": None})
        pending = AwaitingSlot(intent=EARLY_REPAY, slot="amount", slots=kept)
        return Fragment("awaiting_slot", words, pending=pending, choices=choices(voice, "settle"))

    # --- executing ---

    def execute(self, step: Execute, scene: Scene) -> Fragment:
        """Carry a proposal out once. Raises NotFound, DigestMismatch, ProposalNotLive for a card that is not good."""
        proposal = self._proposal(step.proposal_id, scene)
        done = self._store.receipt(proposal.idempotency_key)
        if done is not None and done[1] is not None and done[0].state != "unknown":
            words = scene.voice.say("receipt_repeated").joined(receipt_words(done[1], scene.voice))
            return Fragment("action_done", words, receipt=done[1], choices=choices(scene.voice))
        if done is not None:
            return self._ended(done[0].confirmed, self._settle(done[0], scene, fresh=False), scene)
        digest = proposal.digest if step.digest is None else step.digest
        try:
            confirmed = confirm(proposal, scene.session.identity, digest, scene.now)
        except ProposalNotLive:
            key = "proposal_superseded" if proposal.status == "superseded" else "proposal_expired"
            return Fragment("action_declined", scene.voice.say(key), choices=choices(scene.voice, "early_repay"))
        except NotAllowed:
            return self._prove_again(proposal, scene)
        claim = ActionClaim(
            key=proposal.idempotency_key,
            session_id=scene.session.session_id,
            confirmed=confirmed,
            claimed_at=scene.now,
        )
        claim, fresh = self._store.claim_action(scene.turn, claim)
        return self._ended(claim.confirmed, self._settle(claim, scene, fresh=fresh), scene)

    def _settle(self, claim: ActionClaim, scene: Scene, *, fresh: bool) -> Receipt:
        """The durable result of a claimed action."""
        result, reached = self._order(claim, fresh=fresh)
        outcome = receipt(claim.confirmed, result, scene.now, reached=reached)
        self._store.finish_action(scene.turn, claim.key, outcome.status, outcome)
        return outcome

    def _order(self, claim: ActionClaim, *, fresh: bool) -> tuple[BankResult | None, bool]:
        """The bank's word, and whether the order may have reached it.

        After a crash the bank is asked by key first; only where it answers that it never saw the key is the order sent,
        under the same key, which the bank executes at most once. A time-out asks by key and never sends again.
        """
        try:
            if not fresh and (known := self._bank.result(claim.key)) is not None:
                return known, True
        except BankUnavailable:
            return None, True
        try:
            return execute(claim.confirmed, self._bank), True
        except BankTimeout:
            return self._asked(claim.key), True
        except BankUnavailable:
            return None, False

    def _asked(self, key: str) -> BankResult | None:
        try:
            return self._bank.result(key)
        except BankUnavailable:
            return None

    def settle_unknown(self, now: Instant, catalogue: Catalogue) -> int:
        """Ask the bank after every action whose outcome was unknown, and tell the customer what it was."""
        settled = 0
        for claim in self._store.unknown_claims():
            result = self._asked(claim.key)
            if result is None:
                continue
            outcome = receipt(claim.confirmed, result, now)
            voice = Voice(catalogue, self._store.session(claim.session_id).locale)
            asking = _asking_turn(claim, self._new_id, now)
            told = Reply(
                message_id=MessageId(self._new_id("m")),
                text=receipt_words(outcome, voice).text,
                locale=voice.locale,
                outcome="action_done" if outcome.status == "done" else "action_declined",
                receipt=outcome,
                choices=choices(voice, "bill"),
                trace_id=asking.trace_id,
            )
            news = EventDraft(source="assistant", trace_id=asking.trace_id, at=now, body=ReplySent(reply=told))
            self._store.finish_action(asking, claim.key, outcome.status, outcome, [news])
            settled += 1
        return settled

    def _ended(self, confirmed: Confirmed, outcome: Receipt, scene: Scene) -> Fragment:
        proposal = confirmed.proposal.model_copy(update={"status": "confirmed"})
        served: dict[str, Outcome] = {"done": "action_done", "refused": "action_declined"}
        names = ("early_repay",) if outcome.status in ("refused", "failed") else ("bill",)
        return Fragment(
            served.get(outcome.status, "degraded"),
            receipt_words(outcome, scene.voice),
            ended=(proposal,),
            receipt=outcome,
            choices=choices(scene.voice, *names),
        )

    def check_card(
        self,
        session_id: SessionId,
        choice: Literal["confirm", "cancel"],
        proposal_id: ProposalId,
        digest: str,
        now: Instant,
    ) -> None:
        """Refuse a stale card before anything is written. Raises NotFound, DigestMismatch, ProposalNotLive.

        A card that was confirmed or cancelled before is let through: its turn exists and is answered again.
        """
        proposal = self._store.proposal(proposal_id)
        if proposal.session_id != session_id:
            raise NotFound(f"no proposal {proposal_id} in this session")
        if digest != proposal.digest:
            raise DigestMismatch(f"proposal {proposal_id}: the digest is not of the arguments shown")
        same = {"confirm": "confirmed", "cancel": "cancelled"}[choice]
        if proposal.status not in ("live", same) or (proposal.status == "live" and now >= proposal.expires_at):
            status = "expired" if proposal.status == "live" else proposal.status
            raise ProposalNotLive(f"proposal {proposal_id} is {status}")

    def cancel(self, step: Cancel, scene: Scene) -> Fragment:
        """Withdraw a proposal. Raises NotFound, DigestMismatch."""
        proposal = self._proposal(step.proposal_id, scene)
        if step.digest is not None and step.digest != proposal.digest:
            raise DigestMismatch(f"proposal {proposal.proposal_id}: the digest is not of the arguments shown")
        if proposal.status == "confirmed":
            done = self._store.receipt(proposal.idempotency_key)
            words = scene.voice.say("receipt_repeated")
            if done is not None and done[1] is not None:
                words = words.joined(receipt_words(done[1], scene.voice))
            return Fragment("action_done", words, choices=choices(scene.voice))
        ended = proposal.model_copy(update={"status": "cancelled"})
        return Fragment(
            "action_declined", scene.voice.say("proposal_cancelled"), ended=(ended,), choices=choices(scene.voice)
        )

    def _prove_again(self, proposal: Proposal, scene: Scene) -> Fragment:
        slots = Slots(loan=f"id:{proposal.arguments.quote.loan_id}", part=None)
        quote = proposal.arguments.quote
        if quote.remaining_principal_fen > 0:
            slots = slots.model_copy(update={"amount_fen": quote.principal_fen, "part": "part"})
        pending = AwaitingVerification(intent=EARLY_REPAY, slots=slots)
        words = scene.voice.say("verification_expired")
        return Fragment("awaiting_verification", words, pending=pending, choices=choices(scene.voice))

    def _proposal(self, proposal_id: ProposalId, scene: Scene) -> Proposal:
        proposal = self._store.proposal(proposal_id)
        if proposal.session_id != scene.session.session_id:
            raise NotFound(f"no proposal {proposal_id} in this session")
        return proposal


def receipt_words(outcome: Receipt, voice: Voice) -> Phrase:
    """A receipt in words; the figures are those of its facts."""
    facts = outcome.facts
    if outcome.status in ("failed", "unknown"):
        return voice.say(f"receipt_{outcome.status}")
    if outcome.status == "refused":
        return voice.say("receipt_refused", reason=voice.label(f"refusal_{facts.get('reason', 'other')}"))
    said: dict[str, str | datetime | Yuan] = {
        "at": outcome.at,
        "card_tail": str(facts["card_tail"]),
        "total": Yuan(int(facts["total_fen"])),
        "reference": str(facts["reference"]),
    }
    remaining = int(facts["remaining_principal_fen"])
    if remaining == 0:
        return voice.say("receipt_done", **said)
    return voice.say("receipt_done_part", remaining=Yuan(remaining), **said)


def _asking_turn(claim: ActionClaim, new_id: Callable[[str], str], now: Instant) -> Turn:
    """The turn in whose name the reconciler asks; it is never stored."""
    proposal = claim.confirmed.proposal
    return Turn(
        turn_id=TurnId(new_id("t")),
        session_id=claim.session_id,
        client_message_id=f"reconcile/{proposal.proposal_id}",
        input=Tapped(choice="confirm", proposal_id=proposal.proposal_id, digest=claim.confirmed.digest),
        trace_id=TraceId(new_id("x")),
        accepted_at=now,
    )
