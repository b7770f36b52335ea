"""Locks of projects as files in a folder: advisory, free as soon as their holder is dead."""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from helios.config import make_folder
from helios.domain.ids import ProjectId
from helios.errors import ConflictError
from helios.ports.locks import Hold

TRIES, PAUSE_S = 10, 0.03
"""Who only looks shares the lock for a moment, which must not turn a starter away."""


class FileLocks:
    """A folder of locks, for all processes that see it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def hold(self, project: ProjectId, path: str) -> AsyncIterator[Hold]:
        """See the port."""
        make_folder(self._folder)
        with self._file(project).open("a+", encoding="utf-8") as file:
            if not await _taken(file):
                raise ConflictError(
                    f"{path} is already being run by process {_holder(file)}",
                    next_step="Watch it with `helios status`, or stop it with `helios cancel`.",
                )
            file.seek(0)
            file.truncate()
            file.write(json.dumps({"pid": os.getpid()}))
            file.flush()
            yield _Held()

    async def is_held(self, project: ProjectId) -> bool:
        """See the port."""
        try:
            with self._file(project).open("r", encoding="utf-8") as file:
                return not _try(file, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def _file(self, project: ProjectId) -> Path:
        return self._folder / f"{project}.lock"


class _Held:
    async def confirm(self) -> None:
        """A file is let go of by its holder alone."""


async def _taken(file: IO[str]) -> bool:
    for _ in range(TRIES):
        if _try(file, fcntl.LOCK_EX):
            return True
        await asyncio.sleep(PAUSE_S)
    return False


def _try(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        return str(json.loads(file.read())["pid"])
    except (ValueError, KeyError):
        return "(unknown)"
