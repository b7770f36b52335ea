"""What the gateway needs: an upstream, its keys, and the way from one to the other."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from helios.bootstrap.house import Desk, House
from helios.domain.budget.signal import Signal
from helios.domain.gateway.concurrency import MOST, Concurrency
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.ports.upstream import Headers, Upstream
from helios.providers.anthropic_api import API_URL, signals_in
from helios.providers.endpoint import Endpoint
from helios.providers.upstream import HttpUpstream
from helios.services.access import Access
from helios.services.responses.advising import Advisor
from helios.services.responses.batches import Batches
from helios.services.responses.forwarding import Forwarder
from helios.services.responses.gateway_parts import GatewayParts
from helios.services.responses.hearing import Hearing
from helios.services.upstreams import GuardedUpstream

SIMULATED_KEY = "simulated"


@dataclass(frozen=True, slots=True)
class GatewayDesk:
    """The services behind the door. `hold_s` is how long clients are held that do not say."""

    forwarder: Forwarder
    batches: Batches
    access: Access
    upstream: GuardedUpstream
    ledger: Ledger
    clock: Clock
    hold_s: float


@asynccontextmanager
async def open_gateway(house: House, desk: Desk) -> AsyncIterator[GatewayDesk | None]:
    """Open the way from clients to the provider, over one set of books; None without its key.

    Raises:
        UsageError: the upstream's address or key cannot be what they are given as.
    """
    if not (desk.simulated or house.settings.api_key):
        yield None
        return
    async with _upstream(house, simulated=desk.simulated) as direct:
        # Begun at the most: waiting is for upstreams that have said that it is too much.
        start = Concurrency(limit=MOST)
        upstream = GuardedUpstream(direct, house.clock, concurrency=start)
        catalogue, book = house.catalogue, house.stores.budget
        hearing = None if desk.simulated else Hearing(book, house.clock, _signals_in)
        parts = GatewayParts(
            governor=desk.governor,
            ledger=house.stores.ledger,
            book=book,
            catalogue=catalogue,
            clock=house.clock,
            upstream=upstream,
            lower_output=house.settings.gateway_lower_output,
            hearing=hearing,
        )
        runs = house.stores.runs
        advisor = Advisor(catalogue, desk.governor, runs, house.clock, simulated=desk.simulated)
        access = Access(house.stores.keys, house.clock)
        try:
            yield GatewayDesk(
                forwarder=Forwarder(parts, advisor),
                batches=Batches(parts, house.stores.keys),
                access=access,
                upstream=upstream,
                ledger=house.stores.ledger,
                clock=house.clock,
                hold_s=house.settings.gateway_hold,
            )
        finally:
            await access.close()


@asynccontextmanager
async def _upstream(house: House, *, simulated: bool) -> AsyncIterator[Upstream]:
    async with AsyncExitStack() as closing:
        settings = house.settings
        if not simulated:
            endpoint = Endpoint(settings.base_url or API_URL, settings.api_key)
        else:
            url = settings.simulator_url or await _start_simulator(house, closing)
            endpoint = Endpoint(url, SIMULATED_KEY, "simulator", simulated=True)
        upstream = HttpUpstream(endpoint, house.clock)
        closing.push_async_callback(upstream.close)
        yield upstream


async def _start_simulator(house: House, closing: AsyncExitStack) -> str:
    # Imported here because a gateway to a real provider needs no simulator.
    from helios.providers.simulator import start_simulator
    from helios.providers.simulator.making import AnswerMode, Maker

    simulator = await start_simulator(
        script=None,
        meter=house.settings.home / "simulator-meter.jsonl",
        time_scale=house.settings.simulator_speed,
        clock=house.clock,
        maker=Maker(AnswerMode.ECHO),
    )
    closing.push_async_callback(simulator.close)
    return simulator.base_url


def _signals_in(headers: Headers) -> tuple[Signal, ...]:
    return signals_in({k.decode("latin-1"): v.decode("latin-1") for k, v in headers})
