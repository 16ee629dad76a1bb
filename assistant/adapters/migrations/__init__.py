"""The schema's history: `migrate(url)` brings a database up to the tables of this release."""

from pathlib import Path

from assistant.adapters.sql_engine import Database
from assistant.errors import ConfigurationError

_MIGRATION_LOCK = 0x6D696772  # any number that nothing else in the database locks on


def migrate(url: str) -> None:
    """Create or upgrade the tables in one transaction; two processes may call it at once.

    Raises ConfigurationError for a database of a newer release, StoreUnavailable.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError
    from sqlalchemy import func, select

    _make_private_file(url)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    database = Database(url)
    try:
        with database.write() as conn:
            if conn.dialect.name == "postgresql":  # SQLite's writers are alone by nature
                conn.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            config.attributes["connection"] = conn
            command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigurationError(f"the database cannot be upgraded by this release: {error}") from error
    finally:
        database.close()


def _make_private_file(url: str) -> None:
    """A SQLite file that only its owner can read: it holds conversations."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:
        return  # told by `open_engine`, with the name of the setting
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    path = Path(parsed.database)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise ConfigurationError(
            f"database {path} cannot be created: {error.strerror}; set ASSISTANT_DATA_DIR"
        ) from error
