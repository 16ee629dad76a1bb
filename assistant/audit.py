"""The audit trail: salted digests in one chain a session, session heads in one global chain, signed checkpoints.

    content_digest = SHA-256(salt + content)
    chain_digest   = SHA-256(previous chain_digest, content_digest, seq, session_id)
    global_digest  = SHA-256(previous global_digest, n, session_id, seq, chain_digest)

Content and salt can be erased and the chains still hold. The chains are unkeyed: whoever can write the database can
rebuild them, so only what a checkpoint has signed is protected, and what follows the last checkpoint is not.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from assistant.errors import ConfigurationError, Conflict
from assistant.types.value import Instant, SessionId, Value

GENESIS = "0" * 64
"""What the first link of every chain follows."""

FindingKind = Literal[
    "content_changed",
    "chain_broken",
    "row_missing",
    "row_out_of_place",
    "row_without_head",
    "session_missing",
    "head_missing",
    "head_changed",
    "head_mismatch",
    "tail_cut",
    "checkpoint_mismatch",
    "checkpoint_forged",
]


class AuditRow(Value):
    """One event as the chain sees it; `n` is the head that its transaction added. Erased: salt and content are None."""

    n: int
    session_id: SessionId
    seq: int
    salt: str | None
    content: str | None
    content_digest: str
    chain_digest: str


class HeadRow(Value):
    """Where one session stood after one transaction; `n` counts from 1 without gaps over the whole store."""

    n: int
    session_id: SessionId
    seq: int
    chain_digest: str
    global_digest: str


class Checkpoint(Value):
    """A signed global head: everything up to `n` is as it was at `at`."""

    n: int
    global_digest: str
    at: Instant
    signature: str

    @property
    def signed(self) -> bytes:
        """The bytes under the signature."""
        return f"assistant audit checkpoint\n{self.n}\n{self.global_digest}\n{self.at.isoformat()}".encode()

    def holds(self, public_key: Ed25519PublicKey) -> bool:
        """Whether the signature is of this key."""
        try:
            public_key.verify(bytes.fromhex(self.signature), self.signed)
        except (InvalidSignature, ValueError):
            return False
        return True


class Finding(Value):
    """One place where the trail is not what was written."""

    kind: FindingKind
    session_id: SessionId | None = None
    seq: int | None = None
    n: int | None = None


class Verdict(Value):
    """What a verification read and found; heads above `protected_to` are under no checkpoint."""

    events: int
    erased: int
    sessions: int
    heads: int
    protected_to: int
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def content_digest(salt: str, content: str) -> str:
    """SHA-256 of the salted content, hex."""
    return _sha256(salt + content)


def chain_digest(previous: str, digest: str, seq: int, session_id: SessionId) -> str:
    """The next link of a session's chain, hex."""
    return _sha256(f"{previous}\n{digest}\n{seq}\n{session_id}")


def global_digest(previous: str, n: int, session_id: SessionId, seq: int, chain: str) -> str:
    """The next link of the global chain, hex."""
    return _sha256(f"{previous}\n{n}\n{session_id}\n{seq}\n{chain}")


def verify(
    rows: Iterable[AuditRow],
    heads: Iterable[HeadRow],
    checkpoints: Sequence[Checkpoint] = (),
    public_key: Ed25519PublicKey | None = None,
) -> Verdict:
    """Walk the whole trail once: rows by (n, seq), heads by n, both of one snapshot. Memory: one entry a session."""
    if checkpoints and public_key is None:
        raise ValueError("checkpoints cannot be verified without the public key")
    walk = _Walk()
    sealed: dict[int, Checkpoint] = {}
    for checkpoint in checkpoints:
        if public_key is not None and checkpoint.holds(public_key):
            sealed[checkpoint.n] = checkpoint
        else:
            walk.find("checkpoint_forged", n=checkpoint.n)
    groups = groupby(rows, key=attrgetter("n"))
    group = next(groups, None)
    for head in heads:
        while group is not None and group[0] < head.n:
            walk.orphans(group[1])
            group = next(groups, None)
        walk.head(head, sealed.get(head.n))
        if group is not None and group[0] == head.n:
            walk.transaction(head, group[1])
            group = next(groups, None)
        else:
            walk.empty(head)
    while group is not None:
        walk.orphans(group[1])
        group = next(groups, None)
    return walk.verdict(sealed)


