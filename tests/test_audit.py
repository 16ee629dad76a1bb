"""The audit trail: whole as written, and every manipulation is seen and placed."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assistant import audit
from assistant.adapters.migrations import migrate
from assistant.adapters.sql import SqlStore
from assistant.audit import AuditRow, Checkpoint, HeadRow, Verdict
from assistant.errors import ConfigurationError, Conflict
from assistant.types.value import SessionId
from tests.store_material import NOW, opened, serve

Trail = tuple[list[AuditRow], list[HeadRow]]
SESSIONS = ("s1", "s2", "s3", "s4")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of four sessions with five interleaved turns each."""
    path = tmp_path_factory.mktemp("audit") / "assistant.db"
    migrate(f"sqlite:///{path}")
    store = SqlStore(f"sqlite:///{path}", Fernet.generate_key(), lambda _: None)
    for session_id in SESSIONS:
        opened(store, session_id)
    for number in range(1, 6):
        for session_id in SESSIONS:
            serve(store, session_id, number)
    store.close()
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{path}", Fernet.generate_key(), lambda _: None)
    yield store
    store.close()


@pytest.fixture
def trail(store: SqlStore) -> Trail:
    return list(store.audit_rows()), list(store.audit_heads())


def signed(head: HeadRow) -> Checkpoint:
    draft = Checkpoint(n=head.n, global_digest=head.global_digest, at=NOW, signature="")
    return draft.model_copy(update={"signature": KEY.sign(draft.signed).hex()})


def verified(trail: Trail, *checkpoints: Checkpoint) -> Verdict:
    return audit.verify(*trail, checkpoints, KEY.public_key())


def test_a_trail_as_written_is_whole(trail: Trail) -> None:
    verdict = verified(trail, signed(trail[1][-1]))
    assert verdict.whole
    assert (verdict.sessions, verdict.heads, verdict.protected_to) == (4, 44, 44)
    assert verdict.events == len(trail[0]) == 4 * (1 + 5 * 4)


def test_an_empty_trail_is_whole() -> None:
    assert audit.verify((), ()).whole


def test_heads_above_the_last_checkpoint_are_told_unprotected(trail: Trail) -> None:
    assert audit.verify(*trail).protected_to == 0
    assert verified(trail, signed(trail[1][9]), signed(trail[1][29])).protected_to == 30


def test_erased_content_leaves_the_trail_whole(trail: Trail) -> None:
    rows = [row.model_copy(update={"salt": None, "content": None}) if row.seq % 2 else row for row in trail[0]]
    verdict = verified((rows, trail[1]), signed(trail[1][-1]))
    assert verdict.whole
    assert verdict.erased == sum(row.seq % 2 for row in rows)


def test_erased_events_are_left_out_of_the_stream(path: Path, tmp_path: Path) -> None:
    copy = copied(path, tmp_path)
    with sqlite3.connect(copy) as conn:
        conn.execute("UPDATE events SET salt = NULL, content = NULL WHERE session_id = 's1' AND seq > 1")
    conn.close()
    store = SqlStore(f"sqlite:///{copy}", Fernet.generate_key(), lambda _: None)
    assert [event.seq for event in store.events(SessionId("s1"))] == [1]
    with store.audit_trail() as (rows, heads):
        assert audit.verify(rows, heads).whole
    store.close()


def test_digests_alone_do_not_tell_what_was_said(trail: Trail) -> None:
    digests = {row.content_digest for row in trail[0]}
    assert len(digests) == len(trail[0])  # equal contents, different salts
    assert not {audit.content_digest("", row.content or "") for row in trail[0]} & digests


