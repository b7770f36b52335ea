"""Folders that are made and thrown away: safe names, and removal that a crash cannot spoil."""

import asyncio
import errno
import hashlib
import os
import re
import shutil
from pathlib import Path

from helios.errors import WorkspaceError

_GONE = ".gone-"
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9_-])){0,63}")
_HASHED = re.compile(r".*\.[0-9a-f]{12}")


def safe_name(text: str) -> str:
    """A name for a folder and a part of a ref: the text itself where it may be one.

    Other texts get what letters they have and a digest; no two texts share a name.
    """
    if _PLAIN.fullmatch(text) and not _HASHED.fullmatch(text) and not text.endswith(".lock"):
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
    words = "-".join(re.findall(r"[A-Za-z0-9]+", text))[:40] or "task"
    return f"{words}.{digest}"


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        WorkspaceError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(
            f"cannot make the folder {path}: {error.strerror}",
            next_step="Give Helios a home it can write to.",
        ) from error


async def discard(path: Path) -> None:
    """Throw away whatever is at a path.

    It is moved aside first: the path is free at once, and a removal that is cut short harms
    nothing that is put there later.

    Raises:
        WorkspaceError: it cannot be removed.
    """
    aside = _move_aside(path)
    if aside:
        await asyncio.to_thread(_remove, aside)


async def sweep(folder: Path) -> None:
    """Remove what earlier calls of `discard` could not finish in this folder."""
    await asyncio.to_thread(_sweep, folder)


def _sweep(folder: Path) -> None:
    for leftover in sorted(folder.glob(f"{_GONE}*")):
        _remove(leftover)


def _move_aside(path: Path) -> Path | None:
    if not os.path.lexists(path):
        return None
    number = 1
    while os.path.lexists(aside := path.with_name(f"{_GONE}{number}-{path.name}")):
        number += 1
    try:
        return path.rename(aside)
    except OSError as error:
        raise _stuck(path, error) from error


def _remove(path: Path) -> None:
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
        _remove_tree(path)
    except FileNotFoundError:
        return  # somebody else removed it at the same time, which is what we want
    except OSError as error:
        raise _stuck(path, error) from error


def _remove_tree(path: Path) -> None:
    for again in (True, True, False):
        try:
            shutil.rmtree(path)
        except PermissionError:
            if not again:
                raise
            _make_writable(path)
        except OSError as error:
            if not again or error.errno != errno.ENOTEMPTY:
                raise  # else somebody put a file there while we removed the others
        else:
            return


def _make_writable(path: Path) -> None:
    path.chmod(0o700)
    for parent, folders, _ in os.walk(path):
        for folder in folders:
            inner = Path(parent, folder)
            if not inner.is_symlink():
                inner.chmod(0o700)


def _stuck(path: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(
        f"cannot remove {path}: {error.strerror}",
        next_step="Remove it by hand; it holds nothing that is needed.",
    )
