"""The contract of the Store port: every database that `SqlStore` runs on passes it.

PostgreSQL joins where TEST_POSTGRESQL_URL names an empty database that may be wiped.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, select, text

from assistant import audit
from assistant.adapters.migrations import migrate
from assistant.adapters.sql import SqlStore
from assistant.adapters.sql_schema import UNANSWERED
from assistant.adapters.sql_schema import events as event_table
from assistant.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotAllowed,
    NotFound,
    SessionBusy,
    StoreUnavailable,
    TokenExpired,
    VersionConflict,
)
from assistant.ports import CodeState, OutboxItem, Store
from assistant.types.cases import Agent, Case
from assistant.types.events import CodeSent, EventBody
from assistant.types.messages import HumanAsked, IdentityProved, LockedOut, Said, VaultEntry
from assistant.types.value import AgentName, CaseId, CustomerId, ProposalId, SessionId, TurnId
from tests import store_material as material
from tests.store_material import LATER, NOW, VERSIONS, a_case, a_claim, a_commit, a_proposal, a_receipt, a_turn, opened

POSTGRESQL = os.environ.get("TEST_POSTGRESQL_URL")
S1 = SessionId("s1")
KEY = Fernet.generate_key()


@pytest.fixture(params=["sqlite", *(["postgresql"] if POSTGRESQL else [])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'assistant.db'}"
    assert POSTGRESQL is not None
    engine = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text("DROP SCHEMA public CASCADE"))
        conn.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return POSTGRESQL


@pytest.fixture
def told() -> list[str]:
    """The sessions that the store has told of, in order."""
    return []


@pytest.fixture
def store(url: str, told: list[str]) -> Iterator[SqlStore]:
    migrate(url)
    store = SqlStore(url, KEY, told.append)
    yield store
    store.close()


def findings(store: SqlStore) -> tuple[audit.Finding, ...]:
    with store.audit_trail() as (rows, heads):
        return audit.verify(rows, heads).findings


def phone(original: str = "13912345678", placeholder: str = "[PHONE_1]") -> VaultEntry:
    return VaultEntry(placeholder=placeholder, kind="phone", original=original)


def test_the_sql_store_is_a_store(store: SqlStore) -> None:
    as_port: Store = store
    as_port.ping()


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_is_read_as_it_was_written(store: SqlStore) -> None:
    session = opened(store)
    assert store.session(S1) == session
    (event,) = store.events(S1)
    assert (event.seq, event.body.kind, event.at) == (1, "session_opened", NOW)


def test_an_unknown_session_is_not_found(store: SqlStore) -> None:
    for ask in (store.session, lambda s: store.accept(a_turn(s), ()), lambda s: store.record(s, ())):
        with pytest.raises(NotFound, match="nowhere"):
            ask(SessionId("nowhere"))


def test_a_token_opens_its_session_until_it_expires(store: SqlStore) -> None:
    opened(store)
    assert store.session_of_token("token-s1", LATER - timedelta(microseconds=1)) == "s1"
    with pytest.raises(TokenExpired):
        store.session_of_token("token-s1", LATER)
    with pytest.raises(NotAllowed) as unknown:
        store.session_of_token("token-s2", NOW)
    assert not isinstance(unknown.value, TokenExpired)


def test_a_rotated_token_closes_the_older_one(store: SqlStore) -> None:
    opened(store)
    store.rotate_token(S1, "token-new", LATER)
    assert store.session_of_token("token-new", NOW) == "s1"
    with pytest.raises(NotAllowed):
        store.session_of_token("token-s1", NOW)
    with pytest.raises(NotFound):
        store.rotate_token(SessionId("nowhere"), "token-x", LATER)


# --- point one --------------------------------------------------------------------------------------------------------


def test_an_accepted_turn_is_open_and_told_of(store: SqlStore, told: list[str]) -> None:
    session = opened(store)
    start = store.accept(a_turn(), ())
    assert (start.turn, start.session, start.reply) == (a_turn(), session, None)
    assert store.open_turns() == (a_turn(),)
    assert store.turn(TurnId("s1-t1")) == a_turn()
    event = store.events(S1)[-1]
    assert (event.seq, event.source, event.body.kind) == (2, "customer", "turn_accepted")
    assert told == ["s1", "s1"]


@pytest.mark.parametrize("given", [IdentityProved(identity=material.an_identity()), LockedOut()])
def test_what_verification_starts_is_the_systems(store: SqlStore, given: IdentityProved | LockedOut) -> None:
    opened(store)
    store.accept(a_turn(given=given), ())
    assert store.events(S1)[-1].source == "system"


def test_the_same_message_returns_the_first_turn_and_its_reply(store: SqlStore, told: list[str]) -> None:
    opened(store)
    reply = material.serve(store)
    events, telling = store.events(S1), len(told)
    again = store.accept(a_turn().model_copy(update={"turn_id": TurnId("another")}), [phone()])
    assert (again.turn, again.reply) == (a_turn(), reply)
    assert again.session.version == 1
    assert (store.events(S1), len(told), dict(store.vault(S1))) == (events, telling, {})


def test_the_same_message_while_it_is_served_is_busy(store: SqlStore) -> None:
    opened(store)
    store.accept(a_turn(), ())
    with pytest.raises(SessionBusy):
        store.accept(a_turn(), ())


def test_another_message_while_one_is_served_is_busy_and_leaves_nothing(store: SqlStore) -> None:
    opened(store)
    store.accept(a_turn(), ())
    with pytest.raises(SessionBusy):
        store.accept(a_turn(number=2), [phone()])
    assert len(store.events(S1)) == 2
    assert not store.vault(S1)


@pytest.mark.parametrize("served", [True, False])
def test_a_client_message_id_is_not_used_for_two_messages(store: SqlStore, served: bool) -> None:
    opened(store)
    _ = material.serve(store) if served else store.accept(a_turn(), ())
    with pytest.raises(Conflict, match="client_message_id was used for another message"):
        store.accept(a_turn(given=Said(text="另一句话")), ())


def test_sixteen_threads_accept_into_their_own_sessions(store: SqlStore) -> None:
    for number in range(16):
        opened(store, f"s{number}")
    gate = threading.Barrier(16)

    def three_turns(number: int) -> list[int]:
        gate.wait()
        return [material.serve(store, f"s{number}", turn).seq for turn in (1, 2, 3)]

    with ThreadPoolExecutor(16) as threads:
        served = list(threads.map(three_turns, range(16)))
    assert served == [[5, 9, 13]] * 16
    assert findings(store) == ()


def test_of_sixteen_copies_of_one_message_one_is_accepted(store: SqlStore) -> None:
    opened(store)
    gate = threading.Barrier(16)

    def accept(number: int) -> bool:
        gate.wait()
        try:
            store.accept(a_turn().model_copy(update={"turn_id": TurnId(f"t{number}")}), ())
        except SessionBusy:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(accept, range(16))) == 1
    assert len(store.open_turns()) == 1


# --- point two --------------------------------------------------------------------------------------------------------


def test_an_action_is_claimed_once_for_ever(store: SqlStore) -> None:
    opened(store)
    store.accept(a_turn(), ())
    claim = a_claim(a_proposal())
    assert store.claim_action(a_turn(), claim) == (claim, True)
    later = claim.model_copy(update={"claimed_at": NOW + timedelta(minutes=1)})
    assert store.claim_action(a_turn(), later) == (claim, False)
    assert store.receipt(claim.key) == (claim, None)
    assert [event.body.kind for event in store.events(S1)].count("action_claimed") == 1


def test_of_eight_claims_at_once_one_is_made(store: SqlStore) -> None:
    opened(store)
    store.accept(a_turn(), ())
    gate = threading.Barrier(8)

    def claim(_: int) -> bool:
        gate.wait()
        return store.claim_action(a_turn(), a_claim(a_proposal()))[1]

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(claim, range(8))) == 1


def test_a_turn_never_accepted_or_already_served_claims_nothing(store: SqlStore) -> None:
    opened(store)
    with pytest.raises(NotFound, match="s1-t1"):
        store.claim_action(a_turn(), a_claim(a_proposal()))
    material.serve(store)
    with pytest.raises(Conflict, match="already served"):
        store.claim_action(a_turn(), a_claim(a_proposal()))


def test_the_banks_answer_is_kept_with_the_claim(store: SqlStore) -> None:
    opened(store)
    store.accept(a_turn(), ())
    claim, _ = store.claim_action(a_turn(), a_claim(a_proposal()))
    store.finish_action(a_turn(), claim.key, "done", a_receipt("done"))
    assert store.receipt(claim.key) == (claim.model_copy(update={"state": "done"}), a_receipt("done"))
    body = store.events(S1)[-1].body
    assert body.kind == "action_finished"
    assert body.receipt == a_receipt("done")


@pytest.mark.parametrize("final", ["done", "refused", "failed"])
def test_a_final_state_never_changes(store: SqlStore, told: list[str], final: str) -> None:
    opened(store)
    store.accept(a_turn(), ())
    claim, _ = store.claim_action(a_turn(), a_claim(a_proposal()))
    store.finish_action(a_turn(), claim.key, final, a_receipt(final))  # type: ignore[arg-type]
    telling = len(told)
    store.finish_action(a_turn(), claim.key, final, a_receipt("unknown"))  # type: ignore[arg-type]
    assert len(told) == telling
    for other in {"done", "refused", "failed", "unknown", "claimed"} - {final}:
        with pytest.raises(Conflict, match=f"is {final}"):
            store.finish_action(a_turn(), claim.key, other, a_receipt())  # type: ignore[arg-type]
    assert store.receipt(claim.key) == (claim.model_copy(update={"state": final}), a_receipt(final))


def test_an_unknown_outcome_is_listed_until_it_is_known(store: SqlStore) -> None:
    session = opened(store)
    store.accept(a_turn(), ())
    claim, _ = store.claim_action(a_turn(), a_claim(a_proposal()))
    assert store.unknown_claims() == ()
    store.finish_action(a_turn(), claim.key, "unknown", a_receipt("unknown"))
    store.commit(a_commit(a_turn(), session))
    assert [c.key for c in store.unknown_claims()] == [claim.key]
    store.finish_action(a_turn(), claim.key, "done", a_receipt("done"))
    assert store.unknown_claims() == ()
    with pytest.raises(NotFound, match="no-such-key"):
        store.finish_action(a_turn(), "no-such-key", "done", a_receipt())
    assert store.receipt("no-such-key") is None


# --- point three ------------------------------------------------------------------------------------------------------


def test_a_commit_writes_everything_the_turn_changed(store: SqlStore, told: list[str]) -> None:
    session = opened(store)
    store.accept(a_turn(), ())
    case = a_case("k1")
    reply = store.commit(a_commit(a_turn(), session, proposals=(a_proposal(),), case=case))
    assert reply.seq == 5
    assert store.session(S1).version == 1
    assert store.proposal(ProposalId("p1")) == a_proposal()
    assert store.case(CaseId("k1")) == case
    assert store.open_turns() == ()
    events = store.events(S1)
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert (events[-1].source, events[-1].versions, events[-1].at) == ("assistant", VERSIONS, NOW)
    assert events[-1].body.kind == "reply_sent"
    assert events[-1].body.reply == reply
    assert store.accept(a_turn(), ()).reply == reply
    assert told == ["s1"] * 3


def test_instant_and_versions_of_the_reply_may_be_given(store: SqlStore) -> None:
    session = opened(store)
    store.accept(a_turn(), ())
    given = VERSIONS.model_copy(update={"model": "m2"})
    store.commit(a_commit(a_turn(), session, events=(), at=LATER, versions=given))
    event = store.events(S1)[-1]
    assert (event.seq, event.at, event.versions) == (3, LATER, given)


def test_a_turn_committed_twice_keeps_its_first_reply(store: SqlStore) -> None:
    session = opened(store)
    store.accept(a_turn(), ())
    first = store.commit(a_commit(a_turn(), session))
    other = material.a_reply(a_turn()).model_copy(update={"text": "别的话"})
    assert store.commit(a_commit(a_turn(), session, reply=other)) == first
    assert len(store.events(S1)) == 5


@pytest.mark.parametrize("version", [0, 2])
def test_a_commit_on_a_session_that_moved_on_writes_nothing(store: SqlStore, version: int) -> None:
    session = opened(store)
    store.accept(a_turn(), ())
    stale = session.model_copy(update={"version": version})
    with pytest.raises(VersionConflict, match="s1"):
        store.commit(a_commit(a_turn(), session, session=stale, proposals=(a_proposal(),), case=a_case("k1")))
    assert len(store.events(S1)) == 2
    assert store.open_turns() == (a_turn(),)
    for ask in (lambda: store.proposal(ProposalId("p1")), lambda: store.case(CaseId("k1"))):
        with pytest.raises(NotFound):
            ask()


def test_a_stale_case_voids_the_whole_commit(store: SqlStore) -> None:
    session = opened(store)
    store.record(S1, (), case=a_case("k1"))
    store.accept(a_turn(), ())
    with pytest.raises(VersionConflict, match="k1"):
        store.commit(a_commit(a_turn(), session, case=a_case("k1")))
    assert store.session(S1) == session
    assert len(store.events(S1)) == 2
    assert findings(store) == ()


def test_a_commit_cannot_touch_another_session(store: SqlStore) -> None:
    session, other = opened(store), opened(store, "s2")
    store.accept(a_turn(), ())
    for parts in (
        {"session": material.risen(other)},
        {"case": a_case("k1", "s2")},
        {"proposals": (a_proposal(session_id="s2"),)},
    ):
        with pytest.raises(InvalidInput, match="s2"):
            store.commit(a_commit(a_turn(), session, **parts))


def test_a_new_proposal_supersedes_the_live_one(store: SqlStore) -> None:
    session = opened(store)
    store.accept(a_turn(), ())
    store.commit(a_commit(a_turn(), session, proposals=(a_proposal("p1"),)))
    start = store.accept(a_turn(number=2), ())
    store.commit(a_commit(start.turn, start.session, proposals=(a_proposal("p2"),)))
    assert store.proposal(ProposalId("p1")).status == "superseded"
    assert store.proposal(ProposalId("p2")).status == "live"


def test_a_proposal_named_in_the_commit_keeps_what_the_commit_says(store: SqlStore) -> None:
    session = opened(store)
    store.accept(a_turn(), ())
    store.commit(a_commit(a_turn(), session, proposals=(a_proposal("p1"),)))
    start = store.accept(a_turn(number=2), ())
    cancelled = a_proposal("p1").model_copy(update={"status": "cancelled"})
    store.commit(a_commit(start.turn, start.session, proposals=(a_proposal("p2"), cancelled)))
    assert store.proposal(ProposalId("p1")).status == "cancelled"


def test_a_proposal_that_has_ended_does_not_live_again(store: SqlStore) -> None:
    session = opened(store)
    store.accept(a_turn(), ())
    store.commit(a_commit(a_turn(), session, proposals=(a_proposal("p1"),)))
    for number, status in ((2, "confirmed"), (3, "live")):
        start = store.accept(a_turn(number=number), ())
        changed = a_proposal("p1").model_copy(update={"status": status})
        store.commit(a_commit(start.turn, start.session, proposals=(changed,)))
    assert store.proposal(ProposalId("p1")).status == "confirmed"


# --- record and the stream --------------------------------------------------------------------------------------------


def test_record_writes_events_session_and_case_together(store: SqlStore, told: list[str]) -> None:
    session = opened(store)
    taken = session.model_copy(update={"mode": "manual", "version": 1})
    (event,) = store.record(S1, [material.draft(CodeSent())], session=taken, case=a_case("k1"))
    assert (event.seq, event.session_id) == (2, "s1")
    assert store.events(S1)[-1] == event
    assert store.session(S1) == taken
    assert store.case(CaseId("k1")) == a_case("k1")
    assert told == ["s1", "s1"]


def test_record_against_old_versions_writes_nothing(store: SqlStore, told: list[str]) -> None:
    session = opened(store)
    store.record(S1, (), case=a_case("k1"))
    assert told == ["s1"]
    for parts in ({"session": session}, {"session": material.risen(session), "case": a_case("k1")}):
        with pytest.raises(VersionConflict):
            store.record(S1, [material.draft(CodeSent())], **parts)
    assert store.session(S1) == session
    assert len(store.events(S1)) == 1


def test_events_are_read_in_pages(store: SqlStore) -> None:
    opened(store)
    store.record(S1, [material.draft(CodeSent())] * 9)
    assert [event.seq for event in store.events(S1, after=4, limit=3)] == [5, 6, 7]
    assert store.events(S1, after=10) == ()


def test_instants_of_another_zone_sort_as_instants(store: SqlStore) -> None:
    opened(store)
    shanghai = timezone(timedelta(hours=8))
    late = a_case("late", due_minutes=30)
    early = a_case("early").model_copy(update={"due_at": (NOW + timedelta(minutes=5)).astimezone(shanghai)})
    for case in (late, early):
        store.record(S1, (), case=case)
    assert [case.case_id for case in store.cases()] == ["early", "late"]


def test_the_trail_is_read_as_of_one_instant(store: SqlStore) -> None:
    opened(store)
    with store.audit_trail() as (rows, heads):
        first = next(rows)
        material.serve(store)
        assert audit.verify([first, *rows], heads).heads == 1
    with store.audit_trail() as (rows, heads):
        verdict = audit.verify(rows, heads)
    assert (verdict.whole, verdict.events, verdict.heads) == (True, 5, 3)
    last = store.last_head()
    assert last is not None
    assert (last.n, last.seq) == (3, 5)


# --- vault and verification -------------------------------------------------------------------------------------------


def test_the_vault_gives_originals_back_by_placeholder(store: SqlStore) -> None:
    opened(store)
    opened(store, "s2")
    store.accept(a_turn(), [phone()])
    store.accept(a_turn("s2"), [phone("13800000009")])
    assert dict(store.vault(S1)) == {"[PHONE_1]": phone()}
    assert dict(store.vault(SessionId("s2"))) == {"[PHONE_1]": phone("13800000009")}


def test_a_placeholder_never_comes_to_stand_for_something_else(store: SqlStore) -> None:
    session = opened(store)
    store.accept(a_turn(), [phone(), phone()])
    store.commit(a_commit(a_turn(), session))
    with pytest.raises(Conflict, match="PHONE_1"):
        store.accept(a_turn(number=2), [phone("13800000009")])
    assert store.open_turns() == ()
    store.accept(a_turn(number=2), [phone(), phone("13800000009", "[PHONE_2]")])
    assert [entry.original for entry in store.vault(S1).values()] == ["13912345678", "13800000009"]


def test_another_vault_key_opens_nothing(store: SqlStore, url: str) -> None:
    opened(store)
    store.accept(a_turn(), [phone()])
    other = SqlStore(url, Fernet.generate_key(), lambda _: None)
    with pytest.raises(ConfigurationError, match="vault key"):
        other.vault(S1)
    other.close()


def test_originals_and_codes_are_not_in_the_database_file(store: SqlStore, url: str, tmp_path: Path) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("reads the file")
    opened(store)
    store.accept(a_turn(given=Said(text="我的手机号是[PHONE_1]")), [phone()])
    store.put_outbox(S1, OutboxItem(code="739251", masked_phone="139****5678", at=NOW))
    store.close()
    written = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert b"[PHONE_1]" in written
    for secret in (b"13912345678", b"739251", b"139****5678"):
        assert secret not in written


def test_verification_state_is_kept_by_session(store: SqlStore) -> None:
    opened(store)
    assert store.code_state(S1) is None
    for wrong in (0, 5):
        state = CodeState(
            customer_id=CustomerId("C1"), code_digest="d", expires_at=LATER, wrong=wrong, locked_until=LATER
        )
        store.save_code(S1, state)
        assert store.code_state(S1) == state
    with pytest.raises(NotFound):
        store.save_code(SessionId("nowhere"), state)


def test_codes_of_one_number_are_counted_over_sessions(store: SqlStore) -> None:
    for session_id in ("s1", "s2"):
        opened(store, session_id)
        store.note_code(SessionId(session_id), "number", NOW)
    store.note_code(S1, "number", NOW - timedelta(days=1))
    store.note_code(S1, "another", NOW)
    assert store.codes_since("number", NOW) == 2
    assert store.codes_since("number", NOW - timedelta(days=2)) == 3


def test_the_outbox_is_the_sessions_own(store: SqlStore) -> None:
    opened(store)
    opened(store, "s2")
    items = tuple(OutboxItem(code=code, masked_phone="139****5678", at=NOW) for code in ("111111", "222222"))
    for item in items:
        store.put_outbox(S1, item)
    assert store.outbox(S1) == items
    assert store.outbox(SessionId("s2")) == ()


# --- what customers asked ---------------------------------------------------------------------------------------------


def asked(store: SqlStore, number: int, body: EventBody, session_id: SessionId = S1) -> None:
    """A question put `number` minutes after NOW that the policies have no clause for."""
    at = NOW + timedelta(minutes=number)
    store.record(session_id, [material.draft(body).model_copy(update={"at": at})])


def test_unanswered_questions_come_newest_first_since_a_time_and_no_more_than_asked_for(store: SqlStore) -> None:
    opened(store)
    opened(store, "s2")
    asked(store, 1, material.a_gap("余额宝能还吗", nearest=("overdue", "hardship")))
    asked(store, 3, material.a_gap("零钱能还吗", context="怎么还款", product="pay_later"), SessionId("s2"))
    asked(store, 2, material.a_gap("三张卡凑起来还行吗"))
    asked(store, 4, CodeSent())
    found = store.unanswered(NOW)
    assert [one.text for one in found] == ["零钱能还吗", "三张卡凑起来还行吗", "余额宝能还吗"]
    first, _, last = found
    assert (first.session_id, first.at, first.context, first.product, first.searched) == (
        "s2",
        NOW + timedelta(minutes=3),
        "怎么还款",
        "pay_later",
        "怎么还款 零钱能还吗",
    )
    assert (last.intent, last.act, last.locale, last.nearest, last.searched) == (
        "repay_how",
        "ask",
        "zh-CN",
        ("overdue", "hardship"),
        "余额宝能还吗",
    )
    assert store.unanswered(NOW, limit=2) == found[:2]
    assert store.unanswered(NOW + timedelta(minutes=2)) == found[:2]
    assert store.unanswered(NOW + timedelta(minutes=5)) == ()


def test_an_unanswered_question_that_was_erased_is_not_listed(store: SqlStore, url: str) -> None:
    opened(store)
    asked(store, 1, material.a_gap("余额宝能还吗"))
    engine = create_engine(url)
    with engine.begin() as conn:
        conn.execute(text("UPDATE events SET salt = NULL, content = NULL WHERE seq = 2"))
    engine.dispose()
    assert store.unanswered(NOW) == ()


def test_unanswered_questions_are_found_by_their_index(store: SqlStore, url: str) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("SQLite tells its plan")
    engine = create_engine(url)
    query = select(event_table.c.content).where(UNANSWERED, event_table.c.at >= 0).order_by(event_table.c.at.desc())
    with engine.connect() as conn:
        compiled = str(query.compile(engine, compile_kwargs={"literal_binds": True}))
        plan = " ".join(row.detail for row in conn.execute(text(f"EXPLAIN QUERY PLAN {compiled}")))
    engine.dispose()
    assert "unanswered_questions" in plan


def test_answered_questions_are_those_with_a_clause_newest_first(store: SqlStore) -> None:
    session = opened(store)
    inputs = (None, None, HumanAsked(), None)
    for number, given in enumerate(inputs, 1):
        turn = a_turn(number=number, given=given)
        store.accept(turn, ())
        reply = material.a_reply(turn) if number == 2 else material.a_cited_reply(turn)
        store.commit(a_commit(turn, session, reply=reply))
        session = store.session(S1)
    store.accept(a_turn(number=5), ())  # still open
    found = store.answered(NOW)
    assert [one.text for one in found] == [a_turn(number=number).input.text for number in (4, 1)]  # type: ignore[union-attr]
    assert {(one.intent, one.act, one.locale) for one in found} == {("early_repay", "ask", "zh-CN")}
    assert store.answered(NOW, limit=1) == found[:1]
    assert store.answered(NOW + timedelta(seconds=2)) == found[:1]


# --- cases ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def five_cases(store: SqlStore) -> tuple[Case, ...]:
    """In the order they are to be served."""
    opened(store)
    cases = (
        a_case("e", priority="urgent", due_minutes=90),
        a_case("d", priority="high", due_minutes=10, queue="fraud"),
        a_case("b", priority="normal", due_minutes=20),
        a_case("a", priority="normal", due_minutes=30),
        a_case("c", priority="normal", due_minutes=30),
    )
    for case in sorted(cases, key=lambda case: case.case_id):
        store.record(S1, (), case=case)
    return cases


def test_cases_come_most_urgent_first_then_earliest_due(store: SqlStore, five_cases: tuple[Case, ...]) -> None:
    assert store.cases() == five_cases
    first = store.cases(limit=2)
    second = store.cases(after=first[-1].case_id, limit=2)
    third = store.cases(after=second[-1].case_id, limit=2)
    assert first + second + third == five_cases
    with pytest.raises(NotFound, match="nowhere"):
        store.cases(after=CaseId("nowhere"))


def test_cases_are_filtered(store: SqlStore, five_cases: tuple[Case, ...]) -> None:
    claimed = five_cases[2].model_copy(update={"status": "claimed", "assignee": "li", "version": 2})
    store.record(S1, (), case=claimed)
    assert store.cases(status="claimed") == (claimed,)
    assert store.cases(assignee=AgentName("li")) == (claimed,)
    assert [case.case_id for case in store.cases(queue="fraud")] == ["d"]
    assert store.cases(queue="fraud", status="resolved") == ()


def test_queue_position_counts_open_cases_of_the_queue(store: SqlStore, five_cases: tuple[Case, ...]) -> None:
    assert [store.queue_position(case) for case in five_cases] == [1, 1, 2, 3, 4]
    claimed = five_cases[2].model_copy(update={"status": "claimed", "version": 2})
    store.record(S1, (), case=claimed)
    assert [store.queue_position(case) for case in (claimed, *five_cases[3:])] == [None, 2, 3]
    assert store.queue_position(a_case("new", priority="high")) == 2


def test_a_case_rises_by_one_version(store: SqlStore, five_cases: tuple[Case, ...]) -> None:
    for version in (1, 3):
        with pytest.raises(VersionConflict, match="read it again"):
            store.record(S1, (), case=five_cases[0].model_copy(update={"version": version}))


# --- agents -----------------------------------------------------------------------------------------------------------


def test_agents_are_saved_and_changed(store: SqlStore) -> None:
    li = Agent(name=AgentName("li"), display_name="李", role="agent")
    store.save_agent(li, "hash-1")
    assert store.agent(li.name) == (li, "hash-1")
    chief = li.model_copy(update={"role": "admin"})
    store.save_agent(chief, "hash-2")
    store.save_agent(Agent(name=AgentName("an"), display_name="安", role="agent"), "hash-3")
    assert store.agent(li.name) == (chief, "hash-2")
    assert [agent.name for agent in store.agents()] == ["an", "li"]
    with pytest.raises(NotFound):
        store.agent(AgentName("nobody"))


def test_a_login_opens_until_it_expires_or_is_closed(store: SqlStore) -> None:
    li = Agent(name=AgentName("li"), display_name="李", role="agent")
    store.save_agent(li, "hash")
    store.open_agent_session("login", li.name, LATER)
    assert store.agent_of_token("login", NOW) == li
    with pytest.raises(TokenExpired):
        store.agent_of_token("login", LATER)
    store.close_agent_session("login")
    with pytest.raises(NotAllowed):
        store.agent_of_token("login", NOW)
    with pytest.raises(NotFound):
        store.open_agent_session("login", AgentName("nobody"), LATER)


def test_an_agent_who_left_is_locked_out_at_once(store: SqlStore) -> None:
    li = Agent(name=AgentName("li"), display_name="李", role="agent")
    store.save_agent(li, "hash")
    store.open_agent_session("login", li.name, LATER)
    store.save_agent(li.model_copy(update={"active": False}), "hash")
    with pytest.raises(NotAllowed, match="no longer active"):
        store.agent_of_token("login", NOW)


# --- failure ----------------------------------------------------------------------------------------------------------


def test_a_database_without_tables_is_unavailable(url: str, tmp_path: Path) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("a file")
    store = SqlStore(f"sqlite:///{tmp_path / 'empty.db'}", KEY, lambda _: None)
    with pytest.raises(StoreUnavailable, match="no such table") as told:
        store.ping()
    assert "SELECT" not in str(told.value)
    store.close()


@pytest.mark.parametrize("content", [None, b"this is no database, however long it may be" * 99])
def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.db"
    _ = path.mkdir() if content is None else path.write_bytes(content)
    store = SqlStore(f"sqlite:///{path}", KEY, lambda _: None)
    with pytest.raises(StoreUnavailable):
        store.session(S1)
    store.close()


def test_a_url_that_fits_no_driver_is_a_configuration_error() -> None:
    for url in ("nonsense", "sqlite+nonsense:///x.db"):
        with pytest.raises(ConfigurationError, match="ASSISTANT_DATABASE_URL"):
            SqlStore(url, KEY, lambda _: None)
    with pytest.raises(ConfigurationError, match="Fernet"):
        SqlStore("sqlite://", b"short", lambda _: None)


CHILD = """
import sys
from assistant.adapters.sql import SqlStore
from tests.store_material import a_claim, a_commit, a_proposal, a_receipt, a_turn, opened

