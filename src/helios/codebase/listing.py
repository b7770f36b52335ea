"""What a folder holds that its owner would commit, by Git's own reading of `.gitignore`."""

import os
from collections.abc import Sequence
from pathlib import Path

from helios.codebase.git import Git
from helios.errors import WorkspaceError

_LEFT_OUT = frozenset({".git", ".venv", "__pycache__"})
_UNREADABLE = b"could not open directory"


async def list_folder(git: Git, source: Path, without: Sequence[Path] = ()) -> list[str]:
    """The files and links below a folder, as paths from there.

    In a checkout: what is tracked, and what is not ignored. Elsewhere `.gitignore` files count in
    the same way. Repositories inside the folder are part of it and have their own.

    Args:
        git: bound to a repository of ours, with whose help a folder without one is listed.
        source: the folder.
        without: folders to leave out.

    Raises:
        WorkspaceError: a part of the folder cannot be listed.
    """
    paths: list[str] = []
    for path in await _listed(git, source):
        place = source / path
        if _LEFT_OUT & {part.casefold() for part in Path(path).parts}:
            continue
        if any(place.is_relative_to(folder) for folder in without):
            continue
        if place.is_dir() and not place.is_symlink():
            inner = await list_folder(git, place, without)
            paths += [f"{path.rstrip('/')}/{below}" for below in inner]
        else:
            paths.append(path)
    return paths


async def _listed(git: Git, source: Path) -> list[str]:
    """Paths in sorted order; a repository inside the folder is one path."""
    theirs = Git(git.program, source)
    ignored = await theirs.attempt("check-ignore", "--quiet", ".", accept=(0, 1, 128))
    if ignored.code == 1:
        paths = await _ls_files(theirs, "--cached", "--others", "--deduplicate")
        if "./" not in paths:
            return paths  # else the folder is a submodule without its repository
    # No checkout, or one that knows nothing of this folder.
    return await _ls_files(git.at(git.directory, source), "--others")


async def _ls_files(git: Git, *which: str) -> list[str]:
    listing = await git.attempt("ls-files", "-z", "--exclude-standard", *which)
    for line in listing.err.splitlines():
        if _UNREADABLE in line:
            raise WorkspaceError(
                f"cannot list {git.cwd}: {os.fsdecode(line).removeprefix('warning: ')}",
                next_step="Make it readable or move it out of the folder, and start again.",
            )
    return sorted({os.fsdecode(path) for path in listing.out.split(b"\0")[:-1]})
