"""Prompts: files with declared variables, validated when loaded; a missing variable is named, never left blank.

A file has front matter (`purpose`, `variables`) and two parts under `# System` and `# User`. A variable is `setting`
(ours) or `data` (a customer's or a document's words). Data may stand in the user part only, between markers that no
value can close.
"""

import hashlib
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import frontmatter
import yaml
from pydantic import Field, ValidationError, model_validator

from assistant.errors import ConfigurationError
from assistant.types.value import Value

_PARTS = re.compile(r"\A\s*# System\s*\n(?P<system>.+?)\n# User\s*\n(?P<user>.+)\Z", re.DOTALL)
_MARKER = re.compile(r"<{3,}|>{3,}")


class Filled(Value):
    """What goes to the model."""

    system: str
    user: str


class Prompt(Value):
    """One prompt; `variables` are exactly those its two parts use."""

    name: str
    purpose: str = Field(min_length=1)
    variables: Mapping[str, Literal["setting", "data"]]
    system: str = Field(min_length=1)
    user: str = Field(min_length=1)

    @model_validator(mode="after")
    def _declares_what_it_uses(self) -> Self:
        system, user = _names(self.system), _names(self.user)
        declared = set(self.variables)
        data = {name for name, kind in self.variables.items() if kind == "data"}
        faults = {
            "undeclared": (system | user) - declared,
            "declared but unused": declared - system - user,
            "data in the system part": system & data,
        }
        told = [f"{fault}: {', '.join(sorted(names))}" for fault, names in faults.items() if names]
        if told:
            raise ValueError("; ".join(told))
        return self

    def fill(self, **values: str) -> Filled:
        """Both parts with their variables. Raises ConfigurationError listing every missing and every unknown one."""
        missing = sorted(self.variables.keys() - values.keys())
        unknown = sorted(values.keys() - self.variables.keys())
        if missing or unknown:
            told = [
                f"{fault}: {', '.join(names)}" for fault, names in (("missing", missing), ("unknown", unknown)) if names
            ]
            raise ConfigurationError(f"prompt {self.name}: {'; '.join(told)}")
        safe = {name: _MARKER.sub(lambda marks: " ".join(marks[0]), value) for name, value in values.items()}
        return Filled(system=self.system.format_map(safe), user=self.user.format_map(safe))


class Prompts:
    """All prompts of a folder; `version` is a hash of their content."""

    def __init__(self, prompts: Mapping[str, Prompt], version: str) -> None:
        self._prompts = prompts
        self.version = version

    def __getitem__(self, name: str) -> Prompt:
        """Raises ConfigurationError for a name without a file."""
        if name not in self._prompts:
            raise ConfigurationError(f"no prompt {name!r}: add {name}.md to the prompts folder")
        return self._prompts[name]


def load_prompts(folder: Path) -> Prompts:
    """Every `*.md` of the folder. Raises ConfigurationError naming each file and variable at fault."""
    files = sorted(folder.glob("*.md"))
    if not files:
        raise ConfigurationError(f"no prompts in {folder}: set ASSISTANT_PROMPTS_DIR")
    content = hashlib.sha256()
    prompts: dict[str, Prompt] = {}
    faults: list[str] = []
    for path in files:
        raw = path.read_bytes()
        content.update(path.name.encode() + b"\0" + raw + b"\0")
        try:
            prompts[path.stem] = _parse(path.stem, raw.decode())
        except ValidationError as error:
            faults += [f"{path.name}: {'.'.join(map(str, one['loc']))} {one['msg']}" for one in error.errors()]
        except (ValueError, TypeError, yaml.YAMLError) as error:
            faults.append(f"{path.name}: {error}")
    if faults:
        raise ConfigurationError("prompts cannot be read: " + "; ".join(faults))
    return Prompts(prompts, content.hexdigest()[:12])


def _parse(name: str, raw: str) -> Prompt:
    post = frontmatter.loads(raw)
    parts = _PARTS.match(post.content + "\n")
    if parts is None:
        raise ValueError("must have a part under `# System` and then one under `# User`")
    return Prompt.model_validate(
        {**post.metadata, "name": name, "system": parts["system"].strip(), "user": parts["user"].strip()}
    )


def _names(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
