"""A task that cannot be afforded waits for what can make it so, and says when nothing can."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from helios.bootstrap.project import read_project
from helios.domain.budget.account import LimitRule
from helios.domain.budget.ledger import Request
from helios.domain.budget.throttle import Throttle
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Calendar
from helios.domain.ids import TaskId
from helios.domain.pricing import Tier
from helios.domain.workflow.states import RunState, TaskState
from helios.errors import BudgetExhausted, RunStopping
from helios.services.execution import TaskRunner
from tests.engine.driving import HEAD, Driven, Project

pytestmark = pytest.mark.slow

MODEL = "claude-sonnet-5-5"
CODER = (
    f"  고치기: {{agent: coder, model: {MODEL}, files: [a.py], editable: [a.py], prompt: 고쳐}}\n"
)
FIX = TaskId("고치기")
ACME = f"{HEAD}budget: {{account: acme}}\n"
"""One call of the coder may take 17 cents."""


def day_cap(cents: int) -> LimitRule:
    return LimitRule("acme", "cap", Unit.MICROUSD, cents * 10_000, Calendar("day"))


async def waiting(driven: Driven) -> None:
    await driven.until(lambda states: states[FIX] is TaskState.WAITING)
    while not (await driven.reasons())[FIX].startswith("budget: "):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def attempts(driven: Driven) -> int:
    return len(await driven.house.stores.runs.attempts(driven.session.record.id, FIX))


def drive(
    project: Project, before: Callable[[Driven], Awaitable[None]],
    meanwhile: Callable[[Driven], Awaitable[None]],
    *,
    wait: bool = True,
) -> tuple[RunState, int]:  # fmt: skip
    async def go() -> tuple[RunState, int]:
        async with project.opened() as driven, asyncio.timeout(60):
            await before(driven)
            beside = asyncio.ensure_future(meanwhile(driven))
            ended = await driven.session.engine.run(wait_for_budget=wait)
            await beside
            return ended, await attempts(driven)

    return asyncio.run(go())


def test_a_brake_that_is_lifted_is_noticed_and_after_a_stop_too(tmp_path: Path) -> None:
    project = Project(tmp_path, CODER)

    async def brake(driven: Driven) -> None:
        now = driven.house.clock.now()
        await driven.house.stores.budget.set_throttle(Throttle("critical", now, now + 7_200))

    async def stop(driven: Driven) -> None:
        await waiting(driven)
        driven.session.engine.stop()

    async def nothing(_: Driven) -> None:
        return

    async def lift(driven: Driven) -> None:
        await waiting(driven)
        await asyncio.sleep(0.7)
        await driven.house.stores.budget.set_throttle(None)

    with pytest.raises(RunStopping):
        drive(project, brake, stop)
    assert drive(project, nothing, lift) == (RunState.DONE, 1)


def test_a_ceiling_that_is_raised_is_noticed(tmp_path: Path) -> None:
    async def cap(driven: Driven) -> None:
        book = driven.house.stores.budget
        await book.put_limit_rule(day_cap(25))
        await driven.session.desk.governor.refresh(now=True)
        limits = driven.session.desk.governor.ceilings.of_account("acme")
        spent = Request("before", Tier.STANDARD, {Unit.MICROUSD: 150_000})
        await driven.session.desk.governor.record(spent, limits)

    async def raise_it(driven: Driven) -> None:
        await waiting(driven)
        await driven.house.stores.budget.put_limit_rule(day_cap(500))

    assert drive(Project(tmp_path, CODER, head=ACME), cap, raise_it) == (RunState.DONE, 1)


def test_room_that_another_holds_is_waited_for(tmp_path: Path) -> None:
    """Even where no window will ever reset, or none is waited for; and without being tried."""
    project = Project(tmp_path, CODER, head=f"{HEAD}budget: {{cost_usd: 0.2}}\n")
    fences: list[int] = []

    async def hold(driven: Driven) -> None:
        governor = driven.session.desk.governor
        limits = governor.run_limits(driven.session.record.id, driven.session.project.spec.budget)
        other = Request("another", Tier.STANDARD, {Unit.MICROUSD: 165_000})
        entry = (await governor.reserve(other, limits)).entry
        assert entry is not None
        fences.append(entry.fence)

    async def free(driven: Driven) -> None:
        await waiting(driven)
        await asyncio.sleep(1.2)
        assert await attempts(driven) == 0
        await driven.house.stores.ledger.release("another", fences[0])

    assert drive(project, hold, free, wait=False) == (RunState.DONE, 1)


def test_a_call_larger_than_a_window_ever_holds_is_told_at_once_and_by_the_plan(
    tmp_path: Path,
) -> None:
    project = Project(tmp_path, CODER, head=ACME)

    async def go() -> str:
        async with project.opened() as driven, asyncio.timeout(30):
            await driven.house.stores.budget.put_limit_rule(day_cap(10))
            await driven.session.desk.governor.refresh(now=True)
            with pytest.raises(BudgetExhausted, match="cap of acme: needs") as refused:
                await driven.session.engine.run()
            assert refused.value.resets_at is None
            assert "helios budget set cap AMOUNT --account acme" in refused.value.next_step
            assert await attempts(driven) == 0
            loaded = read_project(project.path)
            planner = driven.session.desk.planner(loaded.spec)
            roles = driven.session.project.roles
            plan = await planner.plan(
                loaded.spec, loaded.graph, roles, driven.session.record.id, None
            )
            assert not plan.fits
            return plan.verdict

    verdict = asyncio.run(go())
    assert verdict.startswith("task 고치기 can never call: cap of acme holds $0.10")


def test_a_task_too_large_for_its_budget_is_tried_once_and_fails_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it reads is known only when its call is made; the room left is known before that."""
    project = Project(tmp_path, CODER, head=f"{HEAD}budget: {{cost_usd: 0.18}}\n")
    big = "".join(f"값_{n} = {n * 7919}\n" for n in range(3_000))
    (tmp_path / "code" / "a.py").write_text(big, encoding="utf-8")
    works: list[TaskId] = []
    whole = TaskRunner.work

    async def counted(self: TaskRunner, task: TaskId, *rest: object) -> object:
        works.append(task)
        return await whole(self, task, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(TaskRunner, "work", counted)

    async def go() -> tuple[str, int, int]:
        async with project.opened() as driven, asyncio.timeout(30):
            with pytest.raises(BudgetExhausted, match="this run's cost") as refused:
                await driven.session.engine.run()
            events = await driven.house.stores.runs.events(driven.session.record.id)
            return refused.value.next_step, await attempts(driven), len(events)

    cure, tried, events = asyncio.run(go())
    assert "`cost_usd` under `budget:`" in cure
    assert (works, tried) == ([FIX], 1)
    assert events < 20
    text = project.path.read_text("utf-8")
    project.path.write_text(text.replace("0.18", "5"), encoding="utf-8")
    (tmp_path / "answers.yaml").write_text(
        (tmp_path / "answers.yaml").read_text("utf-8").replace("x = 1", "값_0 = 0"), "utf-8"
    )

    async def again() -> tuple[RunState, int]:
        async with project.opened() as driven, asyncio.timeout(30):
            return await driven.session.engine.run(), await attempts(driven)

    assert asyncio.run(again()) == (RunState.DONE, 1)
