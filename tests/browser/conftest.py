"""The real server in a process of its own, and chromium; nothing may go anywhere but to that server."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from signal import SIGTERM
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from assistant.adapters.banking import SandboxBank
from assistant.compose import SystemClock
from assistant.institution import load_institution
from assistant.settings import Settings
from assistant.setup import open_accounts
from assistant.types.value import AgentName, CustomerId
from tests.browser.people import PASSWORD

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
START_SECONDS = 120


class Site:
    """`assistant serve` in a process of its own, and the books behind it."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.settings = settings
        self.base = f"http://127.0.0.1:{settings.port}"
        self._log = log
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve, and wait until it does."""
        settings = self.settings
        places = {"ASSISTANT_DATA_DIR": str(settings.data_dir), "ASSISTANT_KEYS_DIR": str(settings.keys_dir)}
        command = [sys.executable, "-m", "assistant", "serve", "--host", "127.0.0.1", "--port", str(settings.port)]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                command, env=os.environ | places | {"OMP_NUM_THREADS": "1"}, stdout=log, stderr=log
            )
        _until_it_serves(self.base, self._server, self._log)

    def stop(self, signal: int = SIGTERM) -> None:
        """Stop serving; with SIGKILL without any warning."""
        assert self._server is not None
        self._server.send_signal(signal)
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def open_loans(self, customer_id: str) -> dict[str, int]:
        """Outstanding principal by loan, as the bank has it."""
        institution = load_institution(self.settings.knowledge_dir / "institution.yaml")
        with closing(SandboxBank(self.settings.data_dir / "bank.sqlite", SystemClock(), institution)) as bank:
            return {loan.loan_id: loan.outstanding_fen for loan in bank.loans(CustomerId(customer_id))}

    def orders(self) -> int:
        """How many orders the bank has ever executed."""
        with closing(sqlite3.connect(self.settings.data_dir / "bank.sqlite")) as db:
            return int(db.execute("SELECT count(*) FROM orders").fetchone()[0])


@pytest.fixture(scope="package")
def site(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The real server on a free port, with an agent and a supervisor."""
    home = tmp_path_factory.mktemp("site")
    data = home / "data"
    data.mkdir(mode=0o700)
    (data / "models").symlink_to((published / "models").resolve(), target_is_directory=True)
    shutil.copytree(published / "chroma", data / "chroma")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = Settings(data_dir=data, keys_dir=home / "keys", port=port)
    with open_accounts(settings) as accounts:
        accounts.create_agent(AgentName("wang"), "小王", "agent", PASSWORD)
        accounts.create_agent(AgentName("li"), "李主管", "supervisor", PASSWORD)
    site = Site(settings, home / "server.log")
    site.start()
    yield site
    site.stop()


def _until_it_serves(base: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{base}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"the server did not come up:\n{log.read_text(errors='replace')[-4000:]}")


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Ends with this package: while it runs, its thread has an event loop, and no test could run another."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES.split())
    yield browser
    browser.close()


class Visitors:
    """Opens browser contexts, each a person with a browser of their own, and notes where their requests go."""

    def __init__(self, chromium: Browser, site: Site) -> None:
        self._chromium = chromium
        self._site = site
        self.hosts: set[str] = set()
        self.faults: list[str] = []

    def person(self, path: str = "/", width: int = 1280, height: int = 860) -> Page:
        """A new person, at a page."""
        context = self._chromium.new_context(viewport={"width": width, "height": height}, base_url=self._site.base)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.goto(path)
        return page

    def close(self) -> None:
        for context in self._chromium.contexts:
            context.close()


@pytest.fixture
def visitors(chromium: Browser, site: Site) -> Iterator[Visitors]:
    """People with browsers; whatever a test does, no request may leave for another host and no script may fail."""
    visitors = Visitors(chromium, site)
    yield visitors
    visitors.close()
    assert visitors.hosts - {""} == {urlsplit(site.base).netloc}  # data: and blob: addresses have no host
    assert visitors.faults == []
