"""Ceilings as they are set, changed and shown, with calls in their books."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from helios.domain.budget.ledger import Request
from helios.domain.budget.units import Unit
from helios.domain.pricing import Tier
from helios.services.ceilings import Ceilings
from helios.services.plans import load_plan
from helios.stores.open import open_stores
from helios.telemetry.system_clock import SystemClock
from tests.e2e.helios_process import Helios

LONG = "아주-긴-이름의-월간-예산"
PATH = "회사/모바일/쇼핑몰-개선/지훈"


@pytest.fixture
def helios(tmp_path: Path) -> Helios:
    return Helios(tmp_path / "home", sandbox="direct")


def spend(helios: Helios, account: str, microusd: int) -> None:
    """One simulated call in the books."""

    async def book() -> None:
        stores = open_stores(f"sqlite:///{helios.home}/helios.db", SystemClock())
        ceilings = Ceilings(load_plan("max-classic", 0), simulated=True)
        ceilings.rules = await stores.budget.limit_rules()
        amounts = {Unit.MESSAGES: 1, Unit.MICROUSD: microusd}
        request = Request(f"r{microusd}", Tier.ECONOMY, amounts)
        limits = [limit for limit in ceilings.of_account(account) if "account/" in limit.key]
        await stores.ledger.record(request, limits)
        await stores.close()

    asyncio.run(book())


def test_raising_a_ceiling_keeps_its_unit_and_period_and_says_what_was(helios: Helios) -> None:
    made = helios.run("keys", "create", "penny", "--budget", "$0.01/day")
    assert made.code == 0, made.err
    spend(helios, "keys/penny", 4_000)
    raised = helios.run("budget", "set", "penny", "1", "--account", "keys/penny")
    assert raised.code == 0, raised.err
    assert "keys/penny: now at most $1.00 per day (penny), was $0.01 per day" in raised.err
    assert "simulated so far: $0.004; this window closes" in raised.err
    assert "every key" not in raised.err
    shown = helios.run("budget").out
    assert "penny of keys/penny $0.004/$1.00 per day (0%)" in shown
    assert "resets" in shown
    limits = {limit["key"]: limit for limit in helios.run("budget", "--json").data["limits"]}
    assert limits["simulated/account/keys/penny/penny/microusd"]["ceiling"] == {
        "account": "keys/penny", "name": "penny", "per": "day", "strong_only": False,
    }  # fmt: skip
    assert [limit["ceiling"] for limit in limits.values()].count(None) == 2, "the plan's own"


def test_another_period_waits_for_the_window_that_is_open(helios: Helios) -> None:
    assert helios.run("budget", "set", "cap", "5usd/day", "--account", "acme").code == 0
    spend(helios, "acme", 4_000)
    changed = helios.run("budget", "set", "cap", "$9", "--per", "month", "--account", "acme")
    assert changed.code == 0, changed.err
    assert "$9.00 per month (cap), was $5.00 per day" in changed.err
    assert "and only then it counts per month" in changed.err
    (line,) = [line for line in helios.run("budget").out.splitlines() if "cap of acme" in line]
    assert "$0.004/$9.00 (0%)" in line
    assert line.endswith(", then per month")
    other = helios.run("budget", "set", "cap", "3 messages", "--account", "acme")
    assert "was $9.00 per month" in other.err
    assert "what counted before does not count here" in other.err


def test_a_window_that_never_closes_takes_no_other_period(helios: Helios) -> None:
    assert helios.run("budget", "set", "cap", "5usd/ever", "--account", "acme").code == 0
    spend(helios, "acme", 4_000)
    refused = helios.run("budget", "set", "cap", "5usd/day", "--account", "acme")
    assert refused.code == 2
    assert "its window never closes" in refused.err
    assert helios.run("budget", "set", "cap", "6", "--account", "acme").code == 0
    assert "$0.004/$6.00 in all" in helios.run("budget").out


def test_a_ceiling_for_everybody_says_so(helios: Helios) -> None:
    made = helios.run("budget", "set", "팀", "$50", "--per", "day")
    assert made.code == 0, made.err
    assert "everybody: at most $50.00 per day (팀)" in made.err
    assert "It binds every key and project" in made.err
    assert "helios budget unset 팀" in made.err
    assert max(cell_len(line) for line in made.err.splitlines()) <= 80
    for words in (["budget", "--help"], ["budget", "set", "--help"]):
        assert "--account team" in " ".join(helios.run(*words).out.replace("│", "").split())


def test_long_korean_ceilings_fit(helios: Helios) -> None:
    assert helios.run("budget", "set", LONG, "1,000", "--account", PATH).code == 0
    assert helios.run("keys", "create", "지훈", "--account", PATH, "--budget", "$9/week").code == 0
    for columns in (80, 40):
        narrow = replace(helios, more={"COLUMNS": str(columns)})
        for words in (["budget"], ["keys", "list"]):
            shown = narrow.run(*words).out
            assert max(cell_len(line) for line in shown.splitlines()) <= columns, shown
            assert "…" not in shown
            assert LONG in "".join(shown.split())
        assert "0/1,000 messages per month (0%)" in narrow.run("budget").out


def test_history_takes_a_ceilings_name_and_refuses_what_is_none(helios: Helios) -> None:
    for account in ("acme", "회사"):
        assert helios.run("budget", "set", "월간", "5usd", "--account", account).code == 0
    assert helios.run("budget", "set", "하루", "5usd/day", "--account", "acme").code == 0
    spend(helios, "acme", 4_000)
    told = helios.run("budget", "history", "월간", "--account", "acme")
    assert told.code == 0, told.err
    assert ", open " in told.out
    assert "월간 of acme" in told.out
    assert helios.run("budget", "history", "하루").out.startswith("하루 of acme")
    key = "simulated/account/acme/하루/microusd"
    (window,) = helios.run("budget", "history", key, "--json").data["windows"]
    assert window["spent"] == 4_000
    assert helios.run("budget", "unset", "하루", "--account", "acme").code == 0
    assert helios.run("budget", "history", key, "--json").data["windows"] == [window]
    for words, said in (
        (["월간"], "may be 월간 of acme, 월간 of 회사"),
        (["nosuch"], "no limit 'nosuch'"),
        (["월간", "--account", "없음"], "no limit '월간' of 없음"),
        (["--most", "0"], "--most 0"),
        (["--most", "-3"], "--most -3"),
    ):
        refused = helios.run("budget", "history", *words)
        assert refused.code == 2, refused.out
        assert said in refused.err


def test_a_new_key_says_what_holds_for_it(helios: Helios) -> None:
    first = helios.run("keys", "create", "dollar", "--budget", "$1/day", "--rate", "1")
    assert "This is the first key" in first.err
    assert "1 call a minute" in first.err
    spend(helios, "keys/dollar", 400_000)
    assert helios.run("keys", "revoke", "dollar").code == 0
    again = helios.run("keys", "revoke", "dollar")
    assert again.code == 0
    assert "dollar was revoked already" in again.err
    second = helios.run("keys", "create", "dollar", "--policy", "enforce")
    assert "first key" not in second.err
    assert "policy enforce" in second.err
    assert "holds for it: dollar of keys/dollar $0.40/$1.00 per day, resets" in second.err
    shown = helios.run("keys", "list").out
    assert "dollar  revoked" in shown
    assert "dollar of keys/dollar $0.40/$1.00 per day, resets" in shown
    told = helios.run("keys", "list", "--json").data["keys"][1]
    (ceiling,) = told["ceilings"]
    assert (ceiling["cap"], ceiling["spent"], ceiling["per"]) == (1_000_000, 400_000, "day")
    assert helios.run("keys", "revoke", "dollar").code == 0
    raised = helios.run("keys", "create", "dollar", "--budget", "$2")
    assert "at most $2.00 per day (was $1.00 per day)" in raised.err


@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-opus-4-*", "claude-*"])
def test_a_key_may_name_every_model_with_a_price(helios: Helios, model: str) -> None:
    made = helios.run("keys", "create", "ci", "--models", model)
    assert made.code == 0, made.err
