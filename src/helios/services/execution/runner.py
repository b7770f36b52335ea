"""Carries out the parts of an attempt. Each part starts from committed facts, so repeating one
after a crash gives the same result.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from helios.domain.budget.ledger import Admission
from helios.domain.ids import TaskId
from helios.domain.review.edits import apply_patch
from helios.domain.roles import Role
from helios.domain.workflow.retries import FailureKind, escalation
from helios.domain.workflow.spec import TaskSpec
from helios.errors import HeliosError
from helios.ports.agents import AnswerShape, AnswerShapes
from helios.ports.clock import Clock
from helios.ports.models import Message, ModelRequest
from helios.ports.runs import AttemptRecord, RunStore, TaskRecord
from helios.ports.sandbox import Sandbox
from helios.ports.workspace import Workspace
from helios.services.execution.conversation import (
    EarlierAttempt,
    converse,
    review_opening,
    task_opening,
)
from helios.services.execution.gates import describe, run_command, run_gates
from helios.services.execution.outcome import Failure, Outcome, failure_of
from helios.services.execution.project import LiveProject
from helios.services.governor import Governor
from helios.services.responses import Call, Responses, reply_from_json
from helios.services.router import Route, Router

ReportWriter = Callable[[], Awaitable[str]]
AskRole = Callable[[Responses, Call, AnswerShape], Awaitable[Mapping[str, Any]]]


def load_role_agent() -> AskRole:
    """What asks the roles; it takes half a second the first time, so call it in a thread."""
    from helios.services.execution.role_agent import ask_role

    return ask_role


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a runner works with."""

    runs: RunStore
    governor: Governor
    router: Router
    responses: Responses
    workspace: Workspace
    sandbox: Sandbox
    shapes: AnswerShapes
    clock: Clock


