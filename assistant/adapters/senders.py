"""How one-time codes reach customers."""

from assistant.ports import Clock, OutboxItem, Store
from assistant.types.value import SessionId


class SandboxSender:
    """Delivers into an outbox that the session itself can read: for the sandbox bank on this machine only."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def send(self, session_id: SessionId, phone: str, code: str) -> None:
        """Put the code where `GET /sandbox/outbox` shows it."""
        item = OutboxItem(code=code, masked_phone=f"{phone[:3]}****{phone[-4:]}", at=self._clock.now())
        self._store.put_outbox(session_id, item)
