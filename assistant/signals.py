"""Wake-ups for live views: whoever writes to a session notifies, whoever shows it waits. Nothing polls."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from assistant.types.value import SessionId


class Listener:
    """One waiter's bell, bound to the event loop it was made on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter; from any thread."""
        with suppress(RuntimeError):  # its loop has closed: nobody is waiting any more
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, timeout: float) -> bool:
        """True once rung, at once if it rang since the last wait; False after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class Signals:
    """Who is waiting for which session. Notifying is thread-safe and never blocks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[SessionId | None, set[Listener]] = {}

    def notify(self, session_id: SessionId) -> None:
        """Something new was committed to the session; from any thread, after the commit."""
        with self._lock:
            rung = [*self._listeners.get(session_id, ()), *self._listeners.get(None, ())]
        for listener in rung:
            listener.ring()

    @contextmanager
    def listen(self, session_id: SessionId | None) -> Iterator[Listener]:
        """Listen to one session, or to all for None.

        Begin to listen before reading: what is committed between the read and the wait then rings too.
        """
        listener = Listener()
        with self._lock:
            self._listeners.setdefault(session_id, set()).add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                waiting = self._listeners[session_id]
                waiting.discard(listener)
                if not waiting:
                    del self._listeners[session_id]

    async def wait(self, session_id: SessionId, timeout: float) -> bool:
        """Whether the session is notified within `timeout` seconds from now. Use `listen` where none may be missed."""
        with self.listen(session_id) as listener:
            return await listener.wait(timeout)

    async def wait_any(self, timeout: float) -> bool:
        """Whether any session is notified within `timeout` seconds from now."""
        with self.listen(None) as listener:
            return await listener.wait(timeout)

    @property
    def waiting(self) -> int:
        """How many listeners there are."""
        with self._lock:
            return sum(len(listeners) for listeners in self._listeners.values())