class TaskRunner:
    """The parts of an attempt of any task of one run."""

    def __init__(self, project: LiveProject, can: Capabilities, report: ReportWriter) -> None:
        self.project = project
        self._can = can
        self._report = report
        self._sizes: dict[TaskId, int] = {}

    def prepare(self) -> None:
        """Begin to load what asks the roles, if there is any, and return at once."""
        if any(task.agent for task in self.project.spec.tasks):
            threading.Thread(target=load_role_agent).start()

    async def begin(self, task_id: TaskId, number: int) -> Outcome:
        """Open an attempt: choose the model if one is needed, and record the choice."""
        task = self.project.task(task_id)
        role = self.project.role(task)
        model, explanation = None, {}
        if role:
            self._sizes[task_id] = await self._size_of_files(task)
            route = await self._route(task, role)
            model, explanation = route.choice.model, route.explanation
        attempt = AttemptRecord(
            task_id, number, model, explanation, started_at=self._can.clock.now()
        )
        await self._can.runs.save_attempt(self.project.run, attempt)
        return Outcome(choice=explanation)

    async def work(self, task_id: TaskId, number: int, choice: dict[str, Any]) -> Outcome:
        """Do what the task asks; for an agent only the asking, `verify` does the rest."""
        task = self.project.task(task_id)
        try:
            base = await self._base(task)
            if task.action:
                return await self._act(task, base)
            if task.run:
                return await self._command(task, base)
            return await self._ask(task, base, number, choice)
        except HeliosError as error:
            return Outcome(failure=failure_of(error))

    async def fits(self, task_id: TaskId) -> Admission | None:
        """Whether a task's next call would be admitted now; None when it needs no model.

        Nothing is reserved, opened or asked of the provider. What the call reads is known only when
        it was refused before; without that a granted one may be refused later.
        """
        task = self.project.task(task_id)
        role = self.project.role(task)
        if role is None:
            return None
        model = (await self._route(task, role)).choice.model
        request = ModelRequest(
            model=model,
            system=role.instructions,
            messages=(Message("user", task.prompt),),
            max_tokens=role.max_output_tokens,
        )
        call = self._call(task, await self.next_number(task_id), request)
        bound, limits = await self._can.responses.least(call)
        tier = self._can.router.catalogue.model(model).tier
        return await self._can.governor.fits(bound, tier, task.priority, limits)

    async def next_number(self, task_id: TaskId) -> int:
        """Attempts go on counting when a task comes back; one there was no room for was none."""
        attempts = await self._can.runs.attempts(self.project.run, task_id)
        if attempts and attempts[-1].failure == FailureKind.BUDGET:
            return attempts[-1].number
        return attempts[-1].number + 1 if attempts else 1

    async def _route(self, task: TaskSpec, role: Role) -> Route:
        return await self._can.router.route(
            task,
            role,
            self.project.limits(self._can.governor, task),
            size_bytes=self._sizes.get(task.id, 0),
            escalate=escalation(task.retry, await self.failures(task.id)),
        )

    async def verify(self, task_id: TaskId, asked: Outcome) -> Outcome:
        """Accept or reject what a model submitted, by applying it and running the gates."""
        task = self.project.task(task_id)
        role = self.project.role(task)
        try:
            base = await self._base(task)
            if role and role.output == "review":
                return self._judge(base, asked)
            return await self._try_patch(task, base, asked)
        except HeliosError as error:
            return Outcome(failure=failure_of(error))

    async def end(self, task_id: TaskId, number: int, outcome: Outcome) -> None:
        """Record how an attempt ended."""
        attempts = await self._can.runs.attempts(self.project.run, task_id)
        attempt = next(a for a in attempts if a.number == number)
        failure = outcome.failure
        ended = replace(
            attempt,
            failure=str(failure.kind) if failure else None,
            detail=failure.detail if failure else "",
            finished_at=attempt.finished_at or self._can.clock.now(),
        )
        await self._can.runs.save_attempt(self.project.run, ended)

    async def failures(self, task_id: TaskId) -> tuple[FailureKind, ...]:
        """Why earlier attempts failed, oldest first; waiting for budget is no failure."""
        attempts = await self._can.runs.attempts(self.project.run, task_id)
        kinds = (FailureKind(a.failure) for a in attempts if a.failure)
        return tuple(kind for kind in kinds if kind is not FailureKind.BUDGET)

    async def _base(self, task: TaskSpec) -> str:
        records = {r.id: r for r in await self._can.runs.tasks(self.project.run)}
        commits = [c for need in task.needs if (c := records[need].commit)]
        return await self._can.workspace.base_for(commits)

    async def _size_of_files(self, task: TaskSpec) -> int:
        if not task.files:
            return 0
        await self._can.workspace.open(task.id, await self._base(task))
        files = await self._can.workspace.read(task.id, task.files)
        return sum(len(text.encode()) for text in files.values())

    async def _act(self, task: TaskSpec, base: str) -> Outcome:
        workspace = self._can.workspace
        if task.action == "analyse":
            await workspace.open(task.id, base)
            found = await workspace.analyse(task.id)
            await workspace.close(task.id)
            return Outcome(base, f"{found['summary']}\n{json.dumps(found, ensure_ascii=False)}")
        if task.action == "merge":
            return Outcome(base, f"merged {len(task.needs)} results into {base[:12]}")
        return Outcome(base, await self._report())

    async def _command(self, task: TaskSpec, base: str) -> Outcome:
        path = await self._can.workspace.open(task.id, base)
        result = await run_command(self._can.sandbox, task.run or "", path, task.timeout_s)
        output = describe(result)
        await self._can.workspace.close(task.id)
        if result.ok:
            return Outcome(base, output)
        return Outcome(
            base,
            output,
            failure=Failure(FailureKind.GATE, f"`{task.run}` exited {result.exit_code}\n{output}"),
        )

    async def _ask(self, task: TaskSpec, base: str, number: int, choice: dict[str, Any]) -> Outcome:
        role = self.project.roles[task.agent or ""]
        opening = await self._opening(task, role, base)
        request = ModelRequest(
            model=choice["model"],
            system=role.instructions,
            messages=converse(opening, await self._earlier(task.id, number)),
            max_tokens=role.max_output_tokens,
            timeout_s=task.timeout_s,
            labels={"project": self.project.spec.name, "task": task.id},
        )
        ask_role = await asyncio.to_thread(load_role_agent)
        shape = self._can.shapes.answer_shape(role.output)
        call = self._call(task, number, request)
        return Outcome(base, answer=await ask_role(self._can.responses, call, shape))

    def _call(self, task: TaskSpec, number: int, request: ModelRequest) -> Call:
        return Call(
            self.project.run,
            task.id,
            number,
            request,
            self.project.limits(self._can.governor, task),
            task.priority,
            agent=task.agent or "",
            account=self.project.spec.budget.account,
        )

    async def _opening(self, task: TaskSpec, role: Role, base: str) -> str:
        workspace = self._can.workspace
        if role.output == "review":
            diff = await workspace.diff(await workspace.prepare(), base)
            return review_opening(self.project.spec, task, diff, await self._checks(task))
        await workspace.open(task.id, base)
        files = await workspace.read(task.id, task.files) if task.files else {}
        return task_opening(self.project.spec, task, files, await self._findings(task, set(files)))

    async def _checks(self, task: TaskSpec) -> str:
        """One line for each finished task, for a reviewer."""
        records = await self._can.runs.tasks(self.project.run)
        own = [r for r in records if r.id != task.id and r.state.final]
        return "\n".join(f"- {r.id}: {r.state} ({r.reason})" for r in own)

    async def _findings(self, task: TaskSpec, paths: set[str]) -> list[dict[str, Any]]:
        """What analyses among the needs remarked about these files."""
        found: list[dict[str, Any]] = []
        for need in task.needs:
            if self.project.task(need).action == "analyse":
                record: TaskRecord = await self._can.runs.task(self.project.run, need)
                _, _, report_json = record.output.partition("\n")
                report = json.loads(report_json or "{}")
                found += [f for f in report.get("findings", []) if f["path"] in paths]
        return found

    async def _earlier(self, task_id: TaskId, number: int) -> list[EarlierAttempt]:
        """Attempts before this one that were answered and rejected."""
        run = self.project.run
        attempts = {a.number: a for a in await self._can.runs.attempts(run, task_id)}
        earlier: dict[int, EarlierAttempt] = {}
        for call in await self._can.runs.calls(run):
            attempt = attempts.get(call.attempt)
            if call.task != task_id or call.attempt >= number or not attempt:
                continue
            answer = reply_from_json(call.reply).tool_input
            if attempt.failure and answer is not None:
                # A reply that was cut off has a whole one after it.
                detail = f"{attempt.failure}: {attempt.detail}"
                earlier[call.attempt] = EarlierAttempt(answer, detail)
        return list(earlier.values())

    async def _try_patch(self, task: TaskSpec, base: str, asked: Outcome) -> Outcome:
        """Commit first, then judge what was committed: a gate cannot slip files into it."""
        workspace = self._can.workspace
        patch = self._can.shapes.read_patch(asked.answer)
        path = await workspace.open(task.id, base)
        files = await workspace.read(task.id, task.editable or ("*",))
        changed = apply_patch(files, patch, editable=task.editable)
        await workspace.write(task.id, changed)
        commit = await workspace.commit(task.id, f"{task.id}: {patch.summary}")
        results = await run_gates(self._can.sandbox, task.gates, path)
        failed = next((result for result in results if not result.passed), None)
        if failed:
            detail = f"`{failed.command}` failed\n{failed.output}"
            return Outcome(failure=Failure(FailureKind.GATE, detail))
        await workspace.close(task.id)
        passed = f"{len(results)} gate{'s' if len(results) != 1 else ''} passed"
        return Outcome(commit, f"{patch.summary} ({passed})")

    def _judge(self, base: str, asked: Outcome) -> Outcome:
        review = self._can.shapes.read_review(asked.answer)
        remarks = "\n".join(f"- {f.path}: {f.severity}: {f.note}" for f in review.findings)
        output = f"{review.summary}\n{remarks}".strip()
        if review.approve:
            return Outcome(base, output)
        return Outcome(base, output, failure=Failure(FailureKind.REJECTED, output))
