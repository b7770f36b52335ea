"""The simulator as a provider: the real client against a server of our own."""

from pathlib import Path

from helios.ports.clock import Clock
from helios.ports.models import ModelReply, ModelRequest
from helios.providers.anthropic_api import AnthropicProvider
from helios.providers.prices import listed_models
from helios.providers.simulator.faults import FaultPlan
from helios.providers.simulator.hosting import Hosted, host
from helios.providers.simulator.meter import Meter, Reading
from helios.providers.simulator.script import Script, load_script
from helios.providers.simulator.server import Setup

NAME = "simulator"
_KEY = "simulated"


class SimulatorProvider:
    """Asks the simulator that was started for it; made by `start_simulator`."""

    def __init__(self, hosted: Hosted, meter: Meter) -> None:
        self._hosted = hosted
        self._meter = meter
        self._client = AnthropicProvider(_KEY, hosted.url, NAME, simulated=True)

    @property
    def name(self) -> str:
        """What people call it."""
        return NAME

    @property
    def simulated(self) -> bool:
        """Always."""
        return True

    @property
    def base_url(self) -> str:
        """Where other clients reach the same simulator."""
        return self._hosted.url

    def reading(self) -> Reading:
        """What the simulator's own meter shows."""
        return self._meter.reading()

    async def call(self, request: ModelRequest) -> ModelReply:
        """Make one call, over HTTP.

        Raises:
            ModelError: with `billed` saying what is certain about the charge.
        """
        return await self._client.call(request)

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """What the simulator would bill as input, over HTTP.

        Raises:
            ModelError: it did not answer.
        """
        return await self._client.count_tokens(request)

    async def close(self) -> None:
        """End the server; repeating it changes nothing."""
        await self._client.close()
        await self._hosted.close()


async def start_simulator(
    *,
    script: Path | None,
    meter: Path | None,
    time_scale: float = 1.0,
    clock: Clock,
    faults: FaultPlan | None = None,
) -> SimulatorProvider:
    """Start a simulator in the running event loop.

    Args:
        script: the recorded answers; without it every request is refused.
        meter: the file of what is billed; None keeps it in memory.
        time_scale: multiplies the delays; 0 answers at once.
        clock: what the delays are waited by.
        faults: what goes wrong besides what the script says.

    Raises:
        UsageError: the script or the meter cannot be read.
    """
    setup = make_setup(
        script=script, meter=meter, time_scale=time_scale, clock=clock, faults=faults
    )
    return SimulatorProvider(await host(setup), setup.meter)


def make_setup(
    *,
    script: Path | None,
    meter: Path | None,
    time_scale: float,
    clock: Clock,
    faults: FaultPlan | None,
) -> Setup:
    """Read the files a simulator works from.

    Raises:
        UsageError: one of them cannot be read.
    """
    return Setup(
        script=load_script(script) if script else Script(),
        meter=Meter(meter),
        clock=clock,
        time_scale=time_scale,
        faults=faults or FaultPlan(),
        models=listed_models(),
    )
