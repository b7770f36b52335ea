"""Names of things, derived and never drawn, so that a repeated act has the same name."""

import hashlib
import re
from typing import NewType

ProjectId = NewType("ProjectId", str)
RunId = NewType("RunId", str)
TaskId = NewType("TaskId", str)
RequestId = NewType("RequestId", str)


def slug(text: str) -> str:
    """Lower-case ASCII words joined by hyphens; text without any becomes "project"."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "-".join(words)[:40].rstrip("-") or "project"


def project_id(name: str, location: str) -> ProjectId:
    """The same project file at the same place is the same project."""
    digest = hashlib.sha256(location.encode()).hexdigest()[:8]
    return ProjectId(f"{slug(name)}-{digest}")


def run_id(project: ProjectId, number: int) -> RunId:
    """Runs of a project are numbered from 1."""
    return RunId(f"{project}.{number}")


def request_id(run: RunId, task: TaskId, attempt: int, call: int, resend: int = 0) -> RequestId:
    """One model call: the idempotency key of the ledger and the call log.

    `resend` grows only when an earlier sending of the same call ended without an answer.
    """
    base = f"{run}/{task}/{attempt}.{call}"
    return RequestId(f"{base}~{resend}" if resend else base)