store = SqlStore(sys.argv[1], sys.argv[2].encode(), lambda _: None)
session_id = sys.argv[3]
opened(store, session_id)
for number in range(1, 10_000):
    start = store.accept(a_turn(session_id, number), ())
    claim, _ = store.claim_action(start.turn, a_claim(a_proposal(f"{session_id}-{number}", session_id)))
    store.finish_action(start.turn, claim.key, "done", a_receipt())
    store.commit(a_commit(start.turn, start.session))
    print(number, flush=True)
"""


def test_a_process_killed_in_mid_turn_leaves_the_turn_whole_or_open(store: SqlStore, url: str) -> None:
    for round_ in range(4):
        session_id = SessionId(f"killed{round_}")
        command = [sys.executable, "-c", CHILD, url, KEY.decode(), session_id]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
            assert child.stdout is not None
            told = [child.stdout.readline() for _ in range(5)]
            time.sleep(0.003 * round_)
            child.send_signal(signal.SIGKILL)
            told += child.stdout.readlines()
        served = int(told[-1])  # what was told as done must be there
        assert findings(store) == ()
        kinds = [event.body.kind for event in store.events(session_id, limit=100_000)]
        assert [event.seq for event in store.events(session_id, limit=100_000)] == list(range(1, len(kinds) + 1))
        whole = ["turn_accepted", "action_claimed", "action_finished", "code_sent", "code_sent", "reply_sent"]
        turns, rest = divmod(len(kinds) - 1, len(whole))
        assert turns >= served
        assert kinds[1:] == whole * turns + whole[:rest]
        assert rest <= 3  # the commit's three events are there together or not at all
        assert store.session(session_id).version == turns
        still_open = [turn for turn in store.open_turns() if turn.session_id == session_id]
        assert len(still_open) == (1 if rest else 0)
        for turn in still_open:  # what the reconciler does
            store.commit(a_commit(turn, store.session(session_id)))
        assert findings(store) == ()
