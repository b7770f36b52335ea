"""A plain folder as the first commit of a repository of its own."""

import asyncio
import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from helios.codebase.folders import discard, make_folder
from helios.codebase.git import SNAPSHOT_DATE, Git
from helios.codebase.listing import list_folder
from helios.errors import WorkspaceError

_READY = "helios-ready"
_SIGNED = f"Helios <helios@localhost> {SNAPSHOT_DATE}".encode()


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: bytes
    path: bytes
    place: str


@dataclass(slots=True)
class _Listing:
    entries: list[_Entry] = field(default_factory=list[_Entry])
    links_left_out: int = 0


async def own_repository(git: Git, place: Path, *, run: str) -> Git:
    """Git bound to the bare repository at `place`, made when it is not there or not whole.

    It is made beside its place and moved there in one step, so what is there is whole.
    """
    bound = git.at(place)
    if (place / _READY).is_file():
        ended = await bound.attempt("rev-parse", "--git-dir", accept=(0, 128))
        if ended.code == 0:
            return bound
    await discard(place)
    make_folder(place.parent)
    fresh = place.with_name(f".new-{run}-{place.name}")
    await discard(fresh)
    await git.run("init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(fresh))
    (fresh / _READY).touch()
    try:
        fresh.rename(place)
    except OSError as error:
        await discard(fresh)
        if not (place / _READY).is_file():
            raise WorkspaceError(f"cannot make {place}: {error.strerror}") from error
    return bound


async def import_folder(
    git: Git, source: Path | None, *, ref: str, without: Sequence[Path] = ()
) -> tuple[str, tuple[str, ...]]:
    """Make `ref` a first commit of what a folder holds: the commit, and notes for people.

    The same content gives the same commit. No source makes an empty commit. What `.gitignore`
    names is left out, also where the folder is no checkout; so are links that lead out of the
    folder, and the folders in `without`.
    """
    paths = await list_folder(git, source, without) if source else []
    listing = await asyncio.to_thread(_look_at, source, paths) if source else _Listing()
    message = b"Snapshot" if source else b"Empty project"
    with tempfile.TemporaryFile() as stream:
        await asyncio.to_thread(_write_stream, stream, listing.entries, ref, message)
        await git.run("fast-import", "--quiet", "--force", "--date-format=raw", stdin=stream)
    count = listing.links_left_out
    links = "1 symbolic link that leads" if count == 1 else f"{count} symbolic links that lead"
    notes = (f"{links} out of {source} left out",) if count else ()
    return await git.commit_id(ref), notes


def _write_stream(stream: IO[bytes], entries: Sequence[_Entry], ref: str, message: bytes) -> None:
    """What `git fast-import` reads; it makes the commit only when it has seen the last line."""
    stream.write(b"feature done\ncommit %s\n" % ref.encode())
    stream.write(b"author %s\ncommitter %s\n" % (_SIGNED, _SIGNED))
    stream.write(b"data %d\n%s\n" % (len(message), message))
    for entry in entries:
        data = _content(entry)
        head = b"M %s inline %s\ndata %d\n" % (entry.mode, _quoted(entry.path), len(data))
        stream.writelines((head, data, b"\n"))
    stream.write(b"done\n")
    stream.seek(0)


def _content(entry: _Entry) -> bytes:
    try:
        if entry.mode == b"120000":
            return os.fsencode(Path(entry.place).readlink())
        return Path(entry.place).read_bytes()
    except OSError as error:
        raise WorkspaceError(
            f"cannot read {entry.place}: {error.strerror}",
            next_step="Make it readable or move it out of the folder, and start again.",
        ) from error


def _quoted(path: bytes) -> bytes:
    escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"%s"' % escaped


def _look_at(source: Path, paths: Sequence[str]) -> _Listing:
    listing = _Listing()
    for path in paths:
        place = str(source / path)
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            continue  # tracked, but deleted in the checkout
        if stat.S_ISLNK(mode):
            if _stays_inside(place, source):
                listing.entries.append(_Entry(b"120000", os.fsencode(path), place))
            else:
                listing.links_left_out += 1
        elif stat.S_ISREG(mode):
            bits = b"100755" if mode & stat.S_IXUSR else b"100644"
            listing.entries.append(_Entry(bits, os.fsencode(path), place))
    listing.entries.sort(key=lambda entry: entry.path)
    return listing


def _stays_inside(link: str, source: Path) -> bool:
    """Whether a link still leads to the same thing when the folder is somewhere else."""
    target = str(Path(link).readlink())
    if Path(target).is_absolute():
        return False
    folder = os.path.relpath(Path(link).parent, source)
    lexical = Path(os.path.normpath(Path(folder, target)))
    real = Path(os.path.realpath(link))
    return lexical.parts[:1] != (os.pardir,) and real.is_relative_to(source)
