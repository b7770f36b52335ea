"""A window closes while many want to call: all wait, none asks upstream, each is answered once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse
from tests.gateway.clients.rig import entry, gateway
from tests.gateway.test_budget import ask

CLIENTS = 20
CAP = 7
WINDOW_S = 2.0


def test_clients_are_held_over_resets_and_each_is_answered_once(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", [entry("hello", "simulated: hello")]) as rig:
        rig.limit(Unit.MESSAGES, CAP, OpensOnUse(WINDOW_S))

        def one(number: int) -> int:
            said = [{"role": "user", "content": f"hello {number}"}]
            return ask(rig.url, messages=said, headers={"X-Helios-Hold": "60"}).status_code

        with ThreadPoolExecutor(CLIENTS) as pool:
            statuses = list(pool.map(one, range(CLIENTS)))
        assert statuses == [200] * CLIENTS
        rig.books_equal_meter(messages=CLIENTS)
        windows = rig.do(rig.house.stores.ledger.history(_key(rig), 10))
        spent = [balance.spent for balance in windows]
        assert sum(spent) == CLIENTS
        assert max(spent) <= CAP
        assert len(spent) == 3  # as few as it takes: nothing was refused falsely


def _key(rig: object) -> str:
    limits = rig._limits()  # type: ignore[attr-defined]
    return next(limit.key for limit in limits if "ceiling" in limit.key)
