"""What `make setup` runs: encoder, database, policy index, and a first login. What is there already stays."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from assistant.accounts import Accounts
from assistant.adapters.encoders import read_meta
from assistant.adapters.keys import load_keys
from assistant.adapters.migrations import migrate
from assistant.adapters.sql import SqlStore
from assistant.audit import Checkpoint, Verdict, checkpoint, checkpoints, verify
from assistant.compose import SystemClock, database_url
from assistant.feedback import Correction, corrections
from assistant.library import publish
from assistant.settings import Settings
from assistant.types.value import AgentName

if TYPE_CHECKING:
    from rich.console import Console

FIRST_AGENT = AgentName("agent")


def set_up(settings: Settings, console: "Console") -> None:
    """Make what serving needs; says on `console` what was made. Raises ConfigurationError."""
    # torch is needed only where nothing is converted yet
    from assistant.training.conversion import ensure_encoder
    from assistant.training.deltas import Deltas

    folder = ensure_encoder(settings, console)
    if (deltas := Deltas.load(settings.weights_dir)) is not None:
        meta = read_meta(folder)
        if meta is not None and meta.source != deltas.base:
            console.print(f"the weights in {settings.weights_dir} tune another encoder: run `assistant train`")
        else:
            ensure_encoder(settings, console, deltas)
    migrate(database_url(settings))
    published = publish(settings, console)
    for finding in published.left_out:
        console.print(f"left out: {finding}", markup=False, soft_wrap=True)
    console.print(str(published))
    if (password := create_first_agent(settings)) is not None:
        console.print(
            f"first agent login (shown this once): name {FIRST_AGENT}  password {password}",
            markup=False,
            soft_wrap=True,
        )
    console.print("ready: `make run` or `assistant serve`", markup=False)


def create_first_agent(settings: Settings) -> str | None:
    """A supervisor with a random password, which is returned; None where there are agents already."""
    with open_accounts(settings) as accounts:
        if accounts.agents():
            return None
        password = secrets.token_urlsafe(12)
        accounts.create_agent(FIRST_AGENT, "客服 Agent", "supervisor", password)
        return password


@contextmanager
def open_accounts(settings: Settings) -> Iterator[Accounts]:
    """The agents' logins, without the rest of the application."""
    with closing(open_store(settings)) as store:
        yield Accounts(store, SystemClock(), timedelta(hours=settings.agent_session_hours))


def agents_corrections(settings: Settings) -> tuple[Correction, ...]:
    """What agents corrected in the console so far."""
    with closing(open_store(settings)) as store:
        return corrections(store)


def verify_audit(settings: Settings) -> Verdict:
    """Walk the whole record against its checkpoints."""
    keys = load_keys(settings.keys_dir)
    with closing(open_store(settings)) as store, store.audit_trail() as (rows, heads):
        return verify(rows, heads, checkpoints(keys.checkpoints_dir), keys.checkpoint.public_key())


def seal_audit(settings: Settings) -> Checkpoint | None:
    """Sign the record as it stands; None before the first event."""
    keys = load_keys(settings.keys_dir)
    with closing(open_store(settings)) as store:
        head = store.last_head()
        return None if head is None else checkpoint(head, SystemClock().now(), keys.checkpoint, keys.checkpoints_dir)


def open_store(settings: Settings) -> SqlStore:
    """The database, at the tables of this release; whoever opens it closes it."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = database_url(settings)
    migrate(url)
    return SqlStore(url, load_keys(settings.keys_dir).vault, lambda _: None)
