"""One engine and its two kinds of transaction, on SQLite or PostgreSQL."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc

from assistant.errors import ConfigurationError, StoreUnavailable

BUSY_TIMEOUT_MS = 5_000
"""How long SQLite waits for a writer in another process."""
_POLL_SECONDS = 0.01


class Database:
    """Reads run beside one another; writes are serialised on SQLite before they reach its file lock."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        self._writer = self._engine.execution_options(immediate=True)
        sqlite = self._engine.dialect.name == "sqlite"
        # Threads queue here in order; SQLite's own lock makes them poll, and some starve.
        self._turnstile: AbstractContextManager[Any] = Lock() if sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that changes nothing. Raises StoreUnavailable."""
        with _told_plainly(), self._engine.connect() as conn:
            yield conn

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read whose every statement sees the same instant. Raises StoreUnavailable."""
        with _told_plainly(), self._engine.connect() as conn:
            if conn.dialect.name == "postgresql":  # SQLite's transactions are snapshots by nature
                conn.execution_options(isolation_level="REPEATABLE READ")
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable once the block is left, and void if it raises. Raises StoreUnavailable."""
        with _told_plainly(), self._turnstile, self._writer.begin() as conn:
            yield conn

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()


def open_engine(url: str) -> Engine:
    """An engine whose errors show no parameters. Raises ConfigurationError for a URL or driver that does not fit."""
    try:
        engine = create_engine(url, hide_parameters=True, pool_size=16, max_overflow=32, pool_timeout=10)
    except (exc.ArgumentError, ModuleNotFoundError) as error:
        raise ConfigurationError(f"ASSISTANT_DATABASE_URL cannot be used: {error}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin by itself, late and deferred; None leaves BEGIN to `_begin_sqlite`.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous = FULL")  # every write carries audit rows, and they must survive a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Of several connections that switch a new file at once SQLite refuses all but one without waiting."""
    import sqlite3

    until = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_POLL_SECONDS)


def _begin_sqlite(conn: Connection) -> None:
    # A deferred transaction that turns writer half-way fails at once, whatever the busy timeout.
    conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("immediate") else "BEGIN")


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except (exc.IntegrityError, exc.DataError, exc.ProgrammingError):
        raise  # our own fault, not the database's state
    except exc.DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        raise StoreUnavailable(f"the database cannot serve: {reason}") from error
    except exc.TimeoutError as error:
        raise StoreUnavailable("the database cannot serve: every connection is in use") from error
