"""What a crash took is sent again, and the task's own envelope is not eaten by it."""

from dataclasses import replace
from pathlib import Path

import pytest

from helios.domain.budget.units import Unit
from helios.domain.ids import TaskId, request_id
from helios.domain.workflow.retries import RetryPolicy
from helios.domain.workflow.spec import BudgetSpec, ProjectSpec, TaskSpec
from helios.errors import BudgetExhausted, ConnectionLost
from helios.services.responses import Call
from helios.services.run_book import with_pace_of, work_digest
from helios.testing.scripted_model import ScriptedProvider, reply
from tests.services.crashes import Crash, CrashingAt
from tests.services.rooms import TASK, Rooms, in_rooms

pytestmark = pytest.mark.slow


def spec(retries: int, messages: int | None = None) -> TaskSpec:
    return TaskSpec(TASK, agent="coder", retry=RetryPolicy(retries=retries), messages=messages)


def call(rooms: Rooms, task: TaskSpec, attempt: int = 1) -> Call:
    limits = rooms.governor.task_limits(rooms.run.id, BudgetSpec(messages=9), task)
    return rooms.call(limits, attempt)


async def spent(rooms: Rooms, key: str) -> int:
    limits = rooms.governor.task_limits(rooms.run.id, BudgetSpec(messages=9), spec(0))
    balances = await rooms.stores.ledger.balances(limits)
    return next(b.spent for b in balances if b.limit.key.endswith(key))


@pytest.mark.parametrize(("retries", "crashes"), [(0, 1), (0, 4), (3, 4)])
def test_however_often_a_process_dies_in_mid_call_the_task_still_gets_its_answer(
    tmp_path: Path, retries: int, crashes: int
) -> None:
    async def work(rooms: Rooms) -> None:
        asked = call(rooms, spec(retries))
        for _ in range(crashes):
            dying = CrashingAt(ScriptedProvider([]), "call", after=False)
            with pytest.raises(Crash):
                await rooms.responses(dying).ask(asked)
        responses = rooms.responses(ScriptedProvider([reply("답")]))
        tier = rooms.router.catalogue.model(asked.request.model).tier
        last = request_id(rooms.run.id, TASK, 1, 1, crashes - 1)
        await rooms.stores.ledger.charge_unknown(last)
        bound, limits = await responses.least(asked)
        # What asks whether it would fit knows of it, too.
        assert (await rooms.governor.fits(bound, tier, 5, limits)).granted
        assert (await responses.ask(asked)).text == "답"
        # It was paid all the same: the run's own ceiling counts every one.
        assert await spent(rooms, f"{rooms.run.id}/{Unit.MESSAGES}") == crashes + 1

    in_rooms(tmp_path, work)


def test_a_failure_of_the_provider_uses_the_envelope_up(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        broken = ConnectionLost("끊김", billed="unknown")
        responses = rooms.responses(ScriptedProvider([broken, broken, reply()]))
        task = spec(retries=1)
        for attempt in (1, 2):
            with pytest.raises(ConnectionLost):
                await responses.ask(call(rooms, task, attempt))
        with pytest.raises(BudgetExhausted, match="task fix") as refused:
            await responses.ask(call(rooms, task, 3))
        assert refused.value.next_step == "Raise `messages:` of task fix in helios.yaml and resume."
        raised = spec(retries=1, messages=3)
        assert (await responses.ask(call(rooms, raised, 3))).text == "[simulated]"

    in_rooms(tmp_path, work)


def test_a_run_goes_on_with_the_messages_its_file_says_now() -> None:
    old = ProjectSpec("작은 일", "된다", (spec(0), replace(spec(0), id=TaskId("other"))))
    new = replace(old, tasks=(spec(0, messages=5),))
    assert work_digest(old) == work_digest(replace(old, tasks=(spec(0, messages=5), old.tasks[1])))
    assert [task.messages for task in with_pace_of(old, new).tasks] == [5, None]
    changed = replace(new, tasks=(replace(spec(0, messages=5), prompt="다른 것"),))
    assert with_pace_of(old, changed).tasks[0].prompt == ""
