"""Turns, the claims of their actions, and the proposals they make."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from assistant.adapters.sql_schema import action_claims, micros, proposals, turns
from assistant.errors import Conflict, NotFound, SessionBusy
from assistant.types.actions import ActionClaim, ClaimState, Proposal, Receipt
from assistant.types.messages import Reply, Turn
from assistant.types.value import ProposalId, SessionId, TurnId

# Statements of every turn are built once: building them costs more than SQLite takes to run them.
_RIVALS = select(turns.c.client_message_id, turns.c.body, turns.c.reply).where(
    turns.c.session_id == bindparam("of"),
    or_(turns.c.client_message_id == bindparam("named"), turns.c.reply.is_(None)),
)
_LOAD = select(turns.c.body, turns.c.reply).where(turns.c.turn_id == bindparam("of"))
_INSERT = insert(turns)
_CLOSE = update(turns).where(turns.c.turn_id == bindparam("of"))


def admit(conn: Connection, turn: Turn) -> tuple[Turn, Reply] | None:
    """None: a fresh turn, now written and open. Otherwise the first turn of this client_message_id, with its reply.

    Raises SessionBusy while a turn of the session is open; Conflict for an id used for another input.
    """
    found = conn.execute(_RIVALS, {"of": turn.session_id, "named": turn.client_message_id}).all()
    for row in found:
        if row.client_message_id == turn.client_message_id:
            first = Turn.model_validate_json(row.body)
            if first.input != turn.input:
                raise Conflict("client_message_id was used for another message")
            if row.reply is not None:
                return first, Reply.model_validate_json(row.reply)
    if found:
        raise SessionBusy(f"session {turn.session_id} is serving another turn: try again when it is done")
    opened = {
        "turn_id": turn.turn_id,
        "session_id": turn.session_id,
        "client_message_id": turn.client_message_id,
        "accepted_at": micros(turn.accepted_at),
        "body": turn.model_dump_json(),
        "reply": None,
    }
    conn.execute(_INSERT, opened)
    return None


def load(conn: Connection, turn_id: TurnId) -> tuple[Turn, Reply | None]:
    """A turn and its reply, None while it is open. Raises NotFound."""
    row = conn.execute(_LOAD, {"of": turn_id}).first()
    if row is None:
        raise NotFound(f"no turn {turn_id}")
    reply = None if row.reply is None else Reply.model_validate_json(row.reply)
    return Turn.model_validate_json(row.body), reply


def close(conn: Connection, turn_id: TurnId, reply: Reply) -> None:
    """The turn is served."""
    conn.execute(_CLOSE, {"of": turn_id, "reply": reply.model_dump_json()})


def still_open(conn: Connection) -> tuple[Turn, ...]:
    """Accepted, never committed, oldest first."""
    query = select(turns.c.body).where(turns.c.reply.is_(None)).order_by(turns.c.accepted_at, turns.c.turn_id)
    return tuple(Turn.model_validate_json(body) for body in conn.execute(query).scalars().all())


# --- claims -----------------------------------------------------------------------------------------------------------


def claim(conn: Connection, key: str, *, lock: bool = False) -> tuple[ActionClaim, Receipt | None] | None:
    """An action by its idempotency key."""
    query = select(action_claims.c.body, action_claims.c.receipt).where(action_claims.c.key == key)
    row = conn.execute(query.with_for_update() if lock else query).first()
    if row is None:
        return None
    receipt = None if row.receipt is None else Receipt.model_validate_json(row.receipt)
    return ActionClaim.model_validate_json(row.body), receipt


def make_claim(conn: Connection, turn_id: TurnId, claim: ActionClaim) -> None:
    """Write down that the action is about to run."""
    conn.execute(
        insert(action_claims).values(
            key=claim.key,
            session_id=claim.session_id,
            turn_id=turn_id,
            state=claim.state,
            claimed_at=micros(claim.claimed_at),
            body=claim.model_dump_json(),
        )
    )


def settle_claim(conn: Connection, key: str, state: ClaimState, receipt: Receipt) -> bool:
    """Write what became of the action; False where that is already known. A final state never changes.

    Raises NotFound for a key never claimed, Conflict for a final state that is not `state`.
    """
    found = claim(conn, key, lock=True)
    if found is None:
        raise NotFound(f"no action was claimed under {key}")
    stored = found[0]
    if stored.state == state:
        return False
    if stored.state not in ("claimed", "unknown") or state == "claimed":
        raise Conflict(f"action {key} is {stored.state} and cannot become {state}")
    body = stored.model_copy(update={"state": state}).model_dump_json()
    values = {"state": state, "body": body, "receipt": receipt.model_dump_json()}
    conn.execute(update(action_claims).where(action_claims.c.key == key).values(values))
    return True


def unknown_claims(conn: Connection) -> tuple[ActionClaim, ...]:
    """Actions the bank has timed out on, oldest first. A claim still `claimed` belongs to its open turn."""
    query = select(action_claims.c.body).where(action_claims.c.state == "unknown")
    query = query.order_by(action_claims.c.claimed_at, action_claims.c.key)
    return tuple(ActionClaim.model_validate_json(body) for body in conn.execute(query).scalars().all())


# --- proposals --------------------------------------------------------------------------------------------------------


def proposal(conn: Connection, proposal_id: ProposalId) -> Proposal:
    """Raises NotFound."""
    body = conn.execute(select(proposals.c.body).where(proposals.c.proposal_id == proposal_id)).scalar()
    if body is None:
        raise NotFound(f"no proposal {proposal_id}")
    return Proposal.model_validate_json(body)


def save_proposals(conn: Connection, session_id: SessionId, changed: Sequence[Proposal]) -> None:
    """Write what a turn made of its proposals. A new live one supersedes the others; a status that has ended stays."""
    if not changed:
        return
    query = select(proposals.c.body).where(proposals.c.session_id == session_id)
    stored = {p.proposal_id: p for p in map(Proposal.model_validate_json, conn.execute(query).scalars().all())}
    named = {p.proposal_id for p in changed}
    if any(p.status == "live" and p.proposal_id not in stored for p in changed):
        for other in stored.values():
            if other.status == "live" and other.proposal_id not in named:
                _update_proposal(conn, other.model_copy(update={"status": "superseded"}))
    for new in sorted(changed, key=lambda p: p.status == "live"):  # the live one last: only one may be live
        old = stored.get(new.proposal_id)
        if old is None:
            row = {"proposal_id": new.proposal_id, "session_id": session_id, "status": new.status}
            conn.execute(insert(proposals).values(**row, body=new.model_dump_json()))
        elif old.status == "live":
            _update_proposal(conn, new)


def _update_proposal(conn: Connection, proposal: Proposal) -> None:
    values = {"status": proposal.status, "body": proposal.model_dump_json()}
    conn.execute(update(proposals).where(proposals.c.proposal_id == proposal.proposal_id).values(values))
