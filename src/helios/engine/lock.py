"""One process drives a project at a time: an advisory lock that dies with its holder."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helios.config import make_folder
from helios.domain.ids import ProjectId
from helios.errors import ConflictError


@contextmanager
def project_lock(folder: Path, project: ProjectId, path: str) -> Iterator[None]:
    """Hold a project, or be refused.

    Args:
        folder: where lock files lie; made if missing.
        project: whose lock.
        path: the project file, for the message.

    Raises:
        ConflictError: another process holds it; names the process.
    """
    make_folder(folder)
    file = (folder / f"{project}.lock").open("a+", encoding="utf-8")
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"{path} is already being run by process {_holder(file.name)}",
                next_step="Watch it with `helios status`, or stop it with `helios cancel`.",
            ) from None
        file.seek(0)
        file.truncate()
        file.write(json.dumps({"pid": os.getpid()}))
        file.flush()
        yield
    finally:
        file.close()


def is_held(folder: Path, project: ProjectId) -> bool:
    """Whether some process drives this project now."""
    try:
        with (folder / f"{project}.lock").open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    except FileNotFoundError:
        return False
    return False


def _holder(path: str) -> str:
    text = Path(path).read_text(encoding="utf-8")
    try:
        return str(json.loads(text)["pid"])
    except (ValueError, KeyError):
        return "(unknown)"
