"""Every client, unmodified, through the gateway: what can happen to a request, and the books."""

import threading
from time import perf_counter, sleep

import pytest

from tests.gateway.clients.clients import CLIENTS
from tests.gateway.clients.facts import FACTS, PAGE, Fact, page_with_table
from tests.gateway.clients.protocol import PROJECT, Client, Outcome, ask_together
from tests.gateway.clients.rig import Books, Rig

GREETING = "[simulated] 안녕하세요, 반갑습니다"
pytestmark = pytest.mark.slow

STREAMING = [client for client in CLIENTS if client.streams]
WHOLE = [client for client in CLIENTS if not client.streams]


def does(rig: Rig, fact: Fact, outcome: Outcome, *, says: str = "") -> None:
    """It sent as many requests as it is known to, and showed what it is known to show."""
    assert len(rig.asked) == fact.requests, outcome
    if fact.shows:
        assert fact.shows in outcome.error
        assert says in outcome.error
    else:
        assert outcome.text, outcome


def test_an_answer_comes_and_is_booked_to_its_project(client: Client, rig: Rig) -> None:
    outcome = client.ask(rig.to(), "인사해 주세요")
    assert outcome == Outcome(GREETING)
    assert len(rig.asked) == 1
    rig.books_equal_meter(messages=1)
    assert rig.projects() == {PROJECT}


def test_a_spent_budget_stops_it_at_once_and_it_says_why(client: Client, rig: Rig) -> None:
    rig.empty_budget()
    outcome = client.ask(rig.to(), "인사해 주세요")
    does(rig, FACTS[client.name].refused, outcome, says="ceiling of shop")
    rig.books_equal_meter(messages=0)


def test_a_closed_window_is_not_hammered(client: Client, rig: Rig) -> None:
    rig.close_window()
    outcome = client.ask(rig.to(), "인사해 주세요")
    does(rig, FACTS[client.name].closed, outcome, says="ceiling of shop")
    rig.books_equal_meter(messages=0)


def test_it_is_held_until_there_is_room_and_notices_nothing(client: Client, rig: Rig) -> None:
    outcomes: list[Outcome] = []
    to = rig.to()
    asking = threading.Thread(target=lambda: outcomes.append(client.ask(to, "인사해 주세요")))
    with rig.room_taken():
        asking.start()
        _until(lambda: rig.asked)
        sleep(0.3)
        assert outcomes == []
    asking.join(60)
    assert outcomes == [Outcome(GREETING)]
    assert len(rig.asked) == 1
    rig.books_equal_meter(messages=1)


def test_a_storm_of_529_costs_nothing(client: Client, rig: Rig) -> None:
    fact = FACTS[client.name].storm
    does(rig, fact, client.ask(rig.to(), "폭풍"))
    rig.books_equal_meter(messages=0 if fact.shows else 1)


@pytest.mark.parametrize("client", STREAMING, ids=lambda c: c.name, indirect=True)
def test_a_stream_that_is_cut_is_paid_as_far_as_it_came(client: Client, rig: Rig) -> None:
    fact = FACTS[client.name].cut
    does(rig, fact, client.ask(rig.to(), "끊김"))
    rig.books_equal_meter(messages=fact.requests)


@pytest.mark.parametrize("client", WHOLE, ids=lambda c: c.name, indirect=True)
def test_an_answer_in_one_piece_that_is_cut_is_charged_its_estimate(
    client: Client, rig: Rig
) -> None:
    """What it took stands at its end, which nobody saw."""
    fact = FACTS[client.name].cut
    does(rig, fact, client.ask(rig.to(), "끊김"))
    settled, billed = rig.settled(), rig.billed()
    assert settled.messages == billed.messages == fact.requests
    assert settled.microusd > billed.microusd


@pytest.mark.parametrize("client", STREAMING, ids=lambda c: c.name, indirect=True)
def test_who_hangs_up_pays_for_what_was_sent(client: Client, rig: Rig) -> None:
    client.hang_up(rig.to(), "멈춤")
    assert len(rig.asked) == 1
    rig.books_equal_meter(messages=1)


def test_twenty_megabytes_pass(client: Client, rig: Rig) -> None:
    fact = FACTS[client.name].huge
    does(rig, fact, client.ask_much(rig.to()))
    assert all(int(seen.headers["content-length"]) > 20_000_000 for seen in rig.asked)
    rig.books_equal_meter(messages=fact.requests)


def test_many_at_the_same_time(client: Client, rig: Rig) -> None:
    texts = [f"{number}번째 인사" for number in range(client.together)]
    outcomes = ask_together(client, rig.to(), texts)
    assert outcomes == [Outcome(GREETING)] * client.together
    rig.books_equal_meter(messages=client.together)


def test_the_books_of_a_test_can_differ(rig: Rig) -> None:
    """The oracle is one: what the gateway does not see is missed."""
    CLIENTS[0].ask(rig.to(), "인사")
    past_the_gateway = rig.to(url=rig.simulator.base_url)
    CLIENTS[0].ask(past_the_gateway, "인사")
    settled, billed = rig.settled(), rig.billed()
    assert billed == Books(2 * settled.microusd, 2 * settled.messages)
    with pytest.raises(AssertionError):
        rig.books_equal_meter(messages=1)


def test_the_page_tells_the_facts() -> None:
    assert set(FACTS) == {client.name for client in CLIENTS}
    page = PAGE.read_text("utf-8")
    assert page == page_with_table(page), "python -m tests.gateway.clients.facts renews it"


def _until(condition) -> None:
    deadline = perf_counter() + 30
    while not condition():
        assert perf_counter() < deadline
        sleep(0.01)
