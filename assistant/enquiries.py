"""Questions answered from the policies: by the version that holds for the day and for the loan that is meant."""

from dataclasses import dataclass
from datetime import date, timedelta

from assistant.answers import MAX_OPENING, choose, extract, nearest, reading_length
from assistant.calendar import local_date
from assistant.errors import BankUnavailable, ChatModelUnavailable, RetrieverUnavailable
from assistant.fragments import Fragment, Scene, choices
from assistant.knowledge import ENGLISH
from assistant.passbook import Passbook
from assistant.ports import Retriever
from assistant.rewriting import Rewriter
from assistant.taxonomy import Taxonomy
from assistant.types.answers import Answer, Citation, Passage, Unanswered
from assistant.types.banking import Loan
from assistant.types.events import EventBody, ReplyBlocked
from assistant.types.steps import AnswerFromPolicy
from assistant.types.value import Locale
from assistant.voice import SILENCE, FullDay, Phrase, join

OFFERS = {"bill_query": "bill", "limit_query": "limit", "early_repay": "settle_quote"}
_AMONG = 12
"""Passages among which the answer is chosen."""
_AMONG_VERSIONS = 60
"""Passages among which another version of a section is looked for."""


@dataclass(frozen=True)
class _Told:
    """The clause that answers, what is said before it, and what holds beside it."""

    passage: Passage
    before: Phrase = SILENCE
    beside: tuple[Phrase, ...] = ()
    cited: tuple[Citation, ...] = ()


