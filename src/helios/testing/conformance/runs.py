"""The promises of `ports.runs`, as checks."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from helios.domain.ids import ProjectId, RequestId, RunId, TaskId, run_id
from helios.domain.usage import Usage
from helios.domain.workflow.states import RunState, TaskState
from helios.errors import ConflictError
from helios.ports.events import EventSink, RunEvent
from helios.ports.runs import AttemptRecord, CallRecord, NewRun, RunRecord, RunStore
from helios.testing.clock import MovableClock
from helios.testing.conformance.suite import Suite, refused

OpenRunStore = Callable[[MovableClock, EventSink], AbstractAsyncContextManager[RunStore]]
"""Opens the store; a second opening finds the same record."""

PROJECT = ProjectId("shop-1")
PLAN, CODE = TaskId("plan"), TaskId("코드-작성")


def new_run(project: ProjectId = PROJECT) -> NewRun:
    """A run of two tasks."""
    return NewRun(
        project=project,
        name="쇼핑몰 개선",
        path="/home/지훈/shop",
        spec='{"name": "쇼핑몰 개선"}',
        spec_digest="d1",
        provider="simulator",
        simulated=True,
        sandbox="direct",
        tasks=(PLAN, CODE),
    )


class RunStoreConformance(Suite):
    """Run every check on a store without runs."""

    def __init__(self, open_store: OpenRunStore) -> None:
        self._clock = MovableClock()
        self._told: list[RunEvent] = []
        self._open_store = open_store

    def _open(self) -> AbstractAsyncContextManager[RunStore]:
        return self._open_store(self._clock, self._hear)

    def _hear(self, event: RunEvent) -> None:
        self._told.append(event)

    async def check_1_a_new_run_has_all_tasks_waiting(self) -> None:
        """In order of definition, whatever their names."""
        async with self._open() as store:
            run = await store.create_run(new_run())
            assert run.state is RunState.RUNNING
            assert (run.number, run.id) == (1, run_id(PROJECT, 1))
            assert run.created_at == self._clock.now()
            tasks = await store.tasks(run.id)
            assert [(t.id, t.state, t.attempts) for t in tasks] == [
                (PLAN, TaskState.WAITING, 0),
                (CODE, TaskState.WAITING, 0),
            ]

    async def check_1_tasks_move_along_the_table(self) -> None:
        """Times are those of the moves."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            for state in (TaskState.READY, TaskState.RUNNING, TaskState.DONE):
                self._clock.move(10)
                moved = await store.move_task(run, PLAN, state, f"이유 {state}")
                assert moved == await store.task(run, PLAN)
                assert (moved.state, moved.reason) == (state, f"이유 {state}")
            done, now = await store.task(run, PLAN), self._clock.now()
            assert (done.ready_at, done.started_at, done.finished_at) == (now - 20, now - 10, now)
            assert (await store.task(run, CODE)).state is TaskState.WAITING

    async def check_1_other_moves_are_refused(self) -> None:
        """The record stays as it was and there is no event."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            before = await store.task(run, PLAN), await store.events(run)
            await refused(store.move_task(run, PLAN, TaskState.DONE, "skip"), ConflictError)
            assert (await store.task(run, PLAN), await store.events(run)) == before

    async def check_1_what_does_not_exist_is_a_conflict(self) -> None:
        """Runs and tasks that nobody created."""
        ghost = RunId("ghost.1")
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            await refused(store.task(run, TaskId("ghost")), ConflictError)
            await refused(store.move_task(run, TaskId("ghost"), TaskState.READY, ""), ConflictError)
            await refused(store.move_task(ghost, PLAN, TaskState.READY, ""), ConflictError)
            await refused(store.set_run_state(ghost, RunState.DONE), ConflictError)
            await refused(store.add_event(RunEvent(ghost, "note", 1.0)), ConflictError)
            assert await store.run(ghost) is None
            assert await store.tasks(ghost) == ()
            assert await store.latest_run(ProjectId("ghost")) is None

    async def check_1_a_repeated_move_is_the_same_as_one(self) -> None:
        """Same state, reason, commit and output: no second event, no new time."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            await store.move_task(run, PLAN, TaskState.READY, "ready")
            first = await store.move_task(run, PLAN, TaskState.RUNNING, "go", commit="c1")
            events = await store.events(run)
            self._clock.move(5)
            assert await store.move_task(run, PLAN, TaskState.RUNNING, "go") == first
            again = await store.move_task(run, PLAN, TaskState.RUNNING, "go", commit="c1")
            assert again == first
            assert await store.events(run) == events
            other = await store.move_task(run, PLAN, TaskState.RUNNING, "still going")
            assert other == replace(first, reason="still going")
            assert len(await store.events(run)) == len(events) + 1

    async def check_1_a_second_try_starts_clean(self) -> None:
        """Back to waiting: not finished any more; what was produced stays."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            await store.move_task(run, PLAN, TaskState.READY, "")
            self._clock.move(1)
            await store.move_task(run, PLAN, TaskState.RUNNING, "")
            failed = await store.move_task(run, PLAN, TaskState.FAILED, "깨짐", output="요약")
            assert failed.finished_at == self._clock.now()
            self._clock.move(1)
            until = self._clock.now() + 60
            waiting = await store.move_task(run, PLAN, TaskState.WAITING, "again", not_before=until)
            assert waiting.finished_at is None
            assert (waiting.output, waiting.not_before) == ("요약", until)
            ready = await store.move_task(run, PLAN, TaskState.READY, "now")
            assert (ready.ready_at, ready.not_before) == (self._clock.now(), None)
            assert ready.started_at == failed.started_at

    async def check_1_runs_stop_and_go_on(self) -> None:
        """A run that ended may be taken up again."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            await store.set_run_state(run, RunState.FAILED, "a task failed")
            assert _known(await store.run(run)).finished_at == self._clock.now()
            events = await store.events(run)
            await store.set_run_state(run, RunState.FAILED, "a task failed")
            assert await store.events(run) == events
            await store.set_run_state(run, RunState.RUNNING, "again")
            again = _known(await store.run(run))
            assert (again.state, again.finished_at) == (RunState.RUNNING, None)

    async def check_1_a_wish_to_cancel_outlives_a_stop_and_an_end_outlives_the_wish(self) -> None:
        """What the table does not allow changes nothing and leaves no event."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            wish = RunState.CANCELLING
            assert await store.set_run_state(run, wish, "그만") is wish
            before = await store.events(run)
            for late in (RunState.STOPPED, RunState.RUNNING):
                assert await store.set_run_state(run, late, "늦음") is wish
            assert await store.events(run) == before
            assert await store.set_run_state(run, RunState.DONE) is RunState.DONE
            for late in (wish, RunState.CANCELLED, RunState.STOPPED):
                assert await store.set_run_state(run, late, "늦음") is RunState.DONE
            assert _known(await store.run(run)).state is RunState.DONE

    async def check_2_every_move_leaves_an_event(self) -> None:
        """Stored with the move and told at once, in the same words."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            await store.move_task(run, PLAN, TaskState.READY, "준비됨")
            await store.set_run_state(run, RunState.STOPPED, "멈춤")
            stored = await store.events(run)
            assert tuple(self._told) == stored
            assert [(e.kind, e.task, e.data["state"], e.data["reason"]) for e in stored] == [
                ("run", None, "running", ""),
                ("task", PLAN, "ready", "준비됨"),
                ("run", None, "stopped", "멈춤"),
            ]

    async def check_2_attempts_and_calls_leave_events(self) -> None:
        """An attempt when it begins and when it ends, a call once."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            attempt = AttemptRecord(PLAN, 1, "fast", {"task_type": "planning"}, started_at=1.0)
            ended = replace(attempt, failure="gate failed", detail="시험 실패", finished_at=2.0)
            for record in (attempt, attempt, ended, ended):
                await store.save_attempt(run, record)
            for _ in range(2):
                await store.save_call(call_of(run))
            kinds = [(e.kind, e.data["state"]) for e in await store.events(run)]
            assert kinds == [
                ("run", "running"),
                ("attempt", "running"),
                ("attempt", "failed"),
                ("call", "answered"),
            ]
            assert await store.attempts(run) == (ended,)
            assert (await store.task(run, PLAN)).attempts == 1

    async def check_3_events_are_numbered_upwards(self) -> None:
        """Read back in order, from any number on, in pieces of any size."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            other = (await store.create_run(new_run(ProjectId("other-2")))).id
            facts = [RunEvent(run, "note", float(n), None, {"글": f"{n}번"}) for n in range(10)]
            added = []
            for fact in facts:
                added.append(await store.add_event(fact))
                await store.add_event(replace(fact, run=other))
            (first, *rest) = await store.events(run)
            assert first.kind == "run"
            assert rest == added
            assert [replace(event, seq=0) for event in added] == facts
            numbers = [event.seq for event in (first, *rest)]
            assert numbers == sorted(set(numbers))
            assert all(number > 0 for number in numbers)
            assert await store.events(run, after=added[3].seq, most=2) == (added[4], added[5])
            assert await store.events(run, after=added[-1].seq) == ()

    async def check_3_no_number_appears_behind_a_reader(self) -> None:
        """Somebody who follows the events misses none, however many write."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            followed: list[RunEvent] = []

            async def follow() -> None:
                while len(followed) < 41:
                    last = followed[-1].seq if followed else 0
                    followed.extend(await store.events(run, after=last))

            writes = [store.add_event(RunEvent(run, "note", float(n))) for n in range(40)]
            await asyncio.wait_for(asyncio.gather(follow(), *writes), timeout=30)
            assert tuple(followed) == await store.events(run)

    async def check_4_a_reply_comes_back_letter_by_letter(self) -> None:
        """Whatever a model wrote."""
        reply = (
            '{"text": "안녕하세요 \\u0000 👩‍💻 \\n\\t é e\\u0301 \\" \\\\ \u2028 '
            + "가" * 100_000
            + '"}'
        )
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            call = replace(call_of(run), reply=reply)
            await store.save_call(call)
            await store.save_call(replace(call, reply="another", cost_microusd=1))
            assert await store.call(call.request) == call
            assert await store.call(RequestId("unknown")) is None

    async def check_4_calls_are_listed_the_oldest_first(self) -> None:
        """Of one run only."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            other = (await store.create_run(new_run())).id
            made = tuple(call_of(run, n) for n in range(12))
            for call in made:
                await store.save_call(call)
            await store.save_call(call_of(other))
            assert await store.calls(run) == made

    async def check_4_programs_may_print_anything(self) -> None:
        """Output that is no text is kept as well as can be, and loses nothing else."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            detail = "before \x00 \ud800 after 가"
            await store.save_attempt(
                run, AttemptRecord(PLAN, 1, None, {"k": "\x00\ud800"}, None, detail)
            )
            (kept,) = await store.attempts(run)
            assert kept.detail.startswith("before ")
            assert kept.detail.endswith(" after 가")

    async def check_5_opening_again_changes_nothing(self) -> None:
        """Everything is as it was."""

        async def look(store: RunStore) -> object:
            run = run_id(PROJECT, 1)
            return (
                await store.runs(),
                await store.latest_run(PROJECT),
                await store.tasks(run),
                await store.attempts(run),
                await store.calls(run),
                await store.events(run),
                await store.outcomes(simulated=True),
            )

        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            await store.move_task(run, PLAN, TaskState.READY, "준비", not_before=7.25)
            await store.save_attempt(run, ended_attempt(1, None))
            await store.save_call(call_of(run))
            before = await look(store)
        async with self._open() as store:
            assert await look(store) == before

    async def check_5_outcomes_teach_only_about_models(self) -> None:
        """Ended attempts with a model; failures only where the model is to blame."""
        async with self._open() as store:
            run = (await store.create_run(new_run())).id
            failures = [None, "bad output", "rate limit", "patch does not fit", "gate failed"]
            failures += ["connection", "merge conflict", "budget exhausted"]
            for n, failure in enumerate(failures, start=1):
                await store.save_attempt(run, ended_attempt(n, failure))
            without_model = replace(ended_attempt(20, None), model=None)
            without_end = replace(ended_attempt(21, None), finished_at=None)
            for attempt in (without_model, without_end):
                await store.save_attempt(run, attempt)
            assert await store.outcomes(simulated=True) == (
                ("planning", "fast", True),
                ("planning", "fast", False),
                ("planning", "fast", False),
                ("planning", "fast", False),
            )
            assert (await store.task(run, PLAN)).attempts == 21
            assert [a.number for a in await store.attempts(run, PLAN)] == [*range(1, 9), 20, 21]
            assert await store.attempts(run, CODE) == ()

    async def check_5_simulated_outcomes_are_kept_apart(self) -> None:
        """What a simulator answered is not learnt from for a real model, nor the reverse."""
        async with self._open() as store:
            for number, simulated in enumerate((True, False), start=1):
                project = ProjectId(f"shop-{number}")
                run = (await store.create_run(replace(new_run(project), simulated=simulated))).id
                await store.save_attempt(run, ended_attempt(1, None if simulated else "bad output"))
            assert await store.outcomes(simulated=True) == (("planning", "fast", True),)
            assert await store.outcomes(simulated=False) == (("planning", "fast", False),)

    async def check_6_no_two_runs_get_the_same_number(self) -> None:
        """Twenty at once; other projects count for themselves."""
        async with self._open() as store:
            await store.create_run(new_run(ProjectId("other-2")))
            created = await asyncio.gather(*(store.create_run(new_run()) for _ in range(20)))
            assert sorted(run.number for run in created) == list(range(1, 21))
            newest = _known(await store.latest_run(PROJECT))
            assert newest.number == 20
            listed = await store.runs(most=5)
            assert len(listed) == 5
            assert newest in listed
            assert len(await store.runs()) == 21


def ended_attempt(number: int, failure: str | None) -> AttemptRecord:
    """An attempt of the planning task that has ended."""
    choice = {"task_type": "planning", "이유": "점수 6.7"}
    return AttemptRecord(PLAN, number, "fast", choice, failure, "", float(number), number + 0.5)


def call_of(run: RunId, number: int = 1) -> CallRecord:
    """An answered call."""
    return CallRecord(
        request=RequestId(f"{run}/plan/1.{number}"),
        run=run,
        task=PLAN,
        attempt=1,
        model="fast",
        tier="standard",
        provider="simulator",
        simulated=True,
        usage=Usage(1200, 340, 5, 6),
        cost_microusd=12_345_678_901_234,
        started_at=1_800_000_000.123456,
        finished_at=1_800_000_001.654321,
        reply='{"text": "네"}',
    )


def _known(run: RunRecord | None) -> RunRecord:
    assert run is not None
    return run
