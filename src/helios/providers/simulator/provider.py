"""The simulator as a provider: the real client against a server of our own."""

from pathlib import Path
from typing import Any

from helios.ports.clock import Clock
from helios.ports.models import ModelReply, ModelRequest
from helios.providers.anthropic_api import AnthropicProvider
from helios.providers.prices import listed_models
from helios.providers.simulator.answering import Setup
from helios.providers.simulator.faults import FaultPlan
from helios.providers.simulator.hosting import Hosted, host
from helios.providers.simulator.meter import Meter, Reading
from helios.providers.simulator.script import Script, load_script

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
    **more: Any,
) -> SimulatorProvider:
    """Start a simulator in the running event loop.

    Args:
        script: the recorded answers; without it every request is refused.
        meter: the file of what is billed; None keeps it in memory.
        time_scale: multiplies the delays; 0 answers at once.
        clock: what the delays are waited by.
        faults: what goes wrong besides what the script says.
        more: other fields of a `Setup`.

    Raises:
        UsageError: the script or the meter cannot be read.
    """
    faults = faults or FaultPlan()
    setup = make_setup(script, meter, clock=clock, time_scale=time_scale, faults=faults, **more)
    return SimulatorProvider(await host(setup), setup.meter)


def make_setup(script: Path | None, meter: Path | None, **more: Any) -> Setup:
    """Read the files a simulator works from.

    Args:
        script: the recorded answers, if any.
        meter: the file of what is billed; None keeps it in memory.
        more: the other fields of a `Setup`.

    Raises:
        UsageError: one of them cannot be read.
    """
    answers = load_script(script) if script else Script()
    return Setup(script=answers, meter=Meter(meter), models=listed_models(), **more)
