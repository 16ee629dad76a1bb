"""Real parts for every test: the converted encoder, a published index, a store and a sandbox bank in a fresh folder."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assistant.adapters.policy_files import load_policies
from assistant.compose import Application, compose, open_encoder, open_retriever, quiet_libraries
from assistant.knowledge import passages_of
from assistant.settings import Settings
from assistant.training.conversion import ensure_encoder, ensure_message_encoder
from tests.doubles import FixedClock
from tests.real_encoder import real_message_encoder
from tests.store_material import NOW

quiet_libraries()
Composer = Callable[..., Application]


@pytest.fixture(scope="session")
def encoder_models() -> Path:
    """The converted encoders of the project's own data directory; made on first use."""
    ensure_message_encoder(Settings())
    return ensure_encoder(Settings()).parent


@pytest.fixture(scope="session")
def published(encoder_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with models and a published policy index, to be shared read-only."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "models").symlink_to(encoder_models, target_is_directory=True)
    settings = Settings(data_dir=folder, keys_dir=folder / "keys")
    retriever = open_retriever(settings, open_encoder(settings), real_message_encoder())
    retriever.publish(passages_of(load_policies(settings.knowledge_dir / "policies")))
    return folder


@pytest.fixture
def settings(encoder_models: Path, tmp_path: Path) -> Settings:
    """Settings of a fresh data directory that shares the converted models."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "models").symlink_to(encoder_models, target_is_directory=True)
    return Settings(data_dir=data, keys_dir=tmp_path / "keys", turns_per_minute=10_000, sessions_per_minute=10_000)


@pytest.fixture(scope="session")
def shared_parts(published: Path) -> dict[str, object]:
    """The encoders of messages and of search, and the retriever, opened once for all tests."""
    settings = Settings(data_dir=published, keys_dir=published / "keys")
    search_encoder = open_encoder(settings)
    return {
        "message_encoder": real_message_encoder(),
        "search_encoder": search_encoder,
        "retriever": open_retriever(settings, search_encoder, real_message_encoder()),
    }


@pytest.fixture
def composed(settings: Settings, shared_parts: dict[str, object]) -> Iterator[Composer]:
    """Compose applications on this test's data directory; `composed(bank=…, store=…, clock=…)` replaces parts."""
    made: list[Application] = []

    def make(**parts: object) -> Application:
        application = compose(parts.pop("settings", settings), **{**shared_parts, **parts})  # type: ignore[arg-type]
        made.append(application)
        return application

    yield make
    for application in made:
        application.close()


@pytest.fixture
def clock() -> FixedClock:
    """A clock that moves only when told."""
    return FixedClock(NOW)


@pytest.fixture
def application(composed: Composer, clock: FixedClock) -> Application:
    """The whole application on real parts, at a fixed time."""
    return composed(clock=clock)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """In CI a missing browser or language model is a failure, not a skip."""
    if os.environ.get("CI") != "true" and item.get_closest_marker("browser") and not Path("/usr/bin/chromium").exists():
        pytest.skip("no /usr/bin/chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright keeps an event loop running in the thread it was started in."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
