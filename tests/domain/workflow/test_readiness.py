"""The incremental set of ready tasks is always what the definition says."""

from hypothesis import given
from hypothesis import strategies as st

from helios.domain.ids import TaskId
from helios.domain.workflow.readiness import Readiness
from tests.domain.graphs import Needs, built, sound_needs


def ready_by_definition(needs: Needs, done: set[TaskId]) -> set[TaskId]:
    return {task for task, of in needs.items() if task not in done and done.issuperset(of)}


@given(sound_needs(), st.data())
def test_after_any_order_of_completions_ready_is_what_waits_for_nothing(
    needs: Needs, data: st.DataObject
) -> None:
    readiness, done = Readiness(built(needs)), set[TaskId]()
    assert set(readiness.ready) == ready_by_definition(needs, done)
    for task in data.draw(st.permutations(list(needs))):
        before = ready_by_definition(needs, done)
        freed = readiness.complete(task)
        done.add(task)
        now = ready_by_definition(needs, done)
        assert set(readiness.ready) == now
        assert freed == tuple(t for t in needs if t in now - before)


@given(sound_needs(), st.data())
def test_completing_a_task_again_changes_nothing(needs: Needs, data: st.DataObject) -> None:
    readiness = Readiness(built(needs))
    for task in data.draw(st.permutations(list(needs))):
        readiness.complete(task)
        ready = dict(readiness.ready)
        assert readiness.complete(task) == ()
        assert readiness.ready == ready


@given(sound_needs(), st.data())
def test_starting_from_what_is_done_equals_having_watched_it(
    needs: Needs, data: st.DataObject
) -> None:
    done = data.draw(st.sets(st.sampled_from(list(needs)))) if needs else set[TaskId]()
    resumed = Readiness(built(needs), sorted(done))
    assert set(resumed.ready) == ready_by_definition(needs, done)
    for task, of in needs.items():
        assert resumed.missing(task) == tuple(need for need in of if need not in done)


def test_a_join_waits_for_its_last_need() -> None:
    left, right, join = TaskId("왼쪽"), TaskId("오른쪽"), TaskId("합류")
    readiness = Readiness(built({left: (), right: (), join: (left, right)}))
    assert readiness.complete(left) == ()
    assert readiness.missing(join) == (right,)
    assert readiness.complete(right) == (join,)
    assert list(readiness.ready) == [join]