class _Walk:
    """The running state of one verification; after a finding it goes on from what is stored, to tell a fault once."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._chains: dict[SessionId, tuple[int, str]] = {}
        self._absent: dict[SessionId, HeadRow] = {}
        self._last = (0, GENESIS)
        self._heads = self._events = self._erased = self._protected = 0

    def find(
        self, kind: FindingKind, session_id: SessionId | None = None, seq: int | None = None, n: int | None = None
    ) -> None:
        self.findings.append(Finding(kind=kind, session_id=session_id, seq=seq, n=n))

    def head(self, head: HeadRow, checkpoint: Checkpoint | None) -> None:
        """One link of the global chain."""
        self._heads += 1
        n, previous = self._last
        if head.n != n + 1:
            self.find("head_missing", n=n + 1)
        elif head.global_digest != global_digest(previous, head.n, head.session_id, head.seq, head.chain_digest):
            self.find("head_changed", head.session_id, head.seq, head.n)
        if checkpoint is not None:
            if checkpoint.global_digest == head.global_digest:
                self._protected = max(self._protected, head.n)
            else:
                self.find("checkpoint_mismatch", n=head.n)
        self._last = (head.n, head.global_digest)

    def transaction(self, head: HeadRow, rows: Iterable[AuditRow]) -> None:
        """The rows that one transaction appended, against the head it added."""
        for row in rows:
            if row.session_id != head.session_id:
                self.find("row_out_of_place", row.session_id, row.seq, row.n)
            self._row(row)
        seq, chain = self._chains.get(head.session_id, (0, GENESIS))
        if seq < head.seq:
            self.find("row_missing", head.session_id, seq + 1, head.n)
        elif seq > head.seq or chain != head.chain_digest:
            self.find("head_mismatch", head.session_id, head.seq, head.n)

    def empty(self, head: HeadRow) -> None:
        """A head none of whose rows is there."""
        self._absent.setdefault(head.session_id, head)

    def orphans(self, rows: Iterable[AuditRow]) -> None:
        """Rows of a transaction that has no head."""
        for row in rows:
            self.find("row_without_head", row.session_id, row.seq, row.n)
            self._row(row)

    def _row(self, row: AuditRow) -> None:
        self._events += 1
        if row.salt is None and row.content is None:
            self._erased += 1
        elif row.salt is None or row.content is None or row.content_digest != content_digest(row.salt, row.content):
            self.find("content_changed", row.session_id, row.seq, row.n)
        seq, previous = self._chains.get(row.session_id, (0, GENESIS))
        if row.seq > seq + 1:
            self.find("row_missing", row.session_id, seq + 1, row.n)
        elif row.seq <= seq:
            self.find("row_out_of_place", row.session_id, row.seq, row.n)
        elif row.chain_digest != chain_digest(previous, row.content_digest, row.seq, row.session_id):
            self.find("chain_broken", row.session_id, row.seq, row.n)
        self._chains[row.session_id] = (row.seq, row.chain_digest)

    def verdict(self, sealed: dict[int, Checkpoint]) -> Verdict:
        for session_id, head in self._absent.items():
            kind: FindingKind = "row_missing" if session_id in self._chains else "session_missing"
            self.find(kind, session_id, head.seq, head.n)
        for n in sealed:
            if n > self._last[0]:
                self.find("tail_cut", n=n)
        return Verdict(
            events=self._events,
            erased=self._erased,
            sessions=len(self._chains),
            heads=self._heads,
            protected_to=self._protected,
            findings=tuple(self.findings),
        )


# --- checkpoints ------------------------------------------------------------------------------------------------------


def checkpoint(head: HeadRow, at: datetime, key: Ed25519PrivateKey, folder: Path) -> Checkpoint:
    """Sign the last global head into `folder`, which must lie outside the data directory.

    Raises Conflict where this n was signed before with another digest: the trail below it has been rewritten.
    """
    draft = Checkpoint(n=head.n, global_digest=head.global_digest, at=at, signature="")
    signed = draft.model_copy(update={"signature": key.sign(draft.signed).hex()})
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{head.n:012d}.json"
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        first = _read(path)
        if first.global_digest != head.global_digest:
            raise Conflict(
                f"head {head.n} was signed with another digest in {path}: run `assistant audit verify`"
            ) from None
        return first
    with os.fdopen(file, "w", encoding="utf-8") as out:
        out.write(signed.model_dump_json() + "\n")
        out.flush()
        os.fsync(out.fileno())
    return signed


def checkpoints(folder: Path) -> tuple[Checkpoint, ...]:
    """Every checkpoint in a folder, oldest first. Raises ConfigurationError for a file that cannot be read."""
    return tuple(_read(path) for path in sorted(folder.glob("*.json")) if re.fullmatch(r"\d{12}", path.stem))


def _read(path: Path) -> Checkpoint:
    try:
        return Checkpoint.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigurationError(f"checkpoint {path} cannot be read: restore it from a copy") from error


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
