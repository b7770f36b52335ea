"""Reading and writing inside a worktree, where code of others may have left traps."""

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

from helios.errors import PatchRejected, WorkspaceError

LARGEST_TEXT = 512 * 1024
"""Bytes; a longer file is data, not something to show to a model."""

_SNIFFED = 8000
_NO_NAMES = frozenset({"", ".", ".."})


def read_regular(root: Path, path: str, *, most: int) -> bytes | None:
    """A file's bytes; None for links (on the way there too), other non-files and long files."""
    try:
        with _folder_of(root, path) as (folder, name):
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with os.fdopen(file, "rb") as stream:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or status.st_size > most:
                return None
            return stream.read(most)
    except OSError:
        return None  # not there, a link, or closed to us: nothing that could be read


def read_texts(root: Path, paths: Iterable[str], patterns: Sequence[str]) -> dict[str, str]:
    """The UTF-8 text files among these paths that match a glob, by path in order.

    Bytes are kept as they are (line ends, byte order mark), so that writing a text back
    changes nothing.
    """
    texts: dict[str, str] = {}
    for path in sorted(paths):
        if not any(fnmatchcase(path, pattern) for pattern in patterns):
            continue
        text = _read_text(root, path)
        if text is not None:
            texts[path] = text
    return texts


def write_texts(root: Path, files: Mapping[str, str], *, tracked: Collection[str]) -> None:
    """Write files, all checked before the first is touched; no link is followed on the way.

    Only a tracked file that `read_texts` can give is replaced: nothing that its writer was
    never shown.

    Raises:
        PatchRejected: a path leaves the root, enters `.git`, passes a link, or names something
            that is not to be replaced; the message tells a model how to mend it.
        WorkspaceError: the disk does not take it.
    """
    datas = {path: _encoded(path, text) for path, text in files.items()}
    for path in files:
        _check_parts(path)
        _check_place(root, path, tracked)
    for path, data in datas.items():
        try:
            _write(root, path, data, replace=path in tracked)
        except OSError as error:
            raise WorkspaceError(f"cannot write {path!r}: {error.strerror or error}") from error


@contextmanager
def _folder_of(root: Path, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """The folder a file lies in, held open, and the file's own name in it.

    Held folders cannot be swapped for links between a check and a write.
    """
    *folders, name = path.split("/")
    held = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=held)
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=held)
            os.close(held)
            held = inner
        yield held, name
    finally:
        os.close(held)


def _read_text(root: Path, path: str) -> str | None:
    data = read_regular(root, path, most=LARGEST_TEXT)
    if data is None or b"\0" in data[:_SNIFFED]:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None  # could not be written back as it was


def _write(root: Path, path: str, data: bytes, *, replace: bool) -> None:
    """A file is replaced by a new one, so that nothing is written through links of any kind."""
    with _folder_of(root, path, make=True) as (folder, name):
        mode = None
        if replace:
            with suppress(FileNotFoundError):
                mode = stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
                os.unlink(name, dir_fd=folder)
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)
    with os.fdopen(file, "wb") as stream:
        stream.write(data)
        if mode is not None:
            os.fchmod(file, mode)


def _encoded(path: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise refused(path, "its text is not valid Unicode") from error


def _check_parts(path: str) -> None:
    parts = path.split("/")
    if "\0" in path or not parts[-1]:
        raise refused(path, "that is no file name")
    if any(part in _NO_NAMES for part in parts):
        raise refused(path, "paths are relative to the root of the repository and stay inside it")
    if any(part.casefold() == ".git" for part in parts):
        raise refused(path, "Git's own files are not to be written")


def _check_place(root: Path, path: str, tracked: Collection[str]) -> None:
    *folders, name = path.split("/")
    place = root
    for folder in folders:
        place /= folder
        _refuse_link(root, path, place)
        if os.path.lexists(place) and not place.is_dir():
            raise refused(path, f"{place.relative_to(root)} is no folder")
    place /= name
    _refuse_link(root, path, place)
    if not os.path.lexists(place):
        return
    if not place.is_file():
        raise refused(path, "there is something else of that name")
    if path not in tracked or _read_text(root, path) is None:
        raise refused(
            path, "it exists and is no text that was shown (too long, not UTF-8 or not tracked)"
        )


def _refuse_link(root: Path, path: str, place: Path) -> None:
    if place.is_symlink():
        link = place.relative_to(root)
        raise refused(path, f"{link} is a symbolic link; name the file itself by its own path")


def refused(path: str, why: str) -> PatchRejected:
    """The refusal of a path that an answer wants to write to."""
    return PatchRejected(f"cannot write {path!r}: {why}")
