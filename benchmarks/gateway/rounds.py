"""Rounds: every target in turn under the same load, so that a busy machine slows all alike."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil
from load import Plan, Told
from places import Place, load


@dataclass(frozen=True, slots=True)
class Round:
    """One load on one target; processor time in seconds. `others_s` is what was neither the
    target's, nor the simulator's, nor the load's.
    """

    told: Told
    own_s: float
    upstream_s: float
    others_s: float

    @property
    def rate(self) -> float:
        return len(self.told.spans) / self.told.took


@dataclass(slots=True)
class Target:
    """A place with its rounds."""

    place: Place
    rounds: list[Round] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def calls(self) -> int:
        return sum(len(one.told.spans) for one in self.rounds)

    @property
    def rate(self) -> float:
        """Requests a second in the round that was disturbed least."""
        return max(one.rate for one in self.rounds)

    @property
    def own_us(self) -> float:
        """Its own processor time a call, in microseconds."""
        return sum(one.own_s for one in self.rounds) / max(1, self.calls) * 1e6

    @property
    def failures(self) -> Counter[str]:
        return sum((Counter(one.told.failures) for one in self.rounds), Counter[str]())

    def span_ms(self, share: float, *, first: bool = False) -> float:
        """A quantile over all rounds; of the time to the first delta, or to the end."""
        spans = sorted(
            span for one in self.rounds for span in (one.told.first if first else one.told.spans)
        )
        return spans[min(len(spans) - 1, int(len(spans) * share))] * 1e3 if spans else float("nan")

    def cores(self, part: str) -> float:
        """How many cores `own`, `upstream`, `load` or `others` took on the average."""
        took = sum(one.told.took for one in self.rounds)
        if part == "load":
            return sum(one.told.cpu for one in self.rounds) / took
        return float(sum(getattr(one, f"{part}_s") for one in self.rounds)) / took


def fire(target: Target, upstream: Place, **plan: float) -> None:
    """One round."""
    place = target.place
    own, theirs, all_ = place.cpu_s(), upstream.cpu_s(), _busy_s()
    told = load(Plan(place.port, place.key, place.name, **plan))  # type: ignore[arg-type]
    own, theirs = place.cpu_s() - own, upstream.cpu_s() - theirs
    ours = own + told.cpu + (theirs if place is not upstream else 0.0)
    target.rounds.append(Round(told, own, theirs, max(0.0, _busy_s() - all_ - ours)))


def turn_about(
    places: Sequence[Place], upstream: Place, rounds: int, **plan: float
) -> dict[str, Target]:
    """Every target as often as asked, each time another one first; warmed up before."""
    targets = [Target(place) for place in places]
    for target in targets:
        fire(target, upstream, **{**plan, "seconds": 0.7})
        target.rounds.clear()
    for number in range(rounds):
        for place in range(len(targets)):
            fire(targets[(number + place) % len(targets)], upstream, **plan)
    return {target.name: target for target in targets}


def times(ours: Target, theirs: Target) -> float:
    """How many times as many requests a second, the median over the rounds."""
    pairs = zip(ours.rounds, theirs.rounds, strict=True)
    return statistics.median(one.rate / max(other.rate, 1e-9) for one, other in pairs)


def _busy_s() -> float:
    times_ = psutil.cpu_times()
    return float(sum(times_) - times_.idle - getattr(times_, "iowait", 0.0))
