"""Durable state on SQL: where every transaction of the store begins and ends."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import select

from assistant.adapters import sql_agents, sql_cases, sql_events, sql_questions, sql_sessions, sql_turns
from assistant.adapters.sql_engine import Database
from assistant.adapters.sql_schema import sessions
from assistant.adapters.sql_vault import Vault
from assistant.audit import AuditRow, HeadRow
from assistant.errors import Conflict, InvalidInput
from assistant.ports import CodeState, OutboxItem, TurnCommit, TurnStart
from assistant.types.actions import ActionClaim, ClaimState, Proposal, Receipt
from assistant.types.cases import Agent, Case, CaseStatus, Queue
from assistant.types.events import ActionClaimed, ActionFinished, Event, EventDraft, ReplySent, TurnAccepted
from assistant.types.messages import IdentityProved, LockedOut, Reply, Session, Turn, VaultEntry
from assistant.types.questions import AskedQuestion
from assistant.types.value import AgentName, CaseId, ProposalId, SessionId, TurnId


class SqlStore:
    """The store on SQLite or PostgreSQL, for any number of threads; `migrate(url)` comes first.

    `notify` is called with the session id after every committed transaction that added events, in the writer's thread;
    it must be quick and must not raise.
    """

    def __init__(self, url: str, vault_key: bytes, notify: Callable[[SessionId], None]) -> None:
        self._vault = Vault(vault_key)
        self._database = Database(url)
        self._notify = notify

    def close(self) -> None:
        """Give every connection back."""
        self._database.close()

    # --- sessions -----------------------------------------------------------------------------------------------------

    def create_session(self, session: Session, token_digest: str, expires_at: datetime, event: EventDraft) -> None:
        """A new session, the token that opens it, and its first event."""
        with self._database.write() as conn:
            sql_sessions.create(conn, session)
            sql_sessions.set_token(conn, session.session_id, token_digest, expires_at)
            sql_events.append(conn, session.session_id, [event])
        self._notify(session.session_id)

    def session(self, session_id: SessionId) -> Session:
        """Raises NotFound."""
        with self._database.read() as conn:
            return sql_sessions.load(conn, session_id)

    def session_of_token(self, token_digest: str, now: datetime) -> SessionId:
        """Raises NotAllowed for an unknown token, TokenExpired for an old one."""
        with self._database.read() as conn:
            return sql_sessions.of_token(conn, token_digest, now)

    def rotate_token(self, session_id: SessionId, token_digest: str, expires_at: datetime) -> None:
        """Only the new token opens the session from here on. Raises NotFound."""
        with self._database.write() as conn:
            sql_sessions.load(conn, session_id, lock=True)
            sql_sessions.set_token(conn, session_id, token_digest, expires_at)

    # --- turns: the three durable points ------------------------------------------------------------------------------

    def accept(self, turn: Turn, vault: Sequence[VaultEntry]) -> TurnStart:
        """Point one: the turn is open, its event written, its originals in the vault.

        Raises NotFound; SessionBusy while a turn is open; Conflict for a client_message_id used for another input.
        """
        with self._database.write() as conn:
            session = sql_sessions.load(conn, turn.session_id, lock=True)
            served = sql_turns.admit(conn, turn)
            if served is not None:
                return TurnStart(turn=served[0], session=session, reply=served[1])
            self._vault.put(conn, turn.session_id, vault)
            draft = EventDraft(
                source="system" if isinstance(turn.input, IdentityProved | LockedOut) else "customer",
                trace_id=turn.trace_id,
                at=turn.accepted_at,
                body=TurnAccepted(turn=turn),
            )
            sql_events.append(conn, turn.session_id, [draft])
        self._notify(turn.session_id)
        return TurnStart(turn=turn, session=session)

    def claim_action(self, turn: Turn, claim: ActionClaim) -> tuple[ActionClaim, bool]:
        """Point two: the claim as stored, and whether this call made it.

        Raises NotFound for a turn never accepted, Conflict for one already served.
        """
        _same_session(turn.session_id, claim.session_id)
        with self._database.write() as conn:
            sql_sessions.load(conn, turn.session_id, lock=True)
            stored = sql_turns.claim(conn, claim.key)
            if stored is not None:
                return stored[0], False
            if sql_turns.load(conn, turn.turn_id)[1] is not None:
                raise Conflict(f"turn {turn.turn_id} is already served and can claim no action")
            sql_turns.make_claim(conn, turn.turn_id, claim)
            draft = EventDraft(
                source="assistant", trace_id=turn.trace_id, at=claim.claimed_at, body=ActionClaimed(claim=claim)
            )
            sql_events.append(conn, turn.session_id, [draft])
        self._notify(turn.session_id)
        return claim, True

    def finish_action(
        self, turn: Turn, key: str, state: ClaimState, receipt: Receipt, news: Sequence[EventDraft] = ()
    ) -> None:
        """The bank's answer. Told again it changes nothing; `unknown` may still become final, final never changes.

        `news` is told in the same transaction: what a customer hears of an answer that came after the turn.

        Raises NotFound for a key never claimed, Conflict against a final state.
        """
        with self._database.write() as conn:
            sql_sessions.load(conn, turn.session_id, lock=True)
            if not sql_turns.settle_claim(conn, key, state, receipt):
                return
            body = ActionFinished(key=key, receipt=receipt)
            draft = EventDraft(source="assistant", trace_id=turn.trace_id, at=receipt.at, body=body)
            sql_events.append(conn, turn.session_id, [draft, *news])
        self._notify(turn.session_id)

    def commit(self, commit: TurnCommit) -> Reply:
        """Point three: everything the turn changes, the reply last. Committed again, the first reply is returned.

        Raises NotFound; VersionConflict where session.version or case.version is not one above what is stored.
        """
        session_id = commit.turn.session_id
        _same_session(session_id, commit.session.session_id, *(p.session_id for p in commit.proposals))
        if commit.case is not None:
            _same_session(session_id, commit.case.session_id)
        with self._database.write() as conn:
            sql_sessions.load(conn, session_id, lock=True)
            turn, served = sql_turns.load(conn, commit.turn.turn_id)
            if served is not None:
                return served
            sql_sessions.save(conn, commit.session)
            seq = sql_events.last_seq(conn, session_id) + len(commit.events) + 1
            reply = commit.reply.model_copy(update={"seq": seq})
            sql_events.append(conn, session_id, [*commit.events, _reply_sent(turn, commit, reply)])
            sql_turns.save_proposals(conn, session_id, commit.proposals)
            if commit.case is not None:
                sql_cases.save(conn, commit.case)
            sql_turns.close(conn, turn.turn_id, reply)
        self._notify(session_id)
        return reply

    def turn(self, turn_id: TurnId) -> Turn:
        """Raises NotFound."""
        with self._database.read() as conn:
            return sql_turns.load(conn, turn_id)[0]

    def open_turns(self) -> tuple[Turn, ...]:
        """Accepted, never committed, oldest first."""
        with self._database.read() as conn:
            return sql_turns.still_open(conn)

    def unknown_claims(self) -> tuple[ActionClaim, ...]:
        """Actions in state `unknown`, oldest first; a `claimed` one belongs to its open turn."""
        with self._database.read() as conn:
            return sql_turns.unknown_claims(conn)

    def receipt(self, key: str) -> tuple[ActionClaim, Receipt | None] | None:
        """An action by its idempotency key."""
        with self._database.read() as conn:
            return sql_turns.claim(conn, key)

    def proposal(self, proposal_id: ProposalId) -> Proposal:
        """Raises NotFound."""
        with self._database.read() as conn:
            return sql_turns.proposal(conn, proposal_id)

    # --- writes outside a turn, and the stream ------------------------------------------------------------------------

    def record(
        self,
        session_id: SessionId,
        events: Sequence[EventDraft],
        session: Session | None = None,
        case: Case | None = None,
    ) -> tuple[Event, ...]:
        """Events and new state in one transaction.

        Raises NotFound; VersionConflict where session.version or case.version is not one above what is stored.
        """
        _same_session(session_id, *(part.session_id for part in (session, case) if part is not None))
        with self._database.write() as conn:
            sql_sessions.load(conn, session_id, lock=True)
            if session is not None:
                sql_sessions.save(conn, session)
            if case is not None:
                sql_cases.save(conn, case)
            placed = sql_events.append(conn, session_id, events)
        if placed:
            self._notify(session_id)
        return placed

    def events(self, session_id: SessionId, after: int = 0, limit: int = 500) -> tuple[Event, ...]:
        """In order of seq; erased events are left out."""
        with self._database.read() as conn:
            return sql_events.read(conn, session_id, after, limit)

    # --- what customers asked -----------------------------------------------------------------------------------------

    def unanswered(self, since: datetime, limit: int = 500) -> tuple[AskedQuestion, ...]:
        """Questions the policies had no clause for, at or after an instant, newest first; erased ones are left out."""
        with self._database.read() as conn:
            return sql_questions.unanswered(conn, since, limit)

    def answered(self, since: datetime, limit: int = 500) -> tuple[AskedQuestion, ...]:
        """Questions answered from a clause, asked at or after an instant, newest first."""
        with self._database.read() as conn:
            return sql_questions.answered(conn, since, limit)

    # --- the audit trail ----------------------------------------------------------------------------------------------

    @contextmanager
    def audit_trail(self) -> Iterator[tuple[Iterator[AuditRow], Iterator[HeadRow]]]:
        """Rows and heads of one snapshot, for `audit.verify` while others write."""
        with self._database.snapshot() as conn:
            yield sql_events.audit_rows(conn), sql_events.audit_heads(conn)

    def audit_rows(self) -> Iterator[AuditRow]:
        """Every event of every session, in the order written."""
        with self.audit_trail() as (rows, _):
            yield from rows

    def audit_heads(self) -> Iterator[HeadRow]:
        """The global chain from its beginning."""
        with self.audit_trail() as (_, heads):
            yield from heads

    def last_head(self) -> HeadRow | None:
        """What a checkpoint signs; None before the first event."""
        with self._database.read() as conn:
            return sql_events.last_head(conn)

    # --- vault and verification ---------------------------------------------------------------------------------------

    def vault(self, session_id: SessionId) -> Mapping[str, VaultEntry]:
        """By placeholder. Only actions and verification may ask."""
        with self._database.read() as conn:
            return self._vault.entries(conn, session_id)

    def code_state(self, session_id: SessionId) -> CodeState | None:
        """Where verification stands; None before the first code."""
        with self._database.read() as conn:
            return sql_sessions.code_state(conn, session_id)

    def save_code(self, session_id: SessionId, state: CodeState) -> None:
        """Replace where verification stands. Raises NotFound."""
        with self._database.write() as conn:
            sql_sessions.load(conn, session_id, lock=True)
            sql_sessions.save_code(conn, session_id, state)

    def codes_since(self, phone_digest: str, since: datetime) -> int:
        """Codes asked for one number, over all sessions."""
        with self._database.read() as conn:
            return sql_sessions.codes_since(conn, phone_digest, since)

    def note_code(self, session_id: SessionId, phone_digest: str, at: datetime) -> None:
        """One more code was asked for. Raises NotFound."""
        with self._database.write() as conn:
            sql_sessions.load(conn, session_id)
            sql_sessions.note_code(conn, session_id, phone_digest, at)

    def put_outbox(self, session_id: SessionId, item: OutboxItem) -> None:
        """Keep a code for the sandbox's outbox. Raises NotFound."""
        with self._database.write() as conn:
            sql_sessions.load(conn, session_id)
            self._vault.put_outbox(conn, session_id, item)

    def outbox(self, session_id: SessionId) -> tuple[OutboxItem, ...]:
        """The session's codes, oldest first."""
        with self._database.read() as conn:
            return self._vault.outbox(conn, session_id)

    # --- cases --------------------------------------------------------------------------------------------------------

    def case(self, case_id: CaseId) -> Case:
        """Raises NotFound."""
        with self._database.read() as conn:
            return sql_cases.load(conn, case_id)

    def cases(
        self,
        status: CaseStatus | None = None,
        queue: Queue | None = None,
        assignee: AgentName | None = None,
        after: CaseId | None = None,
        limit: int = 50,
    ) -> tuple[Case, ...]:
        """Most urgent first, then earliest due; `after` is the last case of the page before. Raises NotFound for it."""
        with self._database.read() as conn:
            return sql_cases.listed(conn, status, queue, assignee, after, limit)

    def queue_position(self, case: Case) -> int | None:
        """1 is next among the open cases of its queue, also for a case not stored yet; None once claimed."""
        with self._database.read() as conn:
            return sql_cases.queue_position(conn, case)

    # --- agents -------------------------------------------------------------------------------------------------------

    def save_agent(self, agent: Agent, password_hash: str) -> None:
        """A new agent, or new particulars of one."""
        with self._database.write() as conn:
            sql_agents.save(conn, agent, password_hash)

    def agent(self, name: AgentName) -> tuple[Agent, str]:
        """With the Argon2 hash. Raises NotFound."""
        with self._database.read() as conn:
            return sql_agents.load(conn, name)

    def agents(self) -> tuple[Agent, ...]:
        """By name."""
        with self._database.read() as conn:
            return sql_agents.everyone(conn)

    def open_agent_session(self, token_digest: str, name: AgentName, expires_at: datetime) -> None:
        """One more login of an agent. Raises NotFound."""
        with self._database.write() as conn:
            sql_agents.open_login(conn, token_digest, name, expires_at)

    def agent_of_token(self, token_digest: str, now: datetime) -> Agent:
        """Raises NotAllowed for an unknown token or an agent no longer active, TokenExpired."""
        with self._database.read() as conn:
            return sql_agents.of_token(conn, token_digest, now)

    def close_agent_session(self, token_digest: str) -> None:
        """The token opens nothing from here on."""
        with self._database.write() as conn:
            sql_agents.close_login(conn, token_digest)

    # --- health -------------------------------------------------------------------------------------------------------

    def ping(self) -> None:
        """Raises StoreUnavailable, also where the tables are missing."""
        with self._database.read() as conn:
            conn.execute(select(sessions.c.session_id).limit(1)).all()


def _reply_sent(turn: Turn, commit: TurnCommit, reply: Reply) -> EventDraft:
    """The event of the reply; what the commit does not say, its last events do."""
    at = commit.at or (commit.events[-1].at if commit.events else turn.accepted_at)
    versions = commit.versions or next((draft.versions for draft in reversed(commit.events) if draft.versions), None)
    return EventDraft(source="assistant", trace_id=turn.trace_id, at=at, versions=versions, body=ReplySent(reply=reply))


def _same_session(session_id: SessionId, *others: SessionId) -> None:
    for other in others:
        if other != session_id:
            raise InvalidInput(f"one write cannot touch sessions {session_id} and {other}")
