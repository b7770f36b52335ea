"""Helios's gateway beside a bare pass-through and beside litellm's proxy.

    python benchmarks/gateway [--only latency saturation streams memory]

Everything listens on 127.0.0.1, in processes of its own, before the same simulator, turn about. The
bare pass-through (the floor) is uvicorn and httpx2 alone, with the loop and the parser that Helios
uses. `own us` is a server's own processor time a call, which others on the machine disturb least.
A run in which Helios's books and the simulator's meter differ is void. `--full` takes 100,000 calls
for the memory and more rounds.
"""

import argparse
import json
import signal
import sys
from dataclasses import asdict

import stages

STAGES = ("latency", "saturation", "streams", "memory")


def _measure(name: str, asked: stages.Asked) -> list[stages.Report]:
    match name:
        case "latency":
            return [stages.latency(asked)]
        case "saturation":
            return stages.saturation(asked)
        case "streams":
            return [stages.streams(asked)]
        case _:
            return [stages.memory(asked)]


def _show(report: stages.Report) -> None:
    print(f"\n{report.title}")
    for line in report.lines:
        print(f"  {line}")
    for text, kept in report.goals:
        print(f"  {'kept  ' if kept else 'MISSED'} {text}")
    for fault in report.faults:
        print(f"  VOID   {fault}")
    sys.stdout.flush()


def main() -> None:
    """Measure and print; fails when a run is void."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--rounds", type=int, help="turns of every target (default 5, full 10)")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a turn is")
    parser.add_argument("--no-litellm", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    # So that the servers end with the benchmark.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    rounds = given.rounds or (10 if given.full else 5)
    asked = stages.Asked(rounds, given.seconds, not given.no_litellm, given.full)
    reports: list[stages.Report] = []
    for name in given.only:
        measured = _measure(name, asked)
        reports += measured
        if not given.json:
            for report in measured:
                _show(report)
    if given.json:
        print(json.dumps([asdict(report) for report in reports], indent=2, ensure_ascii=False))
    sys.exit(1 if any(report.faults for report in reports) else 0)


if __name__ == "__main__":
    main()
