"""What is measured: each stage has its own simulator and its own servers."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from books import differences, metered
from places import Place, floor, helios, meter, simulator
from rival import BUDGETS, NoRivalError, litellm, spent_usd, version
from rounds import Target, fire, times, turn_about

CLIENTS = 50
STREAMS = 1_000
DELTAS = 8
LONG_DELTAS = 20
SETTLED_S = 10.0
MOST_GROWTH = 0.05
BODY, LARGE_BODY = 2_000, 50_000


@dataclass(slots=True)
class Report:
    """What a stage tells. `faults` make the run void; `goals` are kept or missed."""

    title: str
    lines: list[str] = field(default_factory=list)
    goals: list[tuple[str, bool]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def goal(self, text: str, *, kept: bool) -> None:
        self.goals.append((text, kept))


@dataclass(frozen=True, slots=True)
class Asked:
    """How much to measure."""

    rounds: int
    seconds: float
    rival: bool
    full: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """The processes of a stage; `rival` is None where there is none, `why` tells it."""

    upstream: Place
    floor: Place
    helios: Place
    rival: Place | None
    why: str = ""

    @property
    def places(self) -> list[Place]:
        return [self.upstream, self.floor, self.helios, *([self.rival] if self.rival else [])]


@contextlib.contextmanager
def scene(latency: str, deltas: int, *, rival: bool = False) -> Iterator[Scene]:
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(simulator(latency=latency, deltas=deltas))
        bare = stack.enter_context(floor(upstream))
        ours = stack.enter_context(helios(upstream))
        other, why = None, ""
        if rival:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="helios-bench-")))
            try:
                other = stack.enter_context(litellm(upstream, folder))
            except NoRivalError as error:
                why = f"litellm is left out: {error}"
        yield Scene(upstream, bare, ours, other, why)


def latency(asked: Asked) -> Report:
    """What a gateway adds while nothing is saturated."""
    report = Report(f"1. added latency: {CLIENTS} clients, SSE, {BODY:,} bytes, a model of 300 ms")
    with scene("first=300,per-token=0", DELTAS, rival=asked.rival) as on:
        targets = turn_about(
            on.places,
            on.upstream,
            asked.rounds,
            clients=CLIENTS,
            seconds=asked.seconds,
            pause=0.04,
            ramp=0.3,
        )
        bare, ours = targets["floor"], targets["helios"]
        for target in targets.values():
            over = " ".join(
                f"{target.span_ms(at) - base.span_ms(at):+9.2f}"
                for base in (targets["simulator"], bare)
                for at in (0.5, 0.99)
            )
            report.lines.append(
                f"{target.name:11}{target.span_ms(0.5):9.2f} {target.span_ms(0.99):9.2f} {over}"
                f" {target.own_us:8.0f}"
            )
        report.lines.insert(
            0,
            f"{'':11}{'p50 ms':>9} {'p99 ms':>9} {'over simulator p50, p99':>19}"
            f"{'over floor p50, p99':>20} {'own us':>8}",
        )
        p50 = ours.span_ms(0.5) - bare.span_ms(0.5)
        p99 = ours.span_ms(0.99) - bare.span_ms(0.99)
        report.goal(f"p50 {p50:+.2f} ms over the floor (at most 1)", kept=p50 <= 1)
        report.goal(f"p99 {p99:+.2f} ms over the floor (at most 10)", kept=p99 <= 10)
        _close(report, on, targets)
        _about_rival(report, on)
    return report


def saturation(asked: Asked) -> list[Report]:
    """How many requests a second."""
    reports = []
    kinds = ((BODY, True, "SSE"), (BODY, False, "JSON"), (LARGE_BODY, True, "SSE"))
    with scene("first=0,per-token=0", DELTAS, rival=asked.rival) as on:
        for number, (size, stream, kind) in enumerate(kinds):
            report = Report(
                f"2{'abc'[number]}. saturation: {CLIENTS} clients, {kind}, {size:,} bytes, a model"
                " that answers at once"
            )
            targets = turn_about(
                on.places,
                on.upstream,
                asked.rounds,
                clients=CLIENTS,
                seconds=asked.seconds,
                body_bytes=size,
                stream=stream,
            )
            _rates(report, targets)
            _close(report, on, targets)
            reports.append(report)
        _about_rival(reports[-1], on)
    return reports


def _rates(report: Report, targets: dict[str, Target]) -> None:
    bare, ours = targets["floor"], targets["helios"]
    report.lines.append(
        f"{'':11}{'best':>9} {'of floor':>9} {'p50 ms':>9} {'p99 ms':>9} {'own us':>8}"
        f"   cores: {'own':>5} {'simul.':>6} {'load':>5} {'others':>6}"
    )
    for target in targets.values():
        cores = [target.cores(part) for part in ("own", "upstream", "load", "others")]
        report.lines.append(
            f"{target.name:11}{target.rate:7,.0f}/s {times(target, bare):9.2f}"
            f" {target.span_ms(0.5):9.2f} {target.span_ms(0.99):9.2f} {target.own_us:8.0f}"
            f"   {'':6} {cores[0]:5.2f} {cores[1]:6.2f} {cores[2]:5.2f} {cores[3]:6.2f}"
        )
    own = bare.own_us / ours.own_us
    ratio = times(ours, bare)
    report.goal(
        f"{ratio:.0%} of the floor, {own:.0%} by own time (at least 60 %)", kept=ratio >= 0.6
    )
    if rival := targets.get("litellm"):
        ratio = times(ours, rival)
        own = rival.own_us / ours.own_us
        text = f"{ratio:.1f} times litellm, {own:.1f} by own time (at least 5)"
        report.goal(text, kept=ratio >= 5)
    alone = targets["simulator"].rate
    if alone < 2 * bare.rate:
        report.lines.append(
            f"the simulator alone gives only {alone:,.0f}/s, and so limits the floor too"
        )


def streams(asked: Asked) -> Report:
    """Many long answers at once."""
    report = Report(
        f"3. streams: {STREAMS:,} at once, {LONG_DELTAS} deltas over 7 s, begun within 2 s"
    )
    with scene("first=500,per-token=30", LONG_DELTAS) as on:
        targets = {place.name: Target(place) for place in on.places}
        for number in range(2 if not asked.full else 4):
            for target in (list(targets.values()), list(targets.values())[::-1])[number % 2]:
                fire(target, on.upstream, clients=STREAMS, calls=STREAMS, ramp=2.0, whole=True)
        bare, ours = targets["floor"], targets["helios"]
        answers = _answers(targets["simulator"])
        expected = max(answers, key=answers.__getitem__, default="")
        if len(answers) != 1:
            report.faults.append(f"the simulator gave {len(answers)} different answers itself")
        report.lines.append(
            f"{'':11}{'whole':>7} {'lost':>6} {'first p50':>10} {'first p99':>10} {'end p99':>9}"
            f" {'own us':>8} {'others':>7}"
        )
        for target in targets.values():
            whole = _answers(target).get(expected, 0)
            lost = STREAMS * len(target.rounds) - whole
            first, late = (target.span_ms(at, first=True) for at in (0.5, 0.99))
            end, others = target.span_ms(0.99), target.cores("others")
            report.lines.append(
                f"{target.name:11}{whole:7,} {lost:6,} {first:7.0f} ms {late:7.0f} ms {end:6.0f} ms"
                f" {target.own_us:8.0f} {others:7.2f}"
            )
            if target is ours:
                report.goal(f"{lost} of {whole + lost:,} streams lost (none)", kept=lost == 0)
        alone = targets["simulator"].span_ms(0.99, first=True)
        over = [target.span_ms(0.99, first=True) - alone for target in (bare, ours)]
        report.lines.append(
            f"first token p99 over the simulator alone: floor {over[0]:+.0f} ms,"
            f" helios {over[1]:+.0f} ms"
        )
        late = over[1] - over[0]
        report.goal(
            f"first token p99 {late:+.0f} ms over the floor (at most 150)", kept=late <= 150
        )
        _close(report, on, targets)
    return report


def _answers(target: Target) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in target.rounds:
        for text, number in one.told.answers.items():
            found[text] = found.get(text, 0) + number
    return found


def memory(asked: Asked) -> Report:
    """Whether the gateway's memory grows with the calls."""
    steps = [10_000, *range(20_000, 110_000 if asked.full else 30_000, 10_000)]
    report = Report(f"4. memory over {steps[-1]:,} calls, {CLIENTS} at once")
    with scene("first=0,per-token=0", DELTAS) as on:
        target, sizes = Target(on.helios), []
        for _ in steps:
            fire(target, on.upstream, clients=CLIENTS, calls=10_000)
            sizes.append(on.helios.rss_mb())
        shown = ", ".join(f"{step:,}: {size:.1f}" for step, size in zip(steps, sizes, strict=True))
        report.lines.append(f"resident MB after so many calls: {shown}")
        growth = sizes[-1] / sizes[0] - 1
        report.goal(
            f"{growth:+.1%} from {steps[0]:,} to {steps[-1]:,} calls (at most {MOST_GROWTH:.0%})",
            kept=growth <= MOST_GROWTH,
        )
        _close(report, on, {"helios": target})
    return report


