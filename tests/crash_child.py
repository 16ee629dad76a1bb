"""One conversation in a process of its own, which a store or bank double kills with SIGKILL at a chosen point.

Run as: python -m tests.crash_child DATA_DIR POINT, where POINT is a method of a port, before or after its work.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assistant.adapters.banking import SandboxBank
from assistant.adapters.keys import load_keys
from assistant.adapters.migrations import migrate
from assistant.adapters.sql import SqlStore
from assistant.compose import compose, database_url
from assistant.institution import load_institution
from assistant.settings import Settings
from tests.doubles import FixedClock
from tests.store_material import NOW


class Killer:
    """Wraps a port; the named method of it ends the process, before or after the real call."""

    def __init__(self, real: Any, method: str, when: str, armed: Callable[[], bool]) -> None:
        self._real, self._method, self._when, self._armed = real, method, when, armed

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name != self._method:
            return found

        def deadly(*args: Any, **kwargs: Any) -> Any:
            if self._armed() and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = found(*args, **kwargs)
            if self._armed():
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return deadly


def main(folder: Path, point: str) -> None:
    """Open a session, quote an early repayment, confirm it, and die at the point."""
    settings = Settings(data_dir=folder, keys_dir=folder.parent / "keys")
    clock = FixedClock(NOW)
    method, when = point.split(":")
    armed = False
    migrate(database_url(settings))
    store = SqlStore(database_url(settings), load_keys(settings.keys_dir).vault, lambda _session_id: None)
    institution = load_institution(settings.knowledge_dir / "institution.yaml")
    bank = SandboxBank(folder / "bank.sqlite", clock, institution)
    parts = {"store": Killer(store, method, when, lambda: armed), "bank": Killer(bank, method, when, lambda: armed)}
    application = compose(settings, clock=clock, **parts)
    opened = application.sessions.open("zh-CN", "api")
    (folder / "session").write_text(opened.session_id)
    application.verification.request(opened.session_id, "13800000001", "local")
    code = application.sessions.outbox(opened.session_id)[-1].code
    application.verification.confirm(opened.session_id, code)
    card = application.assistant.respond(opened.session_id, "我要把手机那笔贷款提前还清", "m1").proposal
    assert card is not None
    armed = True
    application.assistant.tap(opened.session_id, "confirm", card.proposal_id, card.digest)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
