"""Admitted exactly when it fits and may pass everywhere; held everywhere or nowhere."""

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helios.domain.budget.ledger import Admission, EntryState, Request, admit
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import NEVER, OpensOnUse, Window
from helios.domain.budget.zones import Thresholds, Zone, may_pass, zone_of
from helios.domain.pricing import Tier
from tests.domain.prices import TIERS

NOW = 1_000.0
UNITS = st.sampled_from([Unit.TOKENS, Unit.MESSAGES])
AMOUNTS = st.integers(0, 20)
REQUESTS = st.builds(
    Request,
    st.just("요청"),
    TIERS,
    st.dictionaries(UNITS, AMOUNTS, min_size=2),
    priority=st.integers(1, 10),
    lease_s=st.floats(1, 600),
)


@st.composite
def balances(draw: st.DrawFn) -> Balance:
    """Books that may be full, over their limit after a breach, or of a limit of nothing."""
    limit = Limit(
        key=f"limit/{draw(st.integers(0, 10**9))}",
        unit=draw(UNITS),
        cap=draw(st.integers(0, 20) | st.integers(40, 100)),
        window=OpensOnUse(50.0),
        window_key="window",
        label="the limit",
        tiers=draw(st.frozensets(TIERS, max_size=2)),
        zoned=draw(st.booleans()),
        thresholds=draw(st.sampled_from([Thresholds(), Thresholds(0.2, 0.5)])),
    )
    spent, held = draw(st.integers(0, 60)), draw(AMOUNTS)
    opened = draw(st.integers(0, 999)) * 1.0
    breach = max(0, spent + held - limit.cap)
    return Balance(limit, Window(opened, opened + 2_000), spent, held, breach)


BALANCES = st.lists(balances(), max_size=4, unique_by=lambda b: b.limit.key).map(tuple)
Books = tuple[Balance, ...]


def fits(request: Request, balance: Balance) -> bool:
    wanted = balance.limit.share_of(request.estimate, request.tier)
    return wanted == 0 or balance.spent + balance.held + wanted <= balance.limit.cap


def passes(request: Request, balance: Balance) -> bool:
    limit = balance.limit
    decision = may_pass(
        balance.used, priority=request.priority, tier=request.tier, thresholds=limit.thresholds
    )
    return not limit.zoned or not limit.applies_to(request.tier) or decision.allowed


def asked(request: Request, books: Books) -> Admission:
    return admit(request, books, NOW)


@settings(max_examples=400)
@given(REQUESTS, BALANCES)
def test_a_request_is_admitted_exactly_when_it_fits_and_may_pass(
    request: Request, books: Books
) -> None:
    expected = all(fits(request, b) and passes(request, b) for b in books)
    assert asked(request, books).granted == expected


@given(REQUESTS, BALANCES)
def test_what_is_admitted_is_held_on_every_limit_that_applies_and_never_over_it(
    request: Request, books: Books
) -> None:
    admission = asked(request, books)
    assume(admission.granted)
    entry = admission.entry
    assert entry is not None
    assert (entry.state, entry.fence, entry.tier) == (EntryState.HELD, 1, request.tier)
    assert entry.lease_until == NOW + request.lease_s
    lines = {line.limit_key: line for line in entry.lines}
    held = {delta.limit_key: delta for delta in admission.deltas}
    assert lines.keys() == held.keys()
    for balance in books:
        wanted = balance.limit.share_of(request.estimate, request.tier)
        assert (balance.limit.key in lines) == (wanted > 0)
        if wanted:
            line, delta = lines[balance.limit.key], held[balance.limit.key]
            window = Window(line.opened_at, line.closes_at)
            assert (window, line.estimate, line.charged) == (balance.window, wanted, 0)
            assert (delta.opened_at, delta.spent, delta.breach) == (line.opened_at, 0, 0)
            assert balance.spent + balance.held + delta.held <= balance.limit.cap