def _close(report: Report, on: Scene, targets: dict[str, Target]) -> None:
    """The books, and what was refused or broke."""
    home = on.helios.home
    assert home
    billed, wrong = _settled(home, lambda: meter(on.upstream))
    ours = [one for one in billed if "by" not in one["labels"]]
    cost = metered(ours)["cost_microusd"] / 1e6
    if wrong:
        report.faults += [f"books and meter differ: {text}" for text in wrong]
    else:
        report.lines.append(
            f"Helios's books equal the simulator's meter: {len(ours):,} calls, ${cost:,.6f}"
        )
    for target in targets.values():
        for why, number in target.failures.most_common(3):
            text = f"{target.name}: {number} failed: {why[:300]}"
            (report.faults if target.place is on.helios else report.lines).append(text)


def _about_rival(report: Report, on: Scene) -> None:
    """What litellm had on, and whether it counted right; or why it is not there."""
    if on.why:
        report.lines.append(on.why)
    if on.rival:
        billed = meter(on.upstream)
        theirs = [one for one in billed if one["labels"].get("by") == "litellm"]
        report.lines += [
            f"litellm counts ${spent_usd(on.rival):,.6f}, the meter"
            f" ${metered(theirs)['cost_microusd'] / 1e6:,.6f} for its {len(theirs):,} calls",
            f"litellm {version()}, budgets {BUDGETS}",
        ]


def _settled(
    home: Path, read: Callable[[], list[dict[str, Any]]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The meter and what the books lack of it, once the last call had time to be booked."""
    ends = time.perf_counter() + SETTLED_S
    while True:
        billed = read()
        # Whoever else asks the simulator says so; Helios keeps such headers back.
        wrong = differences(home, [one for one in billed if "by" not in one["labels"]])
        if not wrong or time.perf_counter() > ends:
            return billed, wrong
        time.sleep(0.5)
