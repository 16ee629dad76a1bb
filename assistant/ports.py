"""What the stations need of the outside world. Each adapter passes the contract suite of its port (tests/contracts)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from assistant.types.actions import ActionClaim, ClaimState, Proposal, Receipt
from assistant.types.answers import Audience, Passage, ScoredPassage
from assistant.types.banking import BankResult, Bill, CreditLimit, Customer, EarlyRepaymentQuote, Loan
from assistant.types.cases import Agent, Case, CaseStatus, Queue
from assistant.types.events import Event, EventDraft, Versions
from assistant.types.messages import Reply, Session, Turn, VaultEntry
from assistant.types.questions import AskedQuestion
from assistant.types.understanding import Product
from assistant.types.value import (
    AgentName,
    CaseId,
    CustomerId,
    Fen,
    IntentId,
    Locale,
    ProposalId,
    SessionId,
    TurnId,
    Value,
)


class Clock(Protocol):
    """The time, injected everywhere."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...


class Encoder(Protocol):
    """Text to unit vectors."""

    version: str
    dimension: int

    def encode(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        """L2-normalised rows, shape (len(texts), dimension). Raises EncoderUnavailable."""
        ...


class Retriever(Protocol):
    """Search over the published policy index."""

    @property
    def version(self) -> str:
        """Content hash of the published index."""
        ...

    def search(
        self,
        query: str,
        *,
        on: date,
        audience: Audience = "customer",
        product: Product | None = None,
        language: Locale = "zh-CN",
        context: str | None = None,
        intents: Mapping[IntentId, float] = MappingProxyType({}),
        limit: int = 5,
    ) -> tuple[ScoredPassage, ...]:
        """The best passages in force on a day, best first; the other language only where this one has none.

        `context` is the question before, which this one leans on; `intents` are what it may be about, by probability:
        passages that answer them come before others.

        Raises RetrieverUnavailable.
        """
        ...

    def publish(self, passages: Sequence[Passage]) -> str:
        """Replace the index in one step; readers see the old one or the new one. Returns the new version."""
        ...


class ChatModel(Protocol):
    """A language model that rewords, or chooses among what it is given; it has no tools and no authority."""

    version: str

    def stream(self, system: str, user: str) -> Iterator[str]:
        """Pieces of one completion. Raises ChatModelUnavailable."""
        ...


class CodeSender(Protocol):
    """Delivers one-time codes."""

    def send(self, session_id: SessionId, phone: str, code: str) -> None:
        """Hand one code over for delivery. Raises SenderUnavailable."""
        ...


class CoreBanking(Protocol):
    """The bank's books. Every method may raise BankUnavailable; orders may raise BankTimeout."""

    def customer_by_phone(self, phone: str) -> CustomerId | None:
        """Whose number this is."""
        ...

    def customer(self, customer_id: CustomerId) -> Customer:
        """Raises NotFound."""
        ...

    def limits(self, customer_id: CustomerId) -> tuple[CreditLimit, ...]:
        """The lines of every product the customer holds."""
        ...

    def bill(self, customer_id: CustomerId) -> Bill:
        """The bill of the current period."""
        ...

    def loans(self, customer_id: CustomerId) -> tuple[Loan, ...]:
        """Loans not settled, oldest first, interest accrued to now."""
        ...

    def quote_early_repayment(
        self, customer_id: CustomerId, loan_id: str, principal_fen: Fen | None
    ) -> EarlyRepaymentQuote:
        """The price today of repaying this much principal, or all of it for None.

        Raises NotFound for a loan that is not the customer's; InvalidInput for an amount out of range.
        """
        ...

    def repay_early(self, key: str, customer_id: CustomerId, quote: EarlyRepaymentQuote) -> BankResult:
        """Execute the quote once under `key`; the same key returns the same result for ever.

        Refused where the figures are no longer those of the quote. Raises BankTimeout.
        """
        ...

    def result(self, key: str) -> BankResult | None:
        """What became of an order; None: the bank has never seen the key."""
        ...


class TurnStart(Value):
    """A freshly accepted turn and the session it runs in; `reply` is set where it was served before."""

    turn: Turn
    session: Session
    reply: Reply | None = None


class TurnCommit(Value):
    """All that one turn changes, written in one transaction or not at all."""

    turn: Turn
    session: Session
    reply: Reply
    events: tuple[EventDraft, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    case: Case | None = None
    at: datetime | None = Field(None, description="When the reply was composed; None: at the last of `events`.")
    versions: Versions | None = Field(None, description="What the reply rests on; None: the last that `events` carry.")


class CodeState(Value):
    """Verification attempts of one session."""

    customer_id: CustomerId | None
    code_digest: str
    expires_at: datetime
    wrong: int
    locked_until: datetime | None


class OutboxItem(Value):
    """A code that the sandbox sender would have delivered."""

    code: str
    masked_phone: str
    at: datetime


class Store(Protocol):
    """Durable state: sessions, turns, events (audited), vault, cases, agents. Raises StoreUnavailable."""

    # sessions
    def create_session(self, session: Session, token_digest: str, expires_at: datetime, event: EventDraft) -> None: ...
    def session(self, session_id: SessionId) -> Session:
        """Raises NotFound."""
        ...

    def session_of_token(self, token_digest: str, now: datetime) -> SessionId:
        """Raises NotAllowed for an unknown token, TokenExpired for an old one."""
        ...

    def rotate_token(self, session_id: SessionId, token_digest: str, expires_at: datetime) -> None:
        """Only the new token opens the session from here on."""
        ...

    # turns: the three durable points
    def accept(self, turn: Turn, vault: Sequence[VaultEntry]) -> TurnStart:
        """Point one. The same client_message_id returns the first turn, with its reply once there is one.

        Raises SessionBusy where another turn of the session is open; NotFound.
        """
        ...

    def claim_action(self, turn: Turn, claim: ActionClaim) -> tuple[ActionClaim, bool]:
        """Point two. The claim as stored, and whether this call made it (key unique for ever)."""
        ...

    def finish_action(
        self, turn: Turn, key: str, state: ClaimState, receipt: Receipt, news: Sequence[EventDraft] = ()
    ) -> None:
        """The bank's answer, durable before the reply is composed; `news` goes with it in one transaction."""
        ...

    def commit(self, commit: TurnCommit) -> Reply:
        """Point three. Returns the reply with its seq. Raises VersionConflict where the session moved on."""
        ...

    def open_turns(self) -> tuple[Turn, ...]:
        """Accepted, never committed, oldest first."""
        ...

    def unknown_claims(self) -> tuple[ActionClaim, ...]:
        """Actions whose outcome the bank has not told yet."""
        ...

    # session writes outside a turn (agents, ratings, codes): events and new state in one transaction
    def record(
        self,
        session_id: SessionId,
        events: Sequence[EventDraft],
        session: Session | None = None,
        case: Case | None = None,
    ) -> tuple[Event, ...]:
        """Raises VersionConflict where session.version or case.version is not one above what is stored."""
        ...

    def events(self, session_id: SessionId, after: int = 0, limit: int = 500) -> tuple[Event, ...]:
        """In order of seq."""
        ...

    def proposal(self, proposal_id: ProposalId) -> Proposal:
        """Raises NotFound."""
        ...

    def receipt(self, key: str) -> tuple[ActionClaim, Receipt | None] | None:
        """An action by its idempotency key."""
        ...

    # what customers asked
    def unanswered(self, since: datetime, limit: int = 500) -> tuple[AskedQuestion, ...]:
        """Questions the policies had no clause for, asked at or after an instant, newest first."""
        ...

    def answered(self, since: datetime, limit: int = 500) -> tuple[AskedQuestion, ...]:
        """Questions answered from a clause, asked at or after an instant, newest first."""
        ...

    # vault
    def vault(self, session_id: SessionId) -> Mapping[str, VaultEntry]:
        """By placeholder. Only actions and verification may ask."""
        ...

    # verification
    def code_state(self, session_id: SessionId) -> CodeState | None: ...
    def save_code(self, session_id: SessionId, state: CodeState) -> None: ...
    def codes_since(self, phone_digest: str, since: datetime) -> int:
        """Codes asked for one number, for the daily quota."""
        ...

    def note_code(self, session_id: SessionId, phone_digest: str, at: datetime) -> None: ...
    def put_outbox(self, session_id: SessionId, item: OutboxItem) -> None: ...
    def outbox(self, session_id: SessionId) -> tuple[OutboxItem, ...]: ...

    # cases
    def case(self, case_id: CaseId) -> Case:
        """Raises NotFound."""
        ...

    def cases(
        self,
        status: CaseStatus | None = None,
        queue: Queue | None = None,
        assignee: AgentName | None = None,
        after: CaseId | None = None,
        limit: int = 50,
    ) -> tuple[Case, ...]:
        """Most urgent first, then earliest due."""
        ...

    def queue_position(self, case: Case) -> int | None:
        """1 is next in the case's queue, also for a case not stored yet; None once claimed."""
        ...

    # agents
    def save_agent(self, agent: Agent, password_hash: str) -> None: ...
    def agent(self, name: AgentName) -> tuple[Agent, str]:
        """With the Argon2 hash. Raises NotFound."""
        ...

    def agents(self) -> tuple[Agent, ...]: ...

    def open_agent_session(self, token_digest: str, name: AgentName, expires_at: datetime) -> None: ...
    def agent_of_token(self, token_digest: str, now: datetime) -> Agent:
        """Raises NotAllowed, TokenExpired."""
        ...

    def close_agent_session(self, token_digest: str) -> None: ...

    # health
    def ping(self) -> None:
        """Raises StoreUnavailable."""
        ...

    def turn(self, turn_id: TurnId) -> Turn:
        """Raises NotFound."""
        ...
