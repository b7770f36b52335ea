"""A model's change to files as data, and the rule that decides whether it fits."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from helios.errors import PatchRejected

_FORBIDDEN_PARTS = frozenset({"", ".", "..", ".git"})
"""Ways out of the repository, into its metadata, or to a file under a second name."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the one place where `find` stands in `path`; an empty `find` writes a new file or
    fills an empty one.
    """

    path: str
    find: str
    replace: str


@dataclass(frozen=True, slots=True)
class Patch:
    """All edits of one answer and the sentence that describes them."""

    summary: str
    edits: tuple[Edit, ...]


def apply_patch(
    files: Mapping[str, str], patch: Patch, *, editable: tuple[str, ...]
) -> dict[str, str]:
    """The files a patch changes, with their new text.

    Args:
        files: every file the edits may refer to, by path from the root of the repository.
        patch: the edits, applied in order.
        editable: globs of the paths that may change; empty allows all.

    Raises:
        PatchRejected: an edit is out of bounds or does not fit; the message tells a model how
            to mend it.
    """
    if not patch.edits:
        raise PatchRejected("the patch has no edits; submit at least one")
    changed: dict[str, str] = {}
    for number, edit in enumerate(patch.edits, start=1):
        place = f"edit {number} ({edit.path})"
        _check_path(edit.path, editable, place)
        before = changed.get(edit.path, files.get(edit.path))
        changed[edit.path] = _apply_edit(before, edit, place)
    if all(files.get(path) == text for path, text in changed.items()):
        raise PatchRejected("the patch changes nothing: every replacement equals what it replaces")
    return changed


def _check_path(path: str, editable: tuple[str, ...], place: str) -> None:
    parts = path.split("/")
    if "\\" in path or "\0" in path or any(part.lower() in _FORBIDDEN_PARTS for part in parts):
        raise PatchRejected(f"{place}: paths are relative to the repository and stay inside it")
    if editable and not any(fnmatchcase(path, glob) for glob in editable):
        raise PatchRejected(f"{place}: only {', '.join(editable)} may be changed")


def _apply_edit(before: str | None, edit: Edit, place: str) -> str:
    if not edit.find:
        if before:
            raise PatchRejected(f"{place}: the file exists; `find` must name the text to replace")
        return edit.replace
    if before is None:
        raise PatchRejected(f"{place}: there is no such file")
    count = _occurrences(before, edit.find)
    if count != 1:
        where = "does not occur" if count == 0 else f"occurs {count} times"
        raise PatchRejected(f"{place}: the text to find {where}; it must occur exactly once")
    return before.replace(edit.find, edit.replace)


def _occurrences(text: str, sought: str) -> int:
    """How often it occurs, overlapping places counted too: each is one that could be meant."""
    count, at = 0, text.find(sought)
    while at >= 0:
        count, at = count + 1, text.find(sought, at + 1)
    return count
