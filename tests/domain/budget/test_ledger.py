"""What may happen to a reservation, and that the books say exactly that."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.ledger import (
    TRANSITIONS,
    Command,
    Delta,
    Entry,
    EntryState,
    Line,
    Posting,
    Refusal,
    post,
    take_over,
)
from helios.domain.budget.units import Unit
from helios.domain.pricing import Tier

DOCS = Path(__file__).parents[3] / "docs" / "budget.md"
LEASE, CLOSING = 100.0, 200.0
UNITS = {"limit/tokens": "tokens", "limit/messages": "messages"}
OPEN = (EntryState.HELD, EntryState.SENT)
BOTH = list(product(EntryState, Command))
ILLEGAL = [pair for pair in BOTH if pair not in TRANSITIONS]
AMOUNTS = st.integers(0, 1000)
ACTUALS = st.dictionaries(st.sampled_from([Unit.TOKENS, Unit.MESSAGES]), AMOUNTS)


def entry(state: EntryState, tokens: int = 40, messages: int = 1, charged: int = 0) -> Entry:
    lines = (
        Line("limit/tokens", 0.0, CLOSING, tokens, charged),
        Line("limit/messages", 0.0, CLOSING, messages, charged),
    )
    return Entry("요청", state, 3, LEASE, Tier.STANDARD, lines)


def charged(tokens: int, messages: int) -> Entry:
    """One whose outcome nobody knew."""
    found = entry(EntryState.CHARGED_ESTIMATE, tokens, messages)
    return replace(found, lines=tuple(replace(x, charged=x.estimate) for x in found.lines))


def time_for(command: Command) -> float:
    return LEASE if command is Command.EXPIRE else LEASE - 1


def posted(found: Entry, command: Command, **options: object) -> Posting:
    answer = post(found, command, units=UNITS, **{"now": time_for(command), **options})  # type: ignore[arg-type]
    assert isinstance(answer, Posting), answer.reason
    return answer


def books(found: Entry) -> dict[str, tuple[int, int]]:
    """What an entry has in the books of each limit, held and spent, told by its state alone."""
    return {
        line.limit_key: (line.estimate if found.state in OPEN else 0, line.charged)
        for line in found.lines
    }


def changed(before: Entry, deltas: tuple[Delta, ...]) -> dict[str, tuple[int, int]]:
    after = books(before)
    for delta in deltas:
        held, spent = after[delta.limit_key]
        after[delta.limit_key] = (held + delta.held, spent + delta.spent)
    return after


def test_the_documented_table_is_the_table() -> None:
    rows = [line.strip("| ").split(" | ") for line in DOCS.read_text("utf-8").splitlines()]
    told = {(row[0], row[1]): row[2] for row in rows if len(row) == 3 and row[0] in set(EntryState)}
    assert told == {
        (str(old), str(command)): str(new) for (old, command), new in TRANSITIONS.items()
    }


@pytest.mark.parametrize(("state", "command"), ILLEGAL)
def test_what_is_not_in_the_table_is_refused_and_changes_nothing(
    state: EntryState, command: Command
) -> None:
    found = entry(state)
    for now in (0.0, LEASE, CLOSING):
        answer = post(found, command, now=now, fence=3, actual={Unit.TOKENS: 1}, units=UNITS)
        assert isinstance(answer, Refusal)
        assert answer.entry is found
        assert str(command) in answer.reason


@pytest.mark.parametrize(("state", "command"), TRANSITIONS)
def test_what_is_in_the_table_happens_for_the_one_who_holds_the_fence(
    state: EntryState, command: Command
) -> None:
    answer = posted(entry(state), command, fence=3)
    assert answer.entry.state is TRANSITIONS[state, command]
    for fence in (2, 4, 0):
        late = post(entry(state), command, now=time_for(command), fence=fence, units=UNITS)
        assert isinstance(late, Refusal)
        assert "taken over" in late.reason


def test_nothing_leaves_a_final_state_but_one_true_up() -> None:
    left = {pair for pair in TRANSITIONS if pair[0].final}
    assert left == {(EntryState.CHARGED_ESTIMATE, Command.TRUE_UP)}
    assert {state for state in EntryState if not state.final} == set(OPEN)


def test_what_was_sent_is_freed_by_proof_only_and_what_was_not_is_never_charged() -> None:
    freeing = {pair for pair, new in TRANSITIONS.items() if new is EntryState.RELEASED}
    assert {c for s, c in freeing if s is EntryState.SENT} == {Command.PROVE_UNBILLED}
    assert {new for (s, _), new in TRANSITIONS.items() if s is EntryState.HELD} == {
        EntryState.SENT,
        EntryState.RELEASED,
    }


def paths(state: EntryState) -> list[tuple[Command, ...]]:
    """Every way from a state to an end."""
    steps = [(command, new) for (old, command), new in TRANSITIONS.items() if old is state]
    return [(command, *rest) for command, new in steps for rest in paths(new)] or [()]


@pytest.mark.parametrize("path", paths(EntryState.HELD))
@given(tokens=AMOUNTS, messages=AMOUNTS, actual=ACTUALS)
def test_the_changes_posted_are_what_the_entry_says(
    path: tuple[Command, ...], tokens: int, messages: int, actual: dict[Unit, int]
) -> None:
    now = entry(EntryState.HELD, tokens, messages)
    for command in path:
        answer = posted(now, command, actual=actual)
        assert changed(now, answer.deltas) == books(answer.entry)
        now = answer.entry
    assert all(held == 0 for held, _ in books(now).values())


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_a_reply_is_charged_in_full_and_what_is_above_its_estimate_is_a_breach(
    tokens: int, messages: int, used: int, sent: int
) -> None:
    actual = {Unit.TOKENS: used, Unit.MESSAGES: sent}
    answer = posted(entry(EntryState.SENT, tokens, messages), Command.SETTLE, actual=actual)
    assert [line.charged for line in answer.entry.lines] == [used, sent]
    assert [d.breach for d in answer.deltas] == [max(0, used - tokens), max(0, sent - messages)]


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_what_the_provider_does_not_tell_is_charged_at_its_estimate(
    tokens: int, messages: int, used: int
) -> None:
    actual = {Unit.TOKENS: used, Unit.MILLIPOINTS: 7}
    settled = posted(entry(EntryState.SENT, tokens, messages), Command.SETTLE, actual=actual)
    assert [line.charged for line in settled.entry.lines] == [used, messages]
    assert settled.deltas[1].breach == 0
    late = posted(charged(tokens, messages), Command.TRUE_UP, actual=None)
    assert late.entry.lines == charged(tokens, messages).lines


@given(AMOUNTS, AMOUNTS)
def test_an_unknown_outcome_is_charged_once_it_was_sent_and_free_before(
    tokens: int, messages: int
) -> None:
    sent = posted(entry(EntryState.SENT, tokens, messages), Command.EXPIRE)
    assert [line.charged for line in sent.entry.lines] == [tokens, messages]
    held = posted(entry(EntryState.HELD, tokens, messages), Command.EXPIRE)
    assert [line.charged for line in held.entry.lines] == [0, 0]


@given(AMOUNTS, AMOUNTS, ACTUALS)
def test_late_evidence_only_lowers_a_charge(
    tokens: int, messages: int, actual: dict[Unit, int]
) -> None:
    before = charged(tokens, messages)
    answer = posted(before, Command.TRUE_UP, actual=actual)
    for old, new, delta in zip(before.lines, answer.entry.lines, answer.deltas, strict=True):
        assert new.charged <= old.charged
        assert (delta.held, delta.breach) == (0, 0)
    again = post(answer.entry, Command.TRUE_UP, now=0.0, actual={}, units=UNITS)
    assert isinstance(again, Refusal)


@pytest.mark.parametrize(
    ("state", "command", "first", "last"),
    [
        (EntryState.HELD, Command.MARK_SENT, 0.0, LEASE),
        (EntryState.HELD, Command.EXPIRE, LEASE, 1e9),
        (EntryState.SENT, Command.EXPIRE, LEASE, 1e9),
        (EntryState.SENT, Command.SETTLE, 0.0, 1e9),
        (EntryState.HELD, Command.RELEASE, 0.0, 1e9),
        (EntryState.CHARGED_ESTIMATE, Command.TRUE_UP, 0.0, CLOSING),
    ],
)
def test_commands_have_their_time(
    state: EntryState, command: Command, first: float, last: float
) -> None:
    for now in (0.0, LEASE - 0.01, LEASE, CLOSING - 0.01, CLOSING, 1e8):
        answer = post(entry(state), command, now=now, units=UNITS)
        assert isinstance(answer, Posting) == (first <= now < last), now


@pytest.mark.parametrize("closed", [0, 1])
def test_one_closed_window_is_enough_not_to_send_and_not_to_reopen_its_books(closed: int) -> None:
    for found, command in (
        (entry(EntryState.HELD), Command.MARK_SENT),
        (charged(9, 1), Command.TRUE_UP),
    ):
        lines = [replace(line, closes_at=1e9) for line in found.lines]
        lines[closed] = replace(lines[closed], closes_at=50.0)
        assert isinstance(post(replace(found, lines=tuple(lines)), command, now=50.0), Refusal)


@given(st.floats(0, 1e9), st.floats(0, 1e6), st.sampled_from(OPEN))
def test_taking_over_holds_the_same_and_shuts_the_former_owner_out(
    now: float, lease_s: float, state: EntryState
) -> None:
    former = entry(state)
    taken = take_over(former, now, lease_s)
    assert taken == replace(former, fence=4, lease_until=max(LEASE, now + lease_s))
    assert books(taken) == books(former)
    for command in Command:
        assert isinstance(post(taken, command, now=now, fence=former.fence, units=UNITS), Refusal)
    release = Command.RELEASE if state is EntryState.HELD else Command.PROVE_UNBILLED
    assert isinstance(post(taken, release, now=now, fence=taken.fence, units=UNITS), Posting)
