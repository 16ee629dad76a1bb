"""The policies folder: Markdown with front matter, and HTML, Word and PDF files with the same in a file beside them.

`pricing.pdf` goes with `pricing.pdf.yaml`. Turning such a file into text costs more than reading Markdown, so the text
is kept by the file's content and taken from there while the file stays as it is.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from assistant.adapters.documents import CONVERTER, READERS, to_markdown
from assistant.errors import ConfigurationError, InvalidInput
from assistant.types.policies import Finding, PolicyDocument

SIDECAR = ".yaml"
"""What the name of the file beside a document ends in, after the document's own name."""

AfterFile = Callable[[int, int], None]


class _PlainLoader(yaml.SafeLoader):
    """YAML whose numbers and dates stay as written, so that version 1.10 is not read as 1.1."""


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] in {"null", "bool", "merge"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_policies(
    folder: Path, kept: Path | None = None, after_file: AfterFile | None = None
) -> tuple[tuple[PolicyDocument, ...], tuple[Finding, ...]]:
    """Every policy below a folder; a broken file is reported by name and the rest is read.

    `kept` is where converted texts are kept. `after_file` hears files done and files in all. Raises ConfigurationError
    where there is no folder.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"no policies folder at {folder}: set ASSISTANT_KNOWLEDGE_DIR")
    documents: list[PolicyDocument] = []
    findings: list[Finding] = []
    paths = list(_files(folder))
    used: set[str] = set()
    for done, path in enumerate(paths, 1):
        try:
            documents.append(_read(path, str(path.relative_to(folder)), kept, used))
        except _BrokenFileError as broken:
            findings.extend(broken.findings)
        if after_file is not None:
            after_file(done, len(paths))
    if kept is not None:
        _forget(kept, used)
    return tuple(documents), tuple(findings)


def load_policies(folder: Path, kept: Path | None = None) -> tuple[PolicyDocument, ...]:
    """Every policy below a folder. Raises ConfigurationError naming each broken file and key."""
    documents, findings = read_policies(folder, kept)
    if findings:
        raise ConfigurationError("policies cannot be read: " + "; ".join(map(str, findings)))
    return documents


def facts_beside(path: Path) -> dict[str, Any] | None:
    """What the file beside a document says, as it is written there; None without one. Raises InvalidInput."""
    beside = path.with_name(path.name + SIDECAR)
    try:
        read = yaml.load(beside.read_text(encoding="utf-8-sig"), Loader=_PlainLoader)  # noqa: S506 (a SafeLoader with fewer types)
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{beside.name}: {' '.join(str(error).split())}") from error
    return read if isinstance(read, dict) else {}


class _BrokenFileError(Exception):
    def __init__(self, *findings: Finding) -> None:
        super().__init__(*findings)
        self.findings = findings


def _files(folder: Path) -> Iterator[Path]:
    """What is read: neither hidden files, nor what stands beside a document, nor locks of office programs."""
    for path in sorted(folder.rglob("*")):
        beside = path.suffix == SIDECAR and path.with_suffix("").suffix.lower() in READERS
        if path.is_file() and not beside and not path.name.startswith((".", "~$")):
            yield path


def _read(path: Path, file: str, kept: Path | None, used: set[str]) -> PolicyDocument:
    if path.suffix.lower() == ".md":
        metadata, body = _markdown(path, file)
    else:
        metadata, body = _beside(path, file), _converted(path, file, kept, used)
    try:
        return PolicyDocument(file=file, body=body, **{key: value for key, value in metadata.items() if key != "file"})
    except ValidationError as error:
        raise _BrokenFileError(
            *(
                Finding(file=file, key=".".join(map(str, detail["loc"])) or "front matter", message=detail["msg"])
                for detail in error.errors()
            )
        ) from error
    except TypeError as error:
        # A key that is not a string, or one that is called `body`.
        raise _BrokenFileError(Finding(file=file, key="front matter", message=str(error))) from error


def _markdown(path: Path, file: str) -> tuple[Mapping[str, Any], str]:
    import frontmatter

    try:
        metadata, body = frontmatter.parse(path.read_text(encoding="utf-8-sig"), handler=_front_matter())
    except UnicodeDecodeError as error:
        raise _BrokenFileError(Finding(file=file, key="encoding", message=f"not UTF-8: {error}")) from error
    except yaml.YAMLError as error:
        raise _BrokenFileError(Finding(file=file, key="front matter", message=" ".join(str(error).split()))) from error
    if not metadata:
        raise _BrokenFileError(Finding(file=file, key="front matter", message="missing: the file must begin with ---"))
    return metadata, body


def _beside(path: Path, file: str) -> Mapping[str, Any]:
    if path.suffix.lower() not in READERS:
        known = ", ".join([".md", *READERS])
        raise _BrokenFileError(Finding(file=file, key="format", message=f"not read: policies are {known} files"))
    try:
        facts = facts_beside(path)
    except InvalidInput as error:
        raise _BrokenFileError(Finding(file=file, key="front matter", message=str(error))) from error
    if facts is None:
        message = f"write id, version, title, effective_from, owner and the rest into {path.name}{SIDECAR} beside it"
        raise _BrokenFileError(Finding(file=file, key="front matter", message=message))
    return facts


def _converted(path: Path, file: str, kept: Path | None, used: set[str]) -> str:
    try:
        name = f"{hashlib.sha256(CONVERTER.encode() + path.suffix.lower().encode() + path.read_bytes()).hexdigest()}.md"
        used.add(name)
        if kept is not None and (kept / name).is_file():
            return (kept / name).read_text(encoding="utf-8")
        text = to_markdown(path)
    except (InvalidInput, OSError) as error:
        raise _BrokenFileError(Finding(file=file, key="body", message=str(error))) from error
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        part = kept / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(kept / name)
    return text


def _forget(kept: Path, used: set[str]) -> None:
    """Remove texts of files that are no longer there."""
    for path in kept.glob("*.md"):
        if path.name not in used:
            path.unlink(missing_ok=True)


def _front_matter() -> Any:
    from frontmatter.default_handlers import YAMLHandler

    class PlainHandler(YAMLHandler):
        def load(self, fm: str, **kwargs: object) -> Any:  # noqa: ARG002
            read = yaml.load(fm, Loader=_PlainLoader)  # noqa: S506 (a SafeLoader with fewer types)
            return read if isinstance(read, dict) else {}

    return PlainHandler()