def test_a_trail_is_verified_while_others_write(path: Path, tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{copied(path, tmp_path)}", Fernet.generate_key(), lambda _: None)
    with store.audit_trail() as (rows, heads):
        first = next(rows)
        serve(store, "s1", 6)
        assert audit.verify([first, *rows], heads).heads == 44
    with store.audit_trail() as (rows, heads):
        assert audit.verify(rows, heads).heads == 46
    store.close()


# --- manipulations ----------------------------------------------------------------------------------------------------
#
# Each takes a whole trail and returns the manipulated one with what the findings must name: a session or a head.

Manipulated = tuple[Trail, SessionId | int]
Manipulation = Callable[[random.Random, Trail], Manipulated]


def change_content(rng: random.Random, trail: Trail) -> Manipulated:
    return change_row(rng, trail, {"content": '{"text": "另一句话"}'})


def change_salt(rng: random.Random, trail: Trail) -> Manipulated:
    return change_row(rng, trail, {"salt": "00" * 16})


def erase_half(rng: random.Random, trail: Trail) -> Manipulated:
    return change_row(rng, trail, {rng.choice(["salt", "content"]): None})


def change_content_and_digest(rng: random.Random, trail: Trail) -> Manipulated:
    digest = audit.content_digest("00", "other")
    return change_row(rng, trail, {"salt": "00", "content": "other", "content_digest": digest})


def change_chain_digest(rng: random.Random, trail: Trail) -> Manipulated:
    return change_row(rng, trail, {"chain_digest": "ab" * 32})


def change_place(rng: random.Random, trail: Trail) -> Manipulated:
    row = rng.choice(trail[0])
    return change_row(rng, trail, {"seq": row.seq + rng.choice([-1, 1, 100])}, row)


def change_owner(rng: random.Random, trail: Trail) -> Manipulated:
    row = rng.choice(trail[0])
    other = rng.choice([s for s in SESSIONS if s != row.session_id])
    return change_row(rng, trail, {"session_id": other}, row)


def change_transaction(rng: random.Random, trail: Trail) -> Manipulated:
    row = rng.choice(trail[0])
    rows, n = list(trail[0]), rng.choice([n for n in range(1, 60) if n != row.n])
    rows[rows.index(row)] = row.model_copy(update={"n": n})
    return (sorted(rows, key=lambda r: (r.n, r.seq)), trail[1]), row.session_id


def change_row(rng: random.Random, trail: Trail, fields: dict[str, object], row: AuditRow | None = None) -> Manipulated:
    row = row or rng.choice(trail[0])
    rows = [r.model_copy(update=fields) if r is row else r for r in trail[0]]
    return (rows, trail[1]), row.session_id


def delete_row(rng: random.Random, trail: Trail) -> Manipulated:
    row = rng.choice(trail[0])
    return ([r for r in trail[0] if r is not row], trail[1]), row.session_id


def swap_contents(rng: random.Random, trail: Trail) -> Manipulated:
    session_id = rng.choice(SESSIONS)
    one, two = rng.sample([row for row in trail[0] if row.session_id == session_id], 2)
    fields = ("salt", "content", "content_digest")
    changed = {
        one.seq: one.model_copy(update={name: getattr(two, name) for name in fields}),
        two.seq: two.model_copy(update={name: getattr(one, name) for name in fields}),
    }
    rows = [changed.get(r.seq, r) if r.session_id == one.session_id else r for r in trail[0]]
    return (rows, trail[1]), one.session_id


def reorder_rows(rng: random.Random, trail: Trail) -> Manipulated:
    i = rng.choice([i for i in range(len(trail[0]) - 1) if trail[0][i].n == trail[0][i + 1].n])
    rows = list(trail[0])
    rows[i], rows[i + 1] = rows[i + 1], rows[i]
    return (rows, trail[1]), rows[i].session_id


def delete_session_rows(rng: random.Random, trail: Trail) -> Manipulated:
    gone = SessionId(rng.choice(SESSIONS))
    return ([r for r in trail[0] if r.session_id != gone], trail[1]), gone


def cut_session_tail(rng: random.Random, trail: Trail) -> Manipulated:
    gone, last = SessionId(rng.choice(SESSIONS)), rng.randint(1, 20)
    return ([r for r in trail[0] if r.session_id != gone or r.seq <= last], trail[1]), gone


def delete_transaction(rng: random.Random, trail: Trail) -> Manipulated:
    n = rng.randint(1, len(trail[1]) - 1)
    return ([r for r in trail[0] if r.n != n], [h for h in trail[1] if h.n != n]), n


def delete_head(rng: random.Random, trail: Trail) -> Manipulated:
    head = rng.choice(trail[1])
    return (trail[0], [h for h in trail[1] if h is not head]), head.session_id


def change_head(rng: random.Random, trail: Trail) -> Manipulated:
    head, name = rng.choice(trail[1]), rng.choice(["chain_digest", "global_digest"])
    heads = [h.model_copy(update={name: "cd" * 32}) if h is head else h for h in trail[1]]
    return (trail[0], heads), head.n


def add_row(rng: random.Random, trail: Trail) -> Manipulated:
    session_id = SessionId(rng.choice(SESSIONS))
    rows = [r for r in trail[0] if r.session_id == session_id]
    last, digest = rows[-1], audit.content_digest("00", "forged")
    forged = AuditRow(
        n=rng.choice([last.n, len(trail[1]) + 1]),
        session_id=session_id,
        seq=last.seq + 1,
        salt="00",
        content="forged",
        content_digest=digest,
        chain_digest=audit.chain_digest(last.chain_digest, digest, last.seq + 1, session_id),
    )
    return (sorted([*trail[0], forged], key=lambda r: (r.n, r.seq)), trail[1]), session_id


NAIVE: tuple[Manipulation, ...] = (
    change_content,
    change_salt,
    erase_half,
    change_content_and_digest,
    change_chain_digest,
    change_place,
    change_owner,
    change_transaction,
    delete_row,
    swap_contents,
    reorder_rows,
    delete_session_rows,
    cut_session_tail,
    delete_transaction,
    delete_head,
    change_head,
    add_row,
)


@pytest.mark.parametrize("manipulate", NAIVE, ids=lambda f: f.__name__)
def test_a_manipulation_is_seen_and_placed_without_a_checkpoint(trail: Trail, manipulate: Manipulation) -> None:
    for seed in range(15):  # 17 × 15 = 255 manipulations
        changed, where = manipulate(random.Random(f"{manipulate.__name__}-{seed}"), trail)
        if changed == trail:
            raise AssertionError(f"seed {seed} changed nothing")
        verdict = audit.verify(*changed)
        assert any(where in (finding.session_id, finding.n) for finding in verdict.findings), (seed, verdict.findings)


def rebuilt(rows: list[AuditRow], old: list[HeadRow]) -> Trail:
    """What an intruder with the database can do: every digest made anew over other rows."""
    chains: dict[SessionId, tuple[int, str]] = {}
    renewed, heads, previous = [], [], audit.GENESIS
    for head in old:
        mine = [row for row in rows if row.n == head.n]
        if not mine:
            continue
        n = len(heads) + 1
        for row in mine:
            seq, chain = chains.get(row.session_id, (0, audit.GENESIS))
            digest = audit.content_digest(row.salt or "", row.content or "")
            chain = audit.chain_digest(chain, digest, seq + 1, row.session_id)
            fields = {"n": n, "seq": seq + 1, "content_digest": digest, "chain_digest": chain}
            renewed.append(row.model_copy(update=fields))
            chains[row.session_id] = (seq + 1, chain)
        seq, chain = chains[head.session_id]
        previous = audit.global_digest(previous, n, head.session_id, seq, chain)
        heads.append(HeadRow(n=n, session_id=head.session_id, seq=seq, chain_digest=chain, global_digest=previous))
    return renewed, heads


def test_the_intruders_tool_rebuilds_what_was_written(trail: Trail) -> None:
    assert rebuilt(*trail) == trail


@pytest.mark.parametrize("seed", range(40))
def test_a_rebuilt_trail_is_seen_up_to_the_checkpoint(trail: Trail, seed: int) -> None:
    rng = random.Random(seed)
    checkpoint = signed(trail[1][rng.randint(20, 43)])
    before = [row for row in trail[0] if row.n <= checkpoint.n]
    victim = rng.choice(before)
    rows = {
        "change": lambda: [r.model_copy(update={"content": "other"}) if r is victim else r for r in trail[0]],
        "delete": lambda: [r for r in trail[0] if r is not victim],
        "session": lambda: [r for r in trail[0] if r.session_id != victim.session_id],
        "tail": lambda: [r for r in trail[0] if r.n < victim.n],
    }[rng.choice(["change", "delete", "session", "tail"])]()
    forged = rebuilt(rows, trail[1])
    assert audit.verify(*forged).whole  # unkeyed chains cannot see it
    kinds = {finding.kind for finding in verified(forged, checkpoint).findings}
    assert kinds & {"checkpoint_mismatch", "tail_cut"}
    assert verified(forged, checkpoint).protected_to == 0


def test_what_follows_the_last_checkpoint_is_unprotected(trail: Trail) -> None:
    checkpoint = signed(trail[1][29])
    cut = [row for row in trail[0] if row.n <= 35], [head for head in trail[1] if head.n <= 35]
    verdict = verified(cut, checkpoint)
    assert (verdict.whole, verdict.protected_to, verdict.heads) == (True, 30, 35)


def test_a_missing_session_is_called_so(trail: Trail) -> None:
    rows = [row for row in trail[0] if row.session_id != "s3"]
    (finding,) = audit.verify(rows, trail[1]).findings
    assert (finding.kind, finding.session_id) == ("session_missing", "s3")


def test_one_changed_word_is_one_finding(path: Path, tmp_path: Path) -> None:
    copy = copied(path, tmp_path)
    with sqlite3.connect(copy) as conn:
        conn.execute("UPDATE events SET content = replace(content, '随时', '不可') WHERE session_id = 's2' AND seq = 9")
    conn.close()
    store = SqlStore(f"sqlite:///{copy}", Fernet.generate_key(), lambda _: None)
    (finding,) = audit.verify(store.audit_rows(), store.audit_heads()).findings
    assert (finding.kind, finding.session_id, finding.seq) == ("content_changed", "s2", 9)
    store.close()


# --- checkpoints ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_a_private_file_that_verifies(store: SqlStore, trail: Trail, tmp_path: Path) -> None:
    head = store.last_head()
    assert head is not None
    folder = tmp_path / "checkpoints"
    made = audit.checkpoint(head, NOW, KEY, folder)
    assert audit.checkpoints(folder) == (made,)
    (file,) = folder.iterdir()
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert verified(trail, made).protected_to == head.n == 44


def test_a_head_is_signed_once(store: SqlStore, tmp_path: Path) -> None:
    head = store.last_head()
    assert head is not None
    first = audit.checkpoint(head, NOW, KEY, tmp_path)
    assert audit.checkpoint(head, NOW + timedelta(days=1), KEY, tmp_path) == first
    with pytest.raises(Conflict, match="audit verify"):
        audit.checkpoint(head.model_copy(update={"global_digest": "00" * 32}), NOW, KEY, tmp_path)


@pytest.mark.parametrize("forge", [{"n": 43}, {"global_digest": "00" * 32}, {"signature": "zz"}, {"signature": ""}])
def test_a_forged_checkpoint_is_seen(trail: Trail, forge: dict[str, object]) -> None:
    verdict = verified(trail, signed(trail[1][-1]).model_copy(update=forge))
    assert [finding.kind for finding in verdict.findings] == ["checkpoint_forged"]
    assert verdict.protected_to == 0


def test_a_checkpoint_of_another_key_is_forged(trail: Trail) -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    verdict = audit.verify(*trail, [signed(trail[1][-1])], other)
    assert [finding.kind for finding in verdict.findings] == ["checkpoint_forged"]
    with pytest.raises(ValueError, match="public key"):
        audit.verify(*trail, [signed(trail[1][-1])])


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "000000000007.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"000000000007\.json"):
        audit.checkpoints(tmp_path)


def copied(path: Path, folder: Path) -> Path:
    with sqlite3.connect(path) as source, sqlite3.connect(folder / "copy.db") as target:
        source.backup(target)
    source.close()
    target.close()
    return folder / "copy.db"
