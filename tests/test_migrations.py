"""Migrations: from nothing to the tables of this release, as often as one likes."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from cryptography.fernet import Fernet
from sqlalchemy import create_engine

from assistant.adapters import migrations
from assistant.adapters.migrations import _make_private_file, migrate
from assistant.adapters.sql import SqlStore
from assistant.adapters.sql_engine import Database
from assistant.adapters.sql_schema import metadata
from assistant.errors import ConfigurationError, StoreUnavailable
from tests.store_material import opened, serve


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "深 100%" / "assistant.db"


def schema(path: Path) -> list[tuple[str, str]]:
    conn = sqlite3.connect(path)
    rows = conn.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    conn.close()
    return rows


def test_an_empty_place_becomes_a_working_store(path: Path) -> None:
    migrate(f"sqlite:///{path}")
    store = SqlStore(f"sqlite:///{path}", Fernet.generate_key(), lambda _: None)
    opened(store)
    assert serve(store).seq == 5
    store.close()


def test_the_migrated_tables_are_those_of_the_code(path: Path) -> None:
    migrate(f"sqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
    engine.dispose()
    drawn = path.with_name("drawn.db")
    engine = create_engine(f"sqlite:///{drawn}")
    metadata.create_all(engine)
    engine.dispose()
    indexes = [{name for name, sql in schema(p) if sql and "INDEX" in sql} for p in (path, drawn)]
    assert indexes[0] == indexes[1]  # comparison of metadata does not see partial indexes
    assert {"one_open_turn", "one_live_proposal"} <= indexes[0]


def test_migrating_again_changes_nothing(path: Path) -> None:
    url = f"sqlite:///{path}"
    migrate(url)
    before = schema(path)
    store = SqlStore(url, Fernet.generate_key(), lambda _: None)
    session = opened(store)
    migrate(url)
    assert schema(path) == before
    assert store.session(session.session_id) == session
    store.close()


def test_a_database_of_the_first_release_keeps_its_record(path: Path) -> None:
    url = f"sqlite:///{path}"
    _make_private_file(url)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    database = Database(url)
    with database.write() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
        row = "'s1', 1, 1, 1, 'salt', '{}', 'digest', 'chain'"
        columns = "session_id, seq, n, at, salt, content, content_digest, chain_digest"
        conn.exec_driver_sql(f"INSERT INTO events ({columns}) VALUES ({row})")
    database.close()
    migrate(url)
    with sqlite3.connect(path) as conn:
        assert conn.execute("SELECT content, kind FROM events").fetchall() == [("{}", None)]
    conn.close()


def test_processes_that_start_together_migrate_once(path: Path) -> None:
    gate = threading.Barrier(4)

    def start(_: int) -> None:
        gate.wait()
        migrate(f"sqlite:///{path}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(start, range(4)))
    conn = sqlite3.connect(path)
    assert conn.execute("SELECT version_num FROM alembic_version").fetchall() == [("0002",)]
    conn.close()


def test_the_database_is_its_owners_alone(path: Path) -> None:
    migrate(f"sqlite:///{path}")
    store = SqlStore(f"sqlite:///{path}", Fernet.generate_key(), lambda _: None)
    opened(store)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert len(list(path.parent.iterdir())) == 3  # the database, its log and the log's index
    store.close()


def test_a_database_of_a_newer_release_is_refused(path: Path) -> None:
    migrate(f"sqlite:///{path}")
    with sqlite3.connect(path) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    conn.close()
    with pytest.raises(ConfigurationError, match="9999"):
        migrate(f"sqlite:///{path}")


def test_a_place_that_cannot_hold_a_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="ASSISTANT_DATA_DIR"):
        migrate(f"sqlite:///{tmp_path}/file/assistant.db")
    with pytest.raises(StoreUnavailable):
        migrate(f"sqlite:///{tmp_path}")
    with pytest.raises(ConfigurationError, match="ASSISTANT_DATABASE_URL"):
        migrate("nonsense")
