"""Wishes and lessons for the router: any that a run may have."""

from hypothesis import strategies as st

from helios.domain.budget.zones import Zone
from helios.domain.pricing import Tier
from helios.domain.routing.choice import RoutingInput
from helios.domain.routing.complexity import Complexity, band_of
from helios.domain.routing.learning import Learned
from helios.domain.usage import Usage
from tests.domain.prices import LADDER, TIERS, USAGES

TYPES = st.sampled_from(["coding", "review", "architecture", "boilerplate"])
SHARES = st.floats(0, 1.2)


def looks(score: float) -> Complexity:
    return Complexity(score, band_of(score), (("type", score),))


WISHES = st.builds(
    RoutingInput,
    task_type=TYPES,
    complexity=st.floats(1, 10).map(looks),
    priority=st.integers(1, 10),
    used=SHARES,
    zone=st.sampled_from(Zone),
    strong_share_used=SHARES,
    expected=USAGES,
    minimum_tier=TIERS,
    escalate=st.integers(0, 5),
)
PINS = st.sampled_from([*Tier, *(model.name for model in LADDER)]).map(str)
_KEYS = st.tuples(TYPES, st.sampled_from([model.name for model in LADDER]))
LESSONS = st.builds(
    Learned,
    st.dictionaries(_KEYS, st.floats(0, 1)),
    st.dictionaries(_KEYS, st.integers(0, 200)),
)


def wish(
    score: float, *, used: float = 0.0, priority: int = 5, task_type: str = "coding"
) -> RoutingInput:
    """An ordinary one, in an ordinary state of the budget."""
    return RoutingInput(task_type, looks(score), priority, used, Zone.NORMAL, 0.0, Usage(1000, 100))
