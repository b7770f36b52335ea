"""Reads the roles: Markdown files with front matter, packaged here or a project's own."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from helios.domain.pricing import Tier
from helios.domain.roles import Role
from helios.errors import UsageError

FENCE = "---"


class _FrontMatter(BaseModel):
    """Ours and that of other tools' agent files, whose further keys mean nothing here."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    name: str
    about: str = Field(default="", alias="description")
    task_type: str = "coding"
    output: Literal["patch", "review"] = "patch"
    max_output_tokens: int = Field(default=16_000, ge=1, le=128_000)
    minimum_tier: Tier = Tier.ECONOMY


class Roles(dict[str, Role]):
    """Roles by name, with those of a folder. Looking up one that is not there is a `UsageError`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(builtin_roles())
        self._folder = folder

    def __missing__(self, name: str) -> Role:
        raise UsageError(
            f"there is no agent {name!r}",
            next_step=f"Its file belongs into {self._folder}, then start the project anew.",
        )


def builtin_roles() -> dict[str, Role]:
    """The roles Helios ships, by name."""
    folder = files(__package__)
    texts = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".md")
    }
    roles = (parse_role(text, name) for name, text in sorted(texts.items()))
    return {role.name: role for role in roles}


def load_roles(folder: Path) -> Roles:
    """The built-in roles, overlaid by the Markdown files of a folder, if there is one.

    Files without front matter are no agents and are passed over.
    """
    roles = Roles(folder)
    for path in sorted(folder.glob("*.md")):
        text = _read(path)
        if text.startswith(f"{FENCE}\n"):
            role = parse_role(text, str(path))
            roles[role.name] = role
    return roles


def parse_role(text: str, place: str) -> Role:
    """One role from its file.

    Raises:
        UsageError: the front matter is not closed or not valid; names the place.
    """
    head, fence, body = text.removeprefix(f"{FENCE}\n").partition(f"\n{FENCE}\n")
    if not fence:
        raise UsageError(
            f"{place}: the front matter is not closed",
            next_step=f"It stands between two lines of {FENCE} at the top of the file.",
        )
    try:
        data: Mapping[str, Any] = yaml.safe_load(head)
        front = _FrontMatter.model_validate(data)
    except (yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"{place}: {error}", next_step="Mend its front matter.") from error
    return Role(**front.model_dump(), instructions=body.strip())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", next_step="An agent file is UTF-8 text.") from error
