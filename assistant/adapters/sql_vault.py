"""What is encrypted at rest: the originals behind placeholders, and the sandbox's codes."""

import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, insert, select

from assistant.adapters.sql_schema import outbox, vault
from assistant.errors import ConfigurationError, Conflict
from assistant.ports import OutboxItem
from assistant.types.messages import VaultEntry
from assistant.types.value import SessionId


class Vault:
    """Seals with a Fernet key. A sealed text names its session, so that a row moved to another does not open there."""

    def __init__(self, key: bytes) -> None:
        try:
            self._fernet = Fernet(key)
        except ValueError as error:
            raise ConfigurationError("the vault key is not a Fernet key: see keys_dir/vault.key") from error

    def put(self, conn: Connection, session_id: SessionId, entries: Sequence[VaultEntry]) -> None:
        """Keep the originals. Raises Conflict where a placeholder already stands for something else."""
        if not entries:
            return
        kept = self.entries(conn, session_id)
        for entry in entries:
            if entry.placeholder in kept:
                if kept[entry.placeholder].original != entry.original:
                    raise Conflict(f"{entry.placeholder} already stands for something else: read the vault again")
                continue
            sealed = self._seal(session_id, entry.model_dump_json())
            conn.execute(insert(vault).values(session_id=session_id, placeholder=entry.placeholder, sealed=sealed))
            kept[entry.placeholder] = entry

    def entries(self, conn: Connection, session_id: SessionId) -> dict[str, VaultEntry]:
        """The session's originals by placeholder."""
        rows = conn.execute(select(vault.c.placeholder, vault.c.sealed).where(vault.c.session_id == session_id)).all()
        opened = {row.placeholder: VaultEntry.model_validate_json(self._open(session_id, row.sealed)) for row in rows}
        for placeholder, entry in opened.items():
            if entry.placeholder != placeholder:
                raise _tampered(session_id)
        return opened

    def put_outbox(self, conn: Connection, session_id: SessionId, item: OutboxItem) -> None:
        """Keep a code for the sandbox's outbox."""
        conn.execute(
            insert(outbox).values(session_id=session_id, sealed=self._seal(session_id, item.model_dump_json()))
        )

    def outbox(self, conn: Connection, session_id: SessionId) -> tuple[OutboxItem, ...]:
        """The session's codes, oldest first."""
        query = select(outbox.c.sealed).where(outbox.c.session_id == session_id).order_by(outbox.c.id)
        sealed = conn.execute(query).scalars().all()
        return tuple(OutboxItem.model_validate_json(self._open(session_id, text)) for text in sealed)

    def _seal(self, session_id: SessionId, text: str) -> str:
        return self._fernet.encrypt(json.dumps([session_id, text]).encode()).decode("ascii")

    def _open(self, session_id: SessionId, sealed: str) -> str:
        try:
            owner, text = json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken as error:
            raise _tampered(session_id) from error
        if owner != session_id:
            raise _tampered(session_id)
        return str(text)


def _tampered(session_id: SessionId) -> ConfigurationError:
    return ConfigurationError(
        f"the vault of session {session_id} does not open: the vault key is another one, or the row was changed"
    )