class Enquiries:
    """Finds the clause, words it, and says whose terms it states where that is in doubt."""

    def __init__(self, retriever: Retriever, rewriter: Rewriter | None, taxonomy: Taxonomy, passbook: Passbook) -> None:
        self._retriever = retriever
        self._rewriter = rewriter
        self._taxonomy = taxonomy
        self._passbook = passbook

    def answer(self, step: AnswerFromPolicy, scene: Scene) -> Fragment | Unanswered:
        """The clause in the customer's language, or that no policy answers."""
        try:
            told = self._told(step, scene)
        except RetrieverUnavailable:
            return Unanswered(reason="retriever_down")
        if isinstance(told, Unanswered):
            return told
        before = told.before
        if step.brand is not None:
            before = scene.voice.say("other_brand", brand=step.brand).joined(before)
        if self._is_not_offered(step, scene):
            before = scene.voice.say("action_not_offered").joined(before)
        clause = extract(told.passage, MAX_OPENING - reading_length(before.text))
        answer, events = self._rewritten(clause, step, scene)
        quotes = (*(citation.quote for citation in answer.citations), answer.details)
        words = before.joined(Phrase(answer.text, texts=quotes))
        details = join((Phrase(answer.details, texts=(answer.details,)), *told.beside), "\n\n")
        own = self._own_figures(step, scene)
        # What the customer reads before anything unfolds stays short.
        if reading_length(words.joined(own).text) <= MAX_OPENING:
            words = words.joined(own)
        else:
            details = own.joined(details, "\n\n")
        return Fragment(
            "answered",
            words,
            details=details,
            citations=(*answer.citations, *told.cited),
            choices=choices(scene.voice, *((OFFERS[step.offer],) if step.offer else ())),
            events=events,
        )

    # --- which version ---

    def _told(self, step: AnswerFromPolicy, scene: Scene) -> _Told | Unanswered:
        today = local_date(scene.now)
        if step.past is not None and step.past.of == "event":
            then = chosen(self._retriever, step, step.past.day, scene.session.locale)
            if isinstance(then, Passage) and not then.in_force(today):
                return self._as_of_then(then, step, scene, today)
        now = chosen(self._retriever, step, today, scene.session.locale)
        if isinstance(now, Unanswered):
            return now
        return self._by_signing(now, step, scene) if now.governs == "signing" else _Told(now)

    def _as_of_then(self, then: Passage, step: AnswerFromPolicy, scene: Scene, today: date) -> _Told:
        """The rule of then, and beside it what has taken its place."""
        now = self._version(then, step, today, scene)
        beside = () if now is None else (self._clause(now, scene, "terms_now", since=FullDay(now.effective_from)),)
        return self._dated(then, scene, "terms_then", beside)

    def _by_signing(self, now: Passage, step: AnswerFromPolicy, scene: Scene) -> _Told:
        """A loan keeps the terms it was signed under: the customer's loans, the one they speak of, or a word of it."""
        if step.past is not None and step.past.of == "signing":
            signed = self._version(now, step, step.past.day, scene)
            if signed is None:
                return _Told(now, beside=(self._since(now, scene),))
            if signed.version == now.version:
                return _Told(now)
            beside = (self._clause(now, scene, "terms_now", since=FullDay(now.effective_from)),)
            return self._dated(signed, scene, "terms_of_signing", beside)
        loans = self._loans(scene)
        if loans is None:
            if self._version(now, step, now.effective_from - timedelta(days=1), scene) is None:
                return _Told(now)
            return _Told(now, beside=(self._since(now, scene),))
        of_loans = tuple(
            self._clause(
                signed,
                scene,
                "terms_of_loan",
                product=self._passbook.product(loan.product, scene.voice),
                purpose=loan.purpose,
                signed_on=FullDay(loan.signed_on),
            )
            for loan in loans
            if loan.signed_on < now.effective_from and (not now.products or loan.product in now.products)
            if (signed := self._version(now, step, loan.signed_on, scene)) is not None and signed.version != now.version
        )
        return _Told(now, SILENCE, tuple(words for words, _ in of_loans), tuple(cited for _, cited in of_loans))

    def _dated(self, passage: Passage, scene: Scene, key: str, beside: tuple[tuple[Phrase, Citation], ...]) -> _Told:
        """A clause that is no longer in force, with its dates said before it."""
        assert passage.effective_to is not None
        before = scene.voice.say(key, since=FullDay(passage.effective_from), until=FullDay(passage.effective_to))
        return _Told(passage, before, tuple(words for words, _ in beside), tuple(cited for _, cited in beside))

    def _since(self, passage: Passage, scene: Scene) -> Phrase:
        return scene.voice.say("terms_earlier", since=FullDay(passage.effective_from))

    def _clause(self, passage: Passage, scene: Scene, key: str, **said: str | FullDay) -> tuple[Phrase, Citation]:
        """What a clause opens with, behind words that say when or for what it holds."""
        answer = extract(passage)
        quote = Phrase(answer.text, texts=(answer.text,))
        return scene.voice.say(key, **said).joined(quote, ""), answer.citations[0]

    def _version(self, passage: Passage, step: AnswerFromPolicy, day: date, scene: Scene) -> Passage | None:
        """The same section as it stood on a day, or its document's best one where none is headed alike."""
        found = self._retriever.search(
            f"{passage.section} {step.question}", on=day, language=scene.session.locale, limit=_AMONG_VERSIONS
        )
        original = passage.document_id.removesuffix(ENGLISH)
        of_document = [one.passage for one in found if one.passage.document_id.removesuffix(ENGLISH) == original]
        # A translation's headings are other words, in the same order.
        same = [one for one in of_document if one.section == passage.section or _place(one) == _place(passage)]
        return next(iter((*same, *of_document)), None)

    # --- the customer's own ---

    def _loans(self, scene: Scene) -> tuple[Loan, ...] | None:
        """Of a verified customer; None where nobody is verified or the bank is down."""
        if scene.session.customer(scene.now) is None:
            return None
        try:
            return self._passbook.loans(scene)
        except BankUnavailable:
            return None

    def _own_figures(self, step: AnswerFromPolicy, scene: Scene) -> Phrase:
        """The customer's own figures in the matter, where they are verified and the bank can be reached."""
        if scene.session.customer(scene.now) is None or step.brand is not None or step.first_help:
            return SILENCE
        try:
            return self._passbook.figures(step.intent, scene)
        except BankUnavailable:
            return SILENCE

    # --- words ---

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

    def _is_not_offered(self, step: AnswerFromPolicy, scene: Scene) -> bool:
        """Whether the customer asked for something to be done that cannot be done here yet."""
        wanted = scene.heard is not None and scene.heard.prediction.act == "do" and step.brand is None
        return wanted and step.offer is None and not step.first_help and self._taxonomy[step.intent].route == "action"


def chosen(retriever: Retriever, step: AnswerFromPolicy, day: date, locale: Locale) -> Passage | Unanswered:
    """The section in force on a day that answers a question best. Raises RetrieverUnavailable."""

    intents = {one.id: one.confidence for one in step.likely} or {step.intent: 1.0}

    def found(context: str | None) -> Passage | Unanswered:
        passages = retriever.search(
            step.question,
            on=day,
            product=step.product,
            language=locale,
            context=context,
            intents=intents,
            limit=_AMONG,
        )
        return choose(passages) or nearest(passages)

    best = found(step.context)
    # A follow-up that turns to another topic is found by itself: what was asked before only leads astray.
    return found(None) if step.context and isinstance(best, Unanswered) else best


def _place(passage: Passage) -> str:
    """The number of the section in its document."""
    return passage.passage_id.rpartition("#")[2]
