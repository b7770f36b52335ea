"""The report of a run, in Markdown for people and JSON for programs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helios.domain.budget.units import Unit, show
from helios.domain.ids import TaskId
from helios.domain.pricing import MICRO
from helios.domain.workflow.states import TaskState
from helios.errors import WorkspaceError
from helios.ports.runs import AttemptRecord, RunStore
from helios.services.summary import RunSummary

SCHEMA = 1
SIMULATED_NOTE = (
    "**simulated**: no model answered in this run; the simulator gave recorded answers. "
    "Gates, budget and timing are real."
)


@dataclass(frozen=True, slots=True)
class Report:
    """Both forms of a report."""

    markdown: str
    data: dict[str, Any]

    def write(self, folder: Path) -> Path:
        """Write report.md and report.json; the path of the first.

        Raises:
            WorkspaceError: they cannot be written.
        """
        text = json.dumps(self.data, ensure_ascii=False, indent=2)
        path = folder / "report.md"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "report.json").write_text(f"{text}\n", encoding="utf-8")
            path.write_text(self.markdown, encoding="utf-8")
        except OSError as error:
            raise WorkspaceError(
                f"cannot write the report into {folder}: {error.strerror}",
                next_step="Give Helios a home it can write to, with room left.",
            ) from error
        return path


@dataclass(frozen=True, slots=True)
class Result:
    """Where the code of a run is: its branch, if there is one.

    `apart`: tasks whose results could not be merged into it and have branches of their own.
    `remarks`: what people should know about it, a sentence each.
    """

    branch: str | None = None
    apart: Mapping[TaskId, str] = field(default_factory=dict[TaskId, str])
    remarks: tuple[str, ...] = ()


async def make_report(summary: RunSummary, runs: RunStore, result: Result) -> Report:
    """The report of a run as it stands now."""
    attempts = await runs.attempts(summary.run.id)
    return Report(_markdown(summary, attempts, result), summary_to_json(summary, result))


def summary_to_json(summary: RunSummary, result: Result) -> dict[str, Any]:
    """The figures as plain data; money in US dollars, times in seconds."""
    return {
        "schema": SCHEMA,
        "run": summary.run.id,
        "project": summary.run.name,
        "state": str(summary.run.state),
        "simulated": summary.simulated,
        "provider": summary.run.provider,
        "sandbox": summary.run.sandbox,
        "branch": result.branch,
        "unmerged": dict(result.apart),
        "remarks": list(result.remarks),
        "tasks": {str(state): count for state, count in summary.states.items()},
        "attempts": summary.attempts,
        "retries": summary.retries,
        "escalations": summary.escalations,
        "messages": summary.messages,
        "tokens": summary.usage.total_tokens,
        "cost_usd": summary.cost_microusd / MICRO,
        "always_strong_usd": summary.always_strong_microusd / MICRO,
        "saved": round(summary.saved, 4),
        "busy_s": round(summary.busy_s, 3),
        "work_s": round(summary.work_s, 3),
        "speed_up": round(summary.speed_up, 3),
        "critical_path": list(summary.critical_path),
        "models": [
            {
                "model": use.model,
                "tier": use.tier,
                "messages": use.messages,
                "input_tokens": use.usage.prompt_tokens,
                "output_tokens": use.usage.output_tokens,
                "cost_usd": use.cost_microusd / MICRO,
            }
            for use in summary.models
        ],
        "results": [
            {
                "task": task.id,
                "state": str(task.state),
                "reason": task.reason,
                "attempts": task.attempts,
                "commit": task.commit,
            }
            for task in summary.tasks
        ],
    }


def _markdown(summary: RunSummary, attempts: tuple[AttemptRecord, ...], result: Result) -> str:
    run = summary.run
    lines = [f"# {run.name}: run {run.number} {run.state}", ""]
    if summary.simulated:
        lines += [SIMULATED_NOTE, ""]
    lines += _figures(summary, result)
    lines += ["", "## Models", "", "| model | messages | tokens in | tokens out | cost |"]
    lines += ["|---|---:|---:|---:|---:|"]
    for use in summary.models:
        cost = show(Unit.MICROUSD, use.cost_microusd)
        lines.append(
            f"| {use.model} | {use.messages} | {use.usage.prompt_tokens:,} "
            f"| {use.usage.output_tokens:,} | {cost} |"
        )
    lines += ["", "## Tasks", "", "| task | state | attempts | model | result |"]
    lines += ["|---|---|---:|---|---|"]
    models = {a.task: a.model for a in attempts if a.model}
    for task in summary.tasks:
        said = _cell(task.output if task.state is TaskState.DONE else task.reason)
        lines.append(
            f"| {task.id} | {task.state} | {task.attempts} | {models.get(task.id, '')} | {said} |"
        )
    lines += _failed_attempts(attempts)
    return "\n".join(lines) + "\n"


def _figures(summary: RunSummary, result: Result) -> list[str]:
    done = summary.states.get(TaskState.DONE, 0)
    lines = [
        f"- {done} of {len(summary.tasks)} tasks done, {summary.retries} retries, "
        f"{summary.escalations} escalations to a stronger model",
        f"- {summary.messages} messages, {summary.usage.total_tokens:,} tokens, "
        f"{show(Unit.MICROUSD, summary.cost_microusd)}; the same calls at the strong "
        f"model's prices: {show(Unit.MICROUSD, summary.always_strong_microusd)} "
        f"({summary.saved:.0%} saved)",
        f"- {summary.busy_s:.1f} s of work time, {summary.work_s:.1f} s one after another: "
        f"{summary.speed_up:.1f} times faster",
        f"- critical path: {' → '.join(summary.critical_path)}",
    ]
    if result.branch:
        lines.append(f"- result: branch `{result.branch}`")
    lines += [f"- result of {task} alone: branch `{of}`" for task, of in result.apart.items()]
    lines += [f"- **{remark}**" for remark in result.remarks]
    return lines


def _failed_attempts(attempts: tuple[AttemptRecord, ...]) -> list[str]:
    failed = [attempt for attempt in attempts if attempt.failure]
    if not failed:
        return []
    lines = ["", "## Attempts that were not accepted", ""]
    for attempt in failed:
        lines.append(f"- {attempt.task}, attempt {attempt.number} ({attempt.model}): "
                     f"{attempt.failure}: {_cell(attempt.detail)}")  # fmt: skip
    return lines


def _cell(text: str) -> str:
    """One line that breaks no table."""
    line = next((line for line in text.strip().splitlines() if line.strip()), "")
    line = line.replace("|", "\\|")
    return line if len(line) <= 160 else f"{line[:157]}..."
