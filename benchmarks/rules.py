"""Measure scheduling, `check` and starting, each against a baseline of the same run.

`--json` prints data.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from helios.domain.ids import TaskId
from helios.domain.workflow.graph import Graph, build_graph
from helios.domain.workflow.readiness import Readiness
from helios.services.projects import load_project


@dataclass(frozen=True, slots=True)
class Result:
    """One hot path: its figure, the baseline's, and the ratio that is watched."""

    name: str
    figure: str
    baseline: str
    ratio: float
    goal: str


def best(work: Callable[[], object], times: int = 3) -> float:
    """The shortest of several runs, in seconds."""
    spans = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        spans.append(time.perf_counter() - start)
    return min(spans)


def scheduling() -> Result:
    """10,000 tasks: build the graph and finish every task in turn."""
    draw = random.Random(1)
    names = [TaskId(f"t{n}") for n in range(10_000)]
    needs = {
        task: tuple({names[draw.randrange(n)] for _ in range(3)}) if n else ()
        for n, task in enumerate(names)
    }

    def schedule() -> None:
        graph = build_graph(needs)
        assert isinstance(graph, Graph)
        ready = Readiness(graph)
        while ready.ready:
            ready.complete(next(iter(ready.ready)))

    def walk() -> int:
        return sum(len(of) for _ in range(10) for of in dict(needs).values())

    ours, bare = best(schedule), best(walk)
    ours_text, bare_text = f"{ours * 1e3:.0f} ms", f"ten bare walks {bare * 1e3:.0f} ms"
    return Result("schedule 10,000 tasks", ours_text, bare_text, ours / bare, "under 1 s")


def checking(folder: Path) -> Result:
    """A project file of 1,000 tasks, against reading it with the C YAML loader alone."""
    import yaml

    lines = ["helios: 1", "name: big", "goal: big", "tasks:"]
    for n in range(1000):
        lines += [f"  t{n}:", f"    run: echo {n}"] + ([f"    needs: [t{n - 1}]"] if n else [])
    path = folder / "helios.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    ours = best(lambda: load_project(path, known_agents=(), now=0.0))
    bare = best(lambda: yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader))
    return Result("check 1,000 tasks", f"{ours * 1e3:.0f} ms", f"YAML alone {bare * 1e3:.0f} ms",
                  ours / bare, "under 300 ms")  # fmt: skip


def starting() -> Result:
    """`helios --version` against a bare interpreter."""

    def run(*words: str) -> None:
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)

    ours = best(lambda: run("-m", "helios", "--version"), 5)
    bare = best(lambda: run("-c", "pass"), 5)
    return Result("helios --version", f"{ours * 1e3:.0f} ms", f"bare python {bare * 1e3:.0f} ms",
                  ours / bare, "80 ms over bare")  # fmt: skip


def main() -> None:
    """Run all and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = [scheduling(), checking(folder), starting()]
    if "--json" in sys.argv:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return
    print(f"{'hot path':36}{'figure':>12}  {'baseline':28}{'ratio':>8}  goal")
    for r in results:
        print(f"{r.name:36}{r.figure:>12}  {r.baseline:28}{r.ratio:>8.2f}  {r.goal}")


if __name__ == "__main__":
    main()
