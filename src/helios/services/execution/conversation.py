"""What a model reads: the task, the code, and what became of earlier attempts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helios.domain.workflow.spec import ProjectSpec, TaskSpec
from helios.ports.models import Message

MOST_FILE_BYTES = 60_000
MOST_DETAIL = 4_000
MOST_DIFF = 60_000


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """What a model submitted before, and why it was not accepted."""

    answer: Mapping[str, Any]
    detail: str


def converse(opening: str, earlier: Iterable[EarlierAttempt]) -> tuple[Message, ...]:
    """The whole conversation up to the next answer."""
    messages = [Message("user", opening)]
    for attempt in earlier:
        messages.append(Message("assistant", json.dumps(attempt.answer, ensure_ascii=False)))
        messages.append(Message("user", _follow_up(attempt.detail)))
    return tuple(messages)


def task_opening(
    project: ProjectSpec,
    task: TaskSpec,
    files: Mapping[str, str],
    findings: Sequence[Mapping[str, Any]],
) -> str:
    """The first message of an agent that changes code."""
    parts = [_heading(project, task)]
    if task.gates:
        commands = "\n".join(f"  {gate.run}" for gate in task.gates)
        parts.append(f"It is accepted when these commands succeed:\n{commands}")
    if task.editable:
        parts.append(f"You may change: {', '.join(task.editable)}")
    if findings:
        remarks = "\n".join(f"- {f['path']}:{f['line']}: {f['note']}" for f in findings)
        parts.append(f"Static analysis of these files remarks:\n{remarks}")
    parts.append(_shown_files(files))
    return "\n\n".join(parts)


def review_opening(project: ProjectSpec, task: TaskSpec, diff: str, checks: str) -> str:
    """The first message of an agent that judges a change."""
    shown = diff if len(diff) <= MOST_DIFF else f"{diff[:MOST_DIFF]}\n[the diff goes on]"
    parts = [_heading(project, task)]
    if checks:
        parts.append(f"What has been done and checked:\n{checks}")
    parts.append(f"The diff:\n\n{shown}")
    return "\n\n".join(parts)


def _heading(project: ProjectSpec, task: TaskSpec) -> str:
    lines = [f"Task: {task.id}", f"Goal of the project: {project.goal}"]
    if task.prompt:
        lines.append(f"\n{task.prompt.strip()}")
    if project.language == "ko":
        lines.append("\nWrite every sentence meant for people in Korean.")
    return "\n".join(lines)


def _shown_files(files: Mapping[str, str]) -> str:
    shown, left = [], MOST_FILE_BYTES
    for path, text in files.items():
        size = len(text.encode())
        if size > left:
            shown.append(f"=== {path} === (left out: {size} bytes)")
            continue
        left -= size
        shown.append(f"=== {path} ===\n{text}")
    return "Files:\n\n" + "\n\n".join(shown) if shown else "There are no files yet."


def _follow_up(detail: str) -> str:
    shown = detail if len(detail) <= MOST_DETAIL else f"[...]\n{detail[-MOST_DETAIL:]}"
    return (
        f"That was not accepted:\n\n{shown}\n\n"
        "The files are again as they were at first. Submit a corrected answer."
    )
