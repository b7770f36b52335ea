"""`python -m helios.providers.simulator` runs the simulator on its own."""

import argparse
import asyncio
import re
import signal
import sys
import time
from pathlib import Path

from helios.errors import UsageError
from helios.providers.simulator.faults import Fault, FaultPlan
from helios.providers.simulator.hosting import host
from helios.providers.simulator.provider import make_setup


class _SystemClock:
    """This computer's time; a program of its own has nobody to be given a clock by."""

    def now(self) -> float:
        return time.time()  # noqa: TID251

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _rate(text: str) -> tuple[Fault, float]:
    name, _, share = text.partition("=")
    if name not in set(Fault) or not re.fullmatch(r"0(\.\d+)?|1(\.0+)?", share):
        raise argparse.ArgumentTypeError(f"write it as {Fault.CUT}=0.1; known: {', '.join(Fault)}")
    return Fault(name), float(share)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m helios.providers.simulator",
        description="Serve recorded answers in the form of the Messages API on 127.0.0.1.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--script", type=Path, help="the recorded answers, a YAML file")
    parser.add_argument("--meter", type=Path, help="append what is billed to this file")
    parser.add_argument("--time-scale", type=float, default=1.0, help="0 answers at once")
    parser.add_argument(
        "--fault", type=_rate, action="append", default=[], metavar="NAME=RATE", help="repeatable"
    )
    parser.add_argument("--seed", type=int, default=0, help="which requests the faults befall")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    setup = make_setup(
        script=arguments.script,
        meter=arguments.meter,
        time_scale=arguments.time_scale,
        clock=_SystemClock(),
        faults=FaultPlan(dict(arguments.fault), arguments.seed),
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    hosted = await host(setup, arguments.port)
    sys.stdout.write(f"{hosted.url} simulated\n")
    sys.stdout.flush()
    await stop.wait()
    await hosted.close()


def main() -> int:
    """Serve until told to stop; the exit code."""
    try:
        asyncio.run(_serve(_arguments()))
    except UsageError as error:
        sys.stderr.write(f"{error.message}\n{error.next_step}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
