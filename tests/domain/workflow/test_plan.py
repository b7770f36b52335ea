"""The plan's figures against enumeration, Monte Carlo and the bounds every schedule keeps."""

import math
import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.ids import TaskId
from helios.domain.workflow import plan
from helios.domain.workflow.graph import Graph
from helios.domain.workflow.plan import Band, TaskEstimate, forecast, schedule_length
from tests.domain.graphs import Needs, all_outcomes, built, chain, names, sound_needs

SECONDS = st.integers(0, 100).map(float)
TRIES = 3000


def estimate(task: TaskId, success: float = 0.7, attempts: int = 3, calls: int = 2) -> TaskEstimate:
    costs = tuple(1000 * (2 + step) for step in range(attempts))
    return TaskEstimate(task, calls, success, attempts, costs, attempt_s=30.0)


def various(count: int, seed: int) -> dict[TaskId, TaskEstimate]:
    draw = random.Random(seed)
    return {
        task: TaskEstimate(
            task,
            calls=draw.randint(1, 4),
            success=draw.uniform(0.4, 0.95),
            attempts=(attempts := draw.randint(1, 4)),
            step_costs=tuple(draw.randint(500, 5000) for _ in range(attempts)),
            attempt_s=draw.uniform(10, 90),
        )
        for task in names(count)
    }


def attempts_drawn(of: TaskEstimate, draw: random.Random) -> int:
    count = 1
    while count < of.attempts and draw.random() >= of.success:
        count += 1
    return count


def independent(count: int) -> Graph:
    return built(dict.fromkeys(names(count), ()))


ESTIMATES = st.builds(
    estimate,
    st.just(TaskId("t")),
    success=st.floats(0, 1),
    attempts=st.integers(1, 8),
    calls=st.integers(0, 5),
)


@given(ESTIMATES)
def test_the_chances_of_all_endings_sum_to_one(of: TaskEstimate) -> None:
    chances = of.attempt_distribution()
    assert sum(chances) == pytest.approx(1)
    assert min(chances) >= -1e-12
    assert len(chances) == (of.attempts if of.calls else 1)


@given(ESTIMATES.filter(lambda of: of.calls > 0))
def test_an_ending_is_as_likely_as_its_failures_and_its_success(of: TaskEstimate) -> None:
    chances, fail = of.attempt_distribution(), 1 - of.success
    for count, chance in enumerate(chances[:-1]):
        assert chance == pytest.approx(fail**count * of.success)
    assert chances[-1] == pytest.approx(fail ** (of.attempts - 1), abs=1e-12)
    # E[N] = sum of P(N > k) for the truncated geometric distribution.
    assert of.expected_attempts == pytest.approx(sum(fail**k for k in range(of.attempts)))
    assert of.expected_s == pytest.approx(30 * of.expected_attempts)


@given(
    st.lists(
        st.builds(
            estimate,
            st.just(TaskId("t")),
            success=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]),
            attempts=st.integers(1, 3),
            calls=st.integers(0, 3),
        ),
        max_size=4,
    )
)
def test_messages_are_the_quantiles_of_every_possible_course(parts: list[TaskEstimate]) -> None:
    tasks = {
        task: TaskEstimate(task, p.calls, p.success, p.attempts, p.step_costs, p.attempt_s)
        for task, p in zip(names(len(parts)), parts, strict=True)
    }
    asking = [of for of in tasks.values() if of.calls]
    mass: dict[int, float] = {}
    for counts, likely in all_outcomes([of.attempt_distribution() for of in asking]):
        total = sum(of.calls * count for of, count in zip(asking, counts, strict=True))
        mass[total] = mass.get(total, 0.0) + likely
    totals = sorted(mass)
    grown = list(accumulate(mass[total] for total in totals))

    def quantile(q: float) -> int:
        return next(n for n, seen in zip(totals, grown, strict=True) if seen >= q - 1e-9)

    found = forecast(independent(len(parts)), tasks, 4).messages
    assert found == Band(quantile(0.5), quantile(0.9))


