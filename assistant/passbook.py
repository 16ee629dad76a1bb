"""The customer's own books: what is shown of them when asked for, and beside a rule that is asked about."""

from assistant.errors import NotAllowed
from assistant.fragments import Fragment, Scene, choices
from assistant.institution import Institution
from assistant.ports import CoreBanking
from assistant.types.actions import ActionName, Receipt
from assistant.types.banking import Bill, Loan
from assistant.types.understanding import Product
from assistant.types.value import CustomerId, IntentId
from assistant.voice import SILENCE, FullDay, Phrase, Voice, Yuan, join

_ABOUT_THE_BILL = frozenset({"minimum_payment", "repay_date_query", "overdue_effect", "extension", "auto_debit"})
_OWN_LOANS = 3
"""Loans of the customer that are named beside a rule."""


class Passbook:
    """Every read of a verified customer's figures goes through here."""

    def __init__(self, bank: CoreBanking, institution: Institution) -> None:
        self._bank = bank
        self._institution = institution

    def limits(self, scene: Scene) -> Fragment:
        """The customer's lines."""
        voice = scene.voice
        lines = self._bank.limits(customer_of(scene))
        read = _read_receipt(scene, "limit_query", {"lines": len(lines)})
        if not lines:
            words = voice.say("limit_none", as_of=scene.now)
            return Fragment("action_done", words, receipt=read, choices=choices(voice))
        said = join(
            voice.say(
                "limit_line",
                product=self.product(line.product, voice),
                available=Yuan(line.available_fen),
                used=Yuan(line.used_fen),
                total=Yuan(line.total_fen),
            )
            for line in lines
        )
        words = voice.say("limit_lines", as_of=lines[0].as_of).joined(said)
        return Fragment("action_done", words, receipt=read, choices=choices(voice, "bill"))

    def bill(self, scene: Scene) -> Fragment:
        """The bill of the period, its lines unfolding."""
        voice = scene.voice
        bill = self._bank.bill(customer_of(scene))
        items = join(
            voice.say("bill_item", description=one.description, amount=Yuan(one.amount_fen)) for one in bill.items
        )
        facts: dict[str, str | int] = {
            "period": bill.period,
            "due_fen": bill.due_fen,
            "due_date": bill.due_date.isoformat(),
        }
        return Fragment(
            "action_done",
            self._bill_words(bill, voice),
            details=items,
            receipt=_read_receipt(scene, "bill_query", facts),
            choices=choices(voice, "limit", "early_repay"),
        )

    def _bill_words(self, bill: Bill, voice: Voice) -> Phrase:
        if bill.due_fen == 0:
            return voice.say("bill_paid", total=Yuan(bill.total_fen)) if bill.total_fen else voice.say("bill_none")
        words = voice.say(
            "bill", due=Yuan(bill.due_fen), due_date=bill.due_date, total=Yuan(bill.total_fen), paid=Yuan(bill.paid_fen)
        )
        if bill.overdue_days > 0:
            return words.joined(voice.say("bill_overdue", days=bill.overdue_days))
        if 0 < bill.minimum_fen < bill.due_fen:
            rate = self._institution.products.pay_later.revolving_annual_rate
            words = words.joined(voice.say("bill_minimum", minimum=Yuan(bill.minimum_fen), annual_rate=rate))
        return words

    def loans(self, scene: Scene) -> tuple[Loan, ...]:
        """The customer's open loans, oldest first."""
        return self._bank.loans(customer_of(scene))

    def figures(self, intent: IntentId, scene: Scene) -> Phrase:
        """What the customer's own books say to a question about rules; silence where they say nothing."""
        voice, customer_id = scene.voice, customer_of(scene)
        if intent == "interest_fee_query":
            return join(
                voice.say(
                    "own_rate",
                    product=self.product(loan.product, voice),
                    purpose=loan.purpose,
                    signed_on=FullDay(loan.signed_on),
                    annual_rate=loan.annual_rate,
                )
                for loan in self._bank.loans(customer_id)[:_OWN_LOANS]
            )
        if intent == "early_repay":
            return join(self._settlement(loan, scene) for loan in self._bank.loans(customer_id)[:_OWN_LOANS])
        if intent in _ABOUT_THE_BILL:
            bill = self._bank.bill(customer_id)
            return self._bill_words(bill, voice) if bill.due_fen else SILENCE
        return SILENCE

    def _settlement(self, loan: Loan, scene: Scene) -> Phrase:
        quote = self._bank.quote_early_repayment(customer_of(scene), loan.loan_id, None)
        return scene.voice.say(
            "own_settlement",
            product=self.product(loan.product, scene.voice),
            purpose=loan.purpose,
            total=Yuan(quote.total_fen),
            interest=Yuan(quote.interest_fen),
            fee=Yuan(quote.fee_fen),
        )

    def product(self, product: Product, voice: Voice) -> str:
        """What the institution calls a product."""
        return self._institution.products.name(product, voice.locale)


def customer_of(scene: Scene) -> CustomerId:
    """The verified customer. Raises NotAllowed: the policy asks for verification before it comes to this."""
    customer_id = scene.session.customer(scene.now)
    if customer_id is None:
        raise NotAllowed(f"nobody is verified in session {scene.session.session_id}")
    return customer_id


def _read_receipt(scene: Scene, action: ActionName, facts: dict[str, str | int]) -> Receipt:
    return Receipt(receipt_id=f"R-{scene.turn.turn_id}", action=action, status="done", facts=facts, at=scene.now)
