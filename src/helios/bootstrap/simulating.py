"""The simulator as a server of its own."""

import asyncio
import importlib
import importlib.util
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from helios.errors import UsageError
from helios.providers.simulator.faults import FaultPlan, read_rate
from helios.providers.simulator.hosting import host
from helios.providers.simulator.latency import read_latency, read_lengths
from helios.providers.simulator.making import AnswerMode, Maker
from helios.providers.simulator.provider import make_setup
from helios.providers.simulator.windows import read_limit
from helios.telemetry.system_clock import SystemClock

ANSWER_MODES = tuple(AnswerMode)


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """What a person says about a simulator; texts in the form that the command line takes."""

    port: int = 0
    script: Path | None = None
    meter: Path | None = None
    answer: str = AnswerMode.REFUSE
    length: str = "medium"
    latency: str = "tiers"
    time_scale: float = 1.0
    windows: tuple[str, ...] = ()
    overage: bool = False
    faults: tuple[str, ...] = ()
    fault_header: bool = False
    seed: int = 0


def simulate(options: SimulatorOptions, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        options: what to answer with.
        ready: told the address once it answers.

    Raises:
        UsageError: an option is not understood, or a file or the port cannot be used.
    """
    # uvloop is an extra; with it a stream costs half.
    loop = importlib.import_module("uvloop") if importlib.util.find_spec("uvloop") else asyncio
    with asyncio.Runner(loop_factory=loop.new_event_loop) as runner:
        runner.run(_serve(options, ready))


async def _serve(options: SimulatorOptions, ready: Callable[[str], None]) -> None:
    if options.answer not in ANSWER_MODES:
        raise UsageError(
            f"--answer {options.answer}: unknown", next_step=f"Known: {', '.join(ANSWER_MODES)}."
        )
    if not 0 <= options.time_scale < 1e6:
        raise UsageError("--time-scale must not be negative", next_step="0 answers at once.")
    mode, seed = AnswerMode(options.answer), options.seed
    setup = make_setup(
        options.script,
        options.meter,
        clock=SystemClock(),
        time_scale=options.time_scale,
        faults=FaultPlan(dict(map(read_rate, options.faults)), seed),
        maker=Maker(mode, read_lengths(options.length), seed),
        latency=read_latency(options.latency),
        limits=tuple(map(read_limit, options.windows)),
        overage=options.overage,
        fault_header=options.fault_header,
        seed=seed,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    hosted = await host(setup, options.port)
    ready(hosted.url)
    await stop.wait()
    await hosted.close()
