"""The policies folder and its index, from an editor's side: read, take in, publish."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from assistant.adapters.encoders import encoder_folder, read_meta
from assistant.adapters.policy_files import SIDECAR, facts_beside, read_policies
from assistant.adapters.retrieval import UNPUBLISHED, HybridRetriever
from assistant.compose import open_encoder, open_message_encoder, open_retriever
from assistant.errors import ConfigurationError, InvalidInput, RetrieverUnavailable
from assistant.knowledge import passages_of
from assistant.settings import Settings
from assistant.types.policies import Finding, PolicyDocument

if TYPE_CHECKING:
    from rich.console import Console


def require_set_up(settings: Settings) -> None:
    """Raises ConfigurationError, naming the remedy, where the encoder has not been converted."""
    if read_meta(encoder_folder(settings.data_dir, settings.encoder)) is None:
        raise ConfigurationError(f"set-up has not been run for {settings.data_dir}: run `make setup`")


def open_index(settings: Settings) -> HybridRetriever:
    """The policy index alone. Raises ConfigurationError where set-up has not been run."""
    require_set_up(settings)
    return open_retriever(settings, open_encoder(settings), open_message_encoder(settings))


@dataclass(frozen=True)
class Published:
    """A publication of the policy index: its version, the one before, and the files that could not be read."""

    before: str
    after: str
    documents: int
    left_out: tuple[Finding, ...]

    def __str__(self) -> str:
        return f"policy index {self.after}, {self.documents} documents" + (
            " (unchanged)" if self.before == self.after else ""
        )


def policies(
    settings: Settings, console: "Console | None" = None
) -> tuple[tuple[PolicyDocument, ...], tuple[Finding, ...]]:
    """Every policy of the knowledge folder, and what could not be read of it; texts of converted files are kept."""
    with progress(console) as bars:
        return read_policies(
            settings.knowledge_dir / "policies", settings.data_dir / "policies", bars("reading policies")
        )


def publish(settings: Settings, console: "Console | None" = None) -> Published:
    """Index the policies as they stand; what cannot be read is left out of the index and named."""
    retriever = open_index(settings)
    try:
        before = retriever.version
    except RetrieverUnavailable:
        # What is published was made with other encoders or maps.
        before = UNPUBLISHED
    documents, left_out = policies(settings, console)
    with progress(console) as bars:
        after = retriever.publish(passages_of(documents), bars("encoding passages"))
    return Published(before, after, len(documents), left_out)


@contextmanager
def progress(console: "Console | None") -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Bars by their names, each moved by (done, of all)."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=console or Console(stderr=True), transient=True) as bars:

        def bar(name: str) -> Callable[[int, int], None]:
            task = bars.add_task(name, total=None)
            return lambda done, of_all: bars.update(task, completed=done, total=of_all)

        yield bar


@dataclass(frozen=True)
class Added:
    """What was put into the policies folder, and what was not."""

    documents: tuple[PolicyDocument, ...]
    left_out: tuple[Finding, ...]


def add(settings: Settings, paths: Sequence[Path], facts: Mapping[str, object]) -> Added:
    """Copy files, and what lies below folders, into the policies folder; a file that is there already is replaced.

    `facts` are keys of the front matter. They are written beside files that are not Markdown; what stands beside such a
    file already goes with it and counts where `facts` says nothing. The file's name stands for a missing id or title.
    Only what can be read is copied. Raises InvalidInput for paths that do not exist, names that clash, and facts beside
    a file that are no YAML.
    """
    with tempfile.TemporaryDirectory(prefix="policies-") as place:
        desk = Path(place)
        for path in paths:
            if not path.exists():
                raise InvalidInput(f"there is no {path}")
            for file in [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file()):
                _put(file, desk, facts)
        documents, left_out = read_policies(desk)
        folder = settings.knowledge_dir / "policies"
        folder.mkdir(parents=True, exist_ok=True)
        for document in documents:
            for name in (document.file, document.file + SIDECAR):
                if (desk / name).exists():
                    shutil.copyfile(desk / name, folder / name)
    return Added(documents, left_out)


def _put(file: Path, desk: Path, facts: Mapping[str, object]) -> None:
    if file.name.startswith((".", "~$")) or (file.suffix == SIDECAR and file.with_suffix("").exists()):
        return
    if (desk / file.name).exists():
        raise InvalidInput(f"two files are called {file.name}: rename one")
    shutil.copyfile(file, desk / file.name)
    if file.suffix.lower() == ".md":
        return
    named = {"id": file.stem.lower().replace(" ", "-"), "title": file.stem}
    both = named | (facts_beside(file) or {}) | dict(facts)
    text = yaml.safe_dump(both, allow_unicode=True, sort_keys=False)
    (desk / (file.name + SIDECAR)).write_text(text, encoding="utf-8")
