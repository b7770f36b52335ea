"""The router on a real store: its choice follows the budget and what was learnt."""

from dataclasses import replace
from pathlib import Path

from helios.agents.catalogue import builtin_roles
from helios.domain.ids import TaskId
from helios.domain.workflow.spec import TaskSpec
from helios.ports.runs import AttemptRecord
from tests.services.rooms import TASK, Rooms, in_rooms

CODER = builtin_roles()["coder"]
REVIEWER = builtin_roles()["reviewer"]
SPEC = TaskSpec(TaskId("fix"), agent="coder", prompt="It answers 3 instead of 4.")


def test_an_explanation_adds_up_and_names_every_alternative(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        route = await rooms.router.route(SPEC, CODER, rooms.limits())
        told = route.explanation
        assert round(sum(f["points"] for f in told["factors"]), 2) == round(told["score"], 2)
        assert [f["weight"] for f in told["factors"]] == [0.4, 0.3, 0.2, 0.1]
        costs = [a["cost_usd"] for a in told["alternatives"]]
        assert costs == sorted(costs)
        assert told["model"] in {a["model"] for a in told["alternatives"]}

    in_rooms(tmp_path, work)


def test_outcomes_of_this_users_own_runs_are_learnt_from(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        fresh = await rooms.router.route(SPEC, CODER, rooms.limits())
        for number in range(1, 9):
            attempt = AttemptRecord(
                TASK, number, fresh.choice.model, fresh.explanation, "gate failed",
                started_at=1.0, finished_at=2.0,
            )  # fmt: skip
            await rooms.stores.runs.save_attempt(rooms.run.id, attempt)
        taught = await rooms.router.route(SPEC, CODER, rooms.limits())
        before = {a.model: a.success for a in fresh.choice.alternatives}
        after = {a.model: a.success for a in taught.choice.alternatives}
        assert after[fresh.choice.model] < before[fresh.choice.model] - 0.4
        assert taught.choice.factors[2].value > fresh.choice.factors[2].value

    in_rooms(tmp_path, work)


def test_escalation_and_pins(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        first = await rooms.router.route(SPEC, CODER, rooms.limits())
        higher = await rooms.router.route(SPEC, CODER, rooms.limits(), escalate=1)
        assert higher.choice.tier.rank == first.choice.tier.rank + 1
        assert "escalated" in higher.choice.reason
        pinned = await rooms.router.route(replace(SPEC, model="economy"), CODER, rooms.limits())
        assert pinned.choice.tier == "economy"
        review = replace(SPEC, agent="reviewer", prompt="Review")
        assert (await rooms.router.route(review, REVIEWER, rooms.limits())).choice.tier == "strong"

    in_rooms(tmp_path, work)