@pytest.mark.parametrize(("count", "seed"), [(1, 3), (5, 4), (40, 5), (260, 6)])
def test_messages_agree_with_monte_carlo(count: int, seed: int) -> None:
    draw, tasks = random.Random(seed), various(count, seed)
    found = forecast(independent(count), tasks, 4).messages
    totals = [
        sum(of.calls * attempts_drawn(of, draw) for of in tasks.values())
        for _ in range(TRIES if count < 100 else TRIES // 5)
    ]
    for value, q in ((found.p50, 0.5), (found.p90, 0.9)):
        assert share(totals, value) >= q - 0.04
        assert share(totals, value - 1) <= q + 0.04


def test_cost_agrees_with_monte_carlo() -> None:
    draw, tasks = random.Random(8), various(60, 8)
    found = forecast(independent(60), tasks, 4).cost_microusd
    totals = [
        sum(sum(of.step_costs[: attempts_drawn(of, draw)]) for of in tasks.values())
        for _ in range(TRIES)
    ]
    assert found.p50 == pytest.approx(sum(totals) / TRIES, rel=0.01)
    assert share(totals, found.p50) == pytest.approx(0.5, abs=0.05)
    assert share(totals, found.p90) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("slots", [1, 4])
def test_the_time_of_a_chain_agrees_with_monte_carlo_however_many_slots(slots: int) -> None:
    draw, tasks, graph = random.Random(9), various(12, 9), built(chain(12))
    found = forecast(graph, tasks, slots).seconds
    totals = [
        sum(of.attempt_s * attempts_drawn(of, draw) for of in tasks.values()) for _ in range(TRIES)
    ]
    assert found.p50 == pytest.approx(sum(totals) / TRIES, rel=0.02)
    assert share(totals, found.p90) == pytest.approx(0.9, abs=0.03)


def test_the_time_of_many_independent_tasks_agrees_with_monte_carlo() -> None:
    draw, tasks, graph = random.Random(10), various(120, 10), independent(120)
    found = forecast(graph, tasks, 3).seconds

    def drawn() -> float:
        seconds = {task: of.attempt_s * attempts_drawn(of, draw) for task, of in tasks.items()}
        return schedule_length(graph, seconds, 3)

    totals = [drawn() for _ in range(300)]
    assert share(totals, found.p50) == pytest.approx(0.5, abs=0.12)
    assert share(totals, found.p90) == pytest.approx(0.9, abs=0.06)


def share(totals: list[float] | list[int], most: float) -> float:
    return sum(total <= most for total in totals) / len(totals)


def test_exact_and_normal_agree_at_the_border(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, graph = various(plan.EXACT_UP_TO, 11), independent(plan.EXACT_UP_TO)
    exact = forecast(graph, tasks, 4).messages
    monkeypatch.setattr(plan, "EXACT_UP_TO", 0)
    normal = forecast(graph, tasks, 4).messages
    assert exact != Band(0, 0)
    assert normal.p50 == pytest.approx(exact.p50, abs=2)
    assert normal.p90 == pytest.approx(exact.p90, abs=3)


def test_one_task_more_than_exact_is_about_one_task_more() -> None:
    bands = [
        forecast(independent(count), {t: estimate(t) for t in names(count)}, 4).messages
        for count in (plan.EXACT_UP_TO, plan.EXACT_UP_TO + 1)
    ]
    grown = 2 * estimate(TaskId("t")).expected_attempts
    assert bands[1].p50 - bands[0].p50 == pytest.approx(grown, abs=2)
    assert bands[1].p90 - bands[0].p90 == pytest.approx(grown, abs=3)


@given(sound_needs(), st.data(), st.integers(-1, 6))
def test_a_schedule_keeps_the_bounds_of_list_scheduling(
    needs: Needs, data: st.DataObject, slots: int
) -> None:
    graph = built(needs)
    seconds = {task: data.draw(SECONDS) for task in graph.order}
    length, work, used = (
        schedule_length(graph, seconds, slots),
        sum(seconds.values()),
        max(1, slots),
    )
    critical = sum(seconds[task] for task in graph.critical_path(seconds))
    assert critical <= length <= work
    assert work / used <= length + 1e-9
    # Graham's bound: no slot idles while a task is ready.
    assert length <= work / used + (1 - 1 / used) * critical + 1e-9


@given(sound_needs(), st.data())
def test_one_slot_takes_the_sum_and_endless_slots_the_critical_path(
    needs: Needs, data: st.DataObject
) -> None:
    graph = built(needs)
    seconds = {task: data.draw(SECONDS) for task in graph.order}
    assert schedule_length(graph, seconds, 1) == sum(seconds.values())
    critical = sum(seconds[task] for task in graph.critical_path(seconds))
    assert schedule_length(graph, seconds, len(needs)) == critical


def test_the_longest_tail_goes_first() -> None:
    short, long, end = names(3)
    graph = built({short: (), long: (), end: (long,)})
    assert schedule_length(graph, {short: 4.0, long: 5.0, end: 5.0}, 1) == 14
    parallel = built({short: (), TaskId("other"): (), long: (), end: (long,)})
    seconds = {short: 4.0, TaskId("other"): 4.0, long: 5.0, end: 5.0}
    assert schedule_length(parallel, seconds, 2) == 10


def test_tasks_left_out_count_as_done() -> None:
    graph = built(chain(4))
    *_, last = graph.order
    found = forecast(graph, {last: estimate(last, success=1.0)}, 2)
    assert found.messages == Band(2, 2)
    assert found.cost_microusd == Band(2000, 2000)
    assert found.seconds == Band(30, 30)
    assert found.sequential_s == 30


def test_nothing_left_takes_nothing() -> None:
    found = forecast(built(chain(3)), {}, 4)
    assert (found.messages, found.cost_microusd, found.seconds) == (Band(0, 0),) * 3
    assert found.sequential_s == 0


def test_a_task_without_a_model_takes_time_only() -> None:
    (task,) = names(1)
    found = forecast(independent(1), {task: estimate(task, calls=0, success=0.1)}, 1)
    assert (found.messages, found.cost_microusd) == (Band(0, 0), Band(0, 0))
    assert found.seconds == Band(30, 30)


@given(sound_needs(), st.integers(1, 5), st.integers(0, 10_000))
def test_the_ninetieth_percentile_is_never_below_the_median(
    needs: Needs, slots: int, seed: int
) -> None:
    graph = built(needs)
    found = forecast(
        graph, {t: of for t, of in various(len(needs), seed).items() if t in needs}, slots
    )
    assert found.messages.p50 <= found.messages.p90
    assert found.cost_microusd.p50 <= found.cost_microusd.p90
    assert found.seconds.p50 <= found.seconds.p90
    assert found.seconds.p50 <= found.sequential_s + 1e-6


def test_the_median_of_a_fair_coin_is_its_lower_side() -> None:
    (task,) = names(1)
    coin = TaskEstimate(task, 1, 0.5, 2, (10, 20), 1.0)
    found = forecast(independent(1), {task: coin}, 1)
    assert found.messages == Band(1, 2)
    assert found.cost_microusd.p50 == 20
    # Attempts cost 10 and 20 in turn: 10 or 30 in all.
    assert found.cost_microusd.p90 == pytest.approx(20 + 1.2816 * math.sqrt(100))
