"""What the machine draws at random for its acts."""

from hypothesis import strategies as st

from tests.proof.model import SHARED, TENANTS

PICKS = st.integers(0, 19)
STALE = st.sampled_from([0, 0, 0, 0, 1])
BOTH = st.sampled_from(TENANTS)
SHARES = st.sets(st.sampled_from(SHARED), min_size=1)
BILLS = st.sampled_from(["all", "all", "part", "nothing", "over"])
ACTS = st.lists(
    st.sampled_from(
        ["ask", "mark_sent", "old_fence", "settle", "release", "take_over", "open_again"]
    ),
    min_size=2,
    max_size=5,
)
JUMPS = st.sampled_from([1, 10, 20, 30, 50, 100, 86_400, -1, -50, -86_400])
TOKENS = st.integers(2, 20)
LESS = st.integers(0, 20)
WAITS = st.sampled_from([0, 30, 86_400])
