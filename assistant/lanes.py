"""One writer a session, within a process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from assistant.types.value import SessionId


class Lanes:
    """A lock for each session, kept only while somebody holds or awaits it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._lanes: dict[SessionId, tuple[threading.RLock, int]] = {}

    @contextmanager
    def of(self, session_id: SessionId) -> Iterator[None]:
        """Hold the session's lane; the same thread may hold it twice."""
        with self._guard:
            lock, users = self._lanes.get(session_id, (threading.RLock(), 0))
            self._lanes[session_id] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._lanes[session_id]
                if users == 1:
                    del self._lanes[session_id]
                else:
                    self._lanes[session_id] = (lock, users - 1)