@given(REQUESTS, BALANCES)
def test_what_is_refused_leaves_no_trace_and_names_a_limit_that_refuses_it(
    request: Request, books: Books
) -> None:
    refused = asked(request, books)
    assume(not refused.granted)
    assert (refused.entry, refused.deltas) == (None, ())
    (binding,) = (b for b in books if b.limit.key == refused.binding)
    assert not fits(request, binding) or not passes(request, binding)
    wanted = binding.limit.share_of(request.estimate, request.tier)
    is_too_large = wanted > binding.limit.cap
    assert refused.resets_at == (NEVER if is_too_large else binding.window.closes_at)
    assert refused.reason.startswith(binding.limit.label)


@given(REQUESTS, balances())
def test_it_is_told_to_wait_only_while_something_is_held_that_could_free_room(
    request: Request, balance: Balance
) -> None:
    refused = asked(request, (balance,))
    assume(not refused.granted)
    freed = replace(balance, held=0)
    if asked(request, (freed,)).granted:
        assert refused.waits
    if not fits(request, freed) or balance.held == 0:
        assert not refused.waits


def test_a_smaller_call_may_fit_where_room_is_missing_that_it_takes_less_of() -> None:
    tokens = Limit("토큰", Unit.TOKENS, 10, OpensOnUse(9.0), "w", "tokens")
    messages = replace(tokens, key="m", unit=Unit.MESSAGES)

    def helps(limit: Limit, spent: int, wanted: int = 5) -> bool:
        request = Request("r", Tier.STANDARD, {Unit.TOKENS: wanted, Unit.MESSAGES: 1})
        answer = asked(request, (Balance(limit, Window(0.0, 2_000.0), spent=spent),))
        return not answer.granted and answer.smaller_may_fit((tokens, messages))

    assert helps(tokens, 6)
    assert not helps(messages, 10)
    assert not helps(tokens, 5)
    assert not helps(replace(tokens, cap=100, zoned=True), 97, wanted=1)


@given(REQUESTS, BALANCES, st.data())
def test_the_order_of_the_limits_does_not_matter(
    request: Request, books: Books, data: st.DataObject
) -> None:
    one, other = asked(request, books), asked(request, tuple(data.draw(st.permutations(books))))
    assert one.granted == other.granted
    assert set(one.deltas) == set(other.deltas)
    if one.granted:
        assert one.zone is other.zone


@given(REQUESTS, BALANCES, st.integers(1, 10))
def test_more_urgent_smaller_or_earlier_is_never_refused_where_another_was_admitted(
    request: Request, books: Books, more: int
) -> None:
    assume(asked(request, books).granted)
    urgent = replace(request, priority=max(request.priority, more))
    smaller = replace(request, estimate={u: n // 2 for u, n in request.estimate.items()})
    emptier = tuple(replace(b, spent=b.spent // 2, held=b.held // 2) for b in books)
    assert asked(urgent, books).granted
    assert asked(smaller, books).granted
    assert asked(request, emptier).granted


@settings(max_examples=400)
@given(REQUESTS, BALANCES)
def test_an_admission_tells_the_strictest_zone_of_the_plan(request: Request, books: Books) -> None:
    admission = asked(request, books)
    zones = [zone_of(b.used, b.limit.thresholds) for b in books if b.limit.zoned]
    if admission.granted:
        assert admission.zone is max(zones, key=list(Zone).index, default=Zone.NORMAL)


@given(st.integers(1, 100), st.integers(0, 60))
def test_what_is_kept_for_the_urgent_is_really_there_for_them(cap: int, amount: int) -> None:
    limit = Limit("k", Unit.TOKENS, cap, OpensOnUse(9.0), "w", "the limit", zoned=True)
    balance = Balance(limit, Window(0.0, 2_000.0))
    routine = Request("r", Tier.STANDARD, {Unit.TOKENS: 1}, priority=7)
    while asked(routine, (balance,)).granted:
        balance = replace(balance, spent=balance.spent + 1)
    assert balance.spent == min(cap, cap * 95 // 100 + 1)
    urgent = replace(routine, priority=8, estimate={Unit.TOKENS: amount})
    assert asked(urgent, (balance,)).granted == (amount <= cap - balance.spent)
