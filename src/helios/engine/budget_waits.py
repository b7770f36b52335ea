"""Which tasks wait for their budget, for what, and when each is looked at again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from helios.domain.budget.ledger import Admission
from helios.domain.budget.window import NEVER
from helios.domain.ids import TaskId
from helios.domain.workflow.states import TaskState
from helios.ports.clock import Clock
from helios.ports.runs import TaskRecord

LOOK_AGAIN_S = 2.0
"""Room is freed, a brake lifted and a ceiling raised without anybody telling a waiting task."""
LOOKS_TOGETHER = 20
"""So many are looked at in that time; of more, each less often."""
LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class _Wait:
    """What a task waits for: the answer it got at `asked_at`, asked again at `again_at` by the
    monotonic clock or when the window resets.
    """

    answer: Admission
    asked_at: float
    again_at: float


class BudgetWaits:
    """Kept in this process: after a restart everybody is looked at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits: dict[TaskId, _Wait] = {}
        self._starts: dict[TaskId, int] = {}
        self._not_again_before: dict[TaskId, float] = {}

    def is_due(self, record: TaskRecord) -> bool:
        """Whether to ask now if a task that could start has room."""
        wait = self._waits.get(record.id)
        if wait is None or record.state is not TaskState.WAITING:
            return True
        resets_at = math.inf if wait.answer.resets_at is None else wait.answer.resets_at
        has_reset = wait.asked_at < resets_at <= self._clock.now()
        return has_reset or self._clock.monotonic() >= wait.again_at

    def hold(self, task: TaskId, answer: Admission) -> bool:
        """Let a task wait for what refuses it; whether that is news."""
        before = self._waits.get(task)
        spread = max(1.0, len(self._waits) / LOOKS_TOGETHER)
        again_at = self._clock.monotonic() + LOOK_AGAIN_S * spread
        self._waits[task] = _Wait(answer, self._clock.now(), again_at)
        return before is None or _cause(before.answer) != _cause(answer)

    def may_start(self, task: TaskId) -> bool:
        """Whether a task that has room may start now, noting that it does.

        One that came back although it seemed to have room has to pause, longer each time.
        """
        self._waits.pop(task, None)
        now = self._clock.monotonic()
        if now < self._not_again_before.get(task, -math.inf):
            return False
        starts = self._starts[task] = self._starts.get(task, 0) + 1
        pause_s = min(LONGEST_PAUSE_S, LOOK_AGAIN_S * 2.0 ** min(starts - 1, 10))
        self._not_again_before[task] = now + pause_s
        return True

    def verdict(self, waiting: Sequence[TaskId], *, wait_for_budget: bool) -> Admission | None:
        """Why a run of which only these tasks are left cannot go on; None while it may.

        Room that is only held is always waited for; a reset and the end of a brake when wished.
        """
        answers = [self._waits[task].answer for task in waiting if task in self._waits]
        if len(answers) < len(waiting) or any(answer.waits for answer in answers):
            return None
        soon = [answer for answer in answers if not answer.hopeless]
        if soon and wait_for_budget:
            return None
        return min(soon or answers, key=_resets_at, default=None)


def _cause(answer: Admission) -> tuple[str, bool, bool, float]:
    return answer.binding, answer.waits, answer.hopeless, _resets_at(answer)


def _resets_at(answer: Admission) -> float:
    return NEVER if answer.resets_at is None else answer.resets_at
