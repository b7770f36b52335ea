"""Reading and writing inside a worktree, where code of others may have left traps."""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from helios.errors import WorkspaceError

LARGEST_TEXT = 512 * 1024
"""Bytes; a longer file is data, not something to show to a model."""

_SNIFFED = 8000


def read_regular(root: Path, path: str, *, most: int) -> bytes | None:
    """A file's bytes; None for links (on the way there too), other non-files and long files."""
    place = root
    for part in path.split("/"):
        place /= part
        if place.is_symlink():
            return None
    try:
        status = place.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            return None
        return place.read_bytes()
    except OSError:
        return None  # not there, or closed to us: nothing that could be read


def read_texts(root: Path, paths: Iterable[str], patterns: Sequence[str]) -> dict[str, str]:
    """The UTF-8 text files among these paths that match a glob, by path in order.

    Bytes are kept as they are (line ends, byte order mark), so that writing a text back
    changes nothing.
    """
    texts: dict[str, str] = {}
    for path in sorted(paths):
        if not any(fnmatchcase(path, pattern) for pattern in patterns):
            continue
        data = read_regular(root, path, most=LARGEST_TEXT)
        if data is None or b"\0" in data[:_SNIFFED]:
            continue
        try:
            texts[path] = data.decode()
        except UnicodeDecodeError:
            continue  # could not be written back as it was
    return texts


def write_texts(root: Path, files: Mapping[str, str]) -> None:
    """Write files, all checked before the first is touched.

    Raises:
        WorkspaceError: a path leaves the root, enters `.git`, or cannot be written.
    """
    targets = {path: _target(root, path) for path in files}
    for path, target in targets.items():
        try:
            data = files[path].encode()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        except UnicodeEncodeError as error:
            raise _refused(path, "its text is not valid Unicode") from error
        except OSError as error:
            raise _refused(path, error.strerror or str(error)) from error


def _target(root: Path, path: str) -> Path:
    """Where a path really leads, links followed."""
    if not path or "\0" in path or path.endswith("/"):
        raise _refused(path, "that is no file name")
    top = root.resolve()
    try:
        target = Path(os.path.realpath(top / path, strict=False))
        inner = target.relative_to(top)
        lexical = Path(os.path.normpath(top / path)).relative_to(top)
    except ValueError as error:
        raise _refused(path, "it leaves the worktree") from error
    parts = [*inner.parts, *lexical.parts]
    if any(part.casefold() == ".git" for part in parts):
        raise _refused(path, "Git's own files are not to be written")
    if target.exists() and not target.is_file():
        raise _refused(path, "there is something else of that name")
    return target


def _refused(path: str, why: str) -> WorkspaceError:
    return WorkspaceError(
        f"cannot write {path!r}: {why}",
        next_step="Name files relative to the root of the repository, inside it.",
    )
