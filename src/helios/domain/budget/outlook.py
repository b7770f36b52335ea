"""What the next spans of time will take, with its uncertainty, from the pace so far.

Experts (running means of several memories, the mean of all, the same hours of yesterday) are
weighted by how well each would have forecast this very history. The uncertainty is measured the
same way: the forecast is made again at past moments, at growing horizons, and compared with what
came then.

Errors are taken on the square-root scale, where a forecast of counts errs about equally at any
level (Bartlett 1936). So the amount to come is the square of a normal variable: skewed, never
negative, with quantiles in closed form.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist

from helios.domain.budget.pace import Pace

LEAST_SPANS = 3
"""With less history than this nothing is known yet."""
MEMORIES = (3, 12, 48)
"""Half-lives of the running means, in spans."""
DAY_S = 86_400.0
LEVEL_SPANS = 12
"""Today is compared with yesterday over so many spans just past."""
NEAR = (4, 12)
"""Horizons (spans) that count beside the one asked for: they see a change while it is young."""
ORIGINS = 32
"""So many past moments are tried at each horizon."""
AGEING_SPANS = 100
"""Half-life of the weight of a past error, in spans."""
SHARPNESS = 5.0
"""How strongly the better experts outweigh the worse."""
FLOOR = 0.05
"""A perfect record counts as this share of the mean error, so that no expert reigns alone."""

PRIOR_SPREAD = 0.15
PRIOR_WEIGHT = 0.5
PRIOR_SLOPE = -0.3
INFLATION = 0.6
"""Fitted on the tuning half of the traces of benchmarks/forecast.py: the spread before anything is
measured, how many measurements that is worth, the power of the horizon that carries a spread to
where it could not be measured, and what remains to cover 80 %."""

STEPS = 24
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Ahead:
    """The amount of one stretch to come: the square of a normal variable."""

    centre: float
    spread: float

    def quantile(self, z: float) -> float:
        """The amount at a normal score (0 is the median, 1.2816 the ninetieth percentile)."""
        return max(0.0, self.centre + z * self.spread) ** 2

    def chance_of(self, amount: float) -> float:
        """The chance that it takes at least `amount`."""
        return 1.0 - NORMAL.cdf((math.sqrt(amount) - self.centre) / self.spread)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What comes until each of a row of moments, `step_s` seconds apart, the first a step ahead."""

    step_s: float
    stretches: tuple[Ahead, ...]

    @property
    def whole(self) -> Ahead:
        """All of the time looked at."""
        return self.stretches[-1]

    def reaches(self, amount: float, z: float) -> float | None:
        """Seconds until the quantile at `z` reaches `amount` (above 0); None if it stays below."""
        before = 0.0
        for number, stretch in enumerate(self.stretches):
            after = stretch.quantile(z)
            if after >= amount:
                return self.step_s * (number + (amount - before) / (after - before))
            before = after
        return None


def look_ahead(pace: Pace, seconds: float) -> Outlook | None:
    """The outlook for the next `seconds`; None when too little was seen to say anything."""
    spans = seconds / pace.span_s
    if len(pace.amounts) < LEAST_SPANS or not any(pace.amounts) or spans <= 0:
        return None
    history = _History(pace)
    weights = history.weigh_experts(spans)
    errors = history.errors(weights, spans)
    stretches = tuple(
        history.ahead(weights, errors, spans * step / STEPS) for step in range(1, STEPS + 1)
    )
    return Outlook(seconds / STEPS, stretches)


@dataclass(frozen=True, slots=True)
class _Error:
    """The mean squared error measured at a horizon, in units of the mean amount of that horizon."""

    horizon: int
    spread: float
    weight: float


class _History:
    """The spans so far, summed up so that every forecast from every past moment costs little."""

    def __init__(self, pace: Pace) -> None:
        self.length = len(pace.amounts)
        self.sums = list(accumulate(pace.amounts, initial=0))
        self.rate = self.sums[-1] / self.length
        self.day = round(DAY_S / pace.span_s)
        self.means = [_running_mean(pace.amounts, memory) for memory in MEMORIES]
        self.means.append([0.0, *(self.sums[k] / k for k in range(1, self.length + 1))])

    def forecasts(self, origin: int, horizon: float) -> list[float]:
        """Each expert's amount for the `horizon` spans after `origin`; yesterday speaks last, and
        only once there is one.
        """
        found = [means[origin] * horizon for means in self.means]
        if origin >= self.day + LEVEL_SPANS:
            found.append(self._as_yesterday(origin, horizon))
        return found

    def _as_yesterday(self, origin: int, horizon: float) -> float:
        """The same hours of yesterday, at today's level."""
        before = origin - self.day
        days, rest = divmod(horizon, self.day)
        whole = self.sums[origin] - self.sums[before]
        amount = days * whole + self._until(before + rest) - self.sums[before]
        # Half a usual stretch on both sides keeps a quiet one from blowing the ratio up.
        calm = 0.5 * whole * LEVEL_SPANS / self.day
        today = self.sums[origin] - self.sums[origin - LEVEL_SPANS] + calm
        yesterday = self.sums[before] - self.sums[before - LEVEL_SPANS] + calm
        return amount * today / yesterday if yesterday else amount

    def _until(self, spans: float) -> float:
        whole = min(int(spans), self.length - 1)
        return self.sums[whole] + (spans - whole) * (self.sums[whole + 1] - self.sums[whole])

    def origins(self, horizon: int) -> range:
        """Past moments, the newest first, from which the horizon has been seen to its end."""
        newest = self.length - horizon
        return range(newest, 0, -max(1, newest // ORIGINS))

    def age_weight(self, origin: int, horizon: int) -> float:
        """How much a past forecast counts: less, the longer ago."""
        return math.pow(0.5, (self.length - horizon - origin) / AGEING_SPANS)

    def came(self, origin: int, horizon: int) -> int:
        """What was used in the `horizon` spans after `origin`."""
        return self.sums[origin + horizon] - self.sums[origin]

    def weigh_experts(self, spans: float) -> list[float]:
        """Weights of the experts by their record, near and as far as what is asked for."""
        far = max(1, min(math.ceil(spans), self.length // 3))
        records = [self._losses(horizon) for horizon in sorted({min(far, n) for n in (*NEAR, far)})]
        losses = [sum(of_expert) for of_expert in zip(*records, strict=False)]
        least = FLOOR * sum(losses) / len(losses) + 1e-9
        return [math.pow(loss + least, -SHARPNESS) for loss in losses]

    def _losses(self, horizon: int) -> list[float]:
        """Each expert's error at a horizon, as a share of the mean error."""
        lost = [0.0] * (len(self.means) + 1)
        seen = [0.0] * len(lost)
        for origin in self.origins(horizon):
            truth = math.sqrt(self.came(origin, horizon))
            weight = self.age_weight(origin, horizon)
            for expert, amount in enumerate(self.forecasts(origin, horizon)):
                lost[expert] += weight * abs(truth - math.sqrt(amount))
                seen[expert] += weight
        losses = [loss / weight for loss, weight in zip(lost, seen, strict=True) if weight]
        usual = sum(losses) / len(losses) + 1e-9
        return [loss / usual for loss in losses]

    def mean(self, weights: Sequence[float], origin: int, horizon: float) -> float:
        """The weighted forecast for the `horizon` spans after `origin`."""
        pairs = list(zip(weights, self.forecasts(origin, horizon), strict=False))
        return sum(w * amount for w, amount in pairs) / sum(w for w, _ in pairs)

    def errors(self, weights: Sequence[float], spans: float) -> list[_Error]:
        """Errors of the weighted forecast at horizons 1, 2, 4, ... as far as history reaches."""
        found: list[_Error] = []
        for horizon in _horizons(min(math.ceil(spans), self.length // 2)):
            squares = total = 0.0
            origins = self.origins(horizon)
            for origin in origins:
                weight = self.age_weight(origin, horizon)
                guess = math.sqrt(self.mean(weights, origin, horizon))
                squares += weight * (math.sqrt(self.came(origin, horizon)) - guess) ** 2
                total += weight
            apart = min(len(origins), self.length / horizon - 1)
            found.append(_Error(horizon, squares / total / (horizon * self.rate), apart))
        return found

    def ahead(self, weights: Sequence[float], errors: Sequence[_Error], horizon: float) -> Ahead:
        """The amount of the next `horizon` spans.

        The experts' present disagreement adds to the errors of the past: after a sudden change they
        part, hours before the record shows it.
        """
        mean = self.mean(weights, self.length, horizon)
        root = math.sqrt(mean)
        pairs = list(zip(weights, self.forecasts(self.length, horizon), strict=False))
        apart = sum(w * (math.sqrt(amount) - root) ** 2 for w, amount in pairs)
        square = INFLATION * _spread(errors, horizon) * horizon * self.rate
        square += apart / sum(w for w, _ in pairs)
        # The mean of a squared normal variable is its centre squared plus its variance.
        return Ahead(math.sqrt(max(0.0, mean - square)), math.sqrt(square))


def _running_mean(amounts: Sequence[int], memory: int) -> list[float]:
    """The exponentially weighted mean of everything before each moment, without start-up bias."""
    keep = 0.5 ** (1 / memory)
    total = weight = 0.0
    found = [0.0]
    for amount in amounts:
        total = total * keep + amount
        weight = weight * keep + 1.0
        found.append(total / weight)
    return found


def _horizons(most: int) -> list[int]:
    doubled = [2**power for power in range(max(1, most).bit_length()) if 2**power < most]
    return [*doubled, most] if most else []


def _spread(errors: Sequence[_Error], horizon: float) -> float:
    """The spread at a horizon: those measured, carried there along a power law, and the prior; a
    geometric mean in which near horizons and well measured ones count more.
    """
    total = PRIOR_WEIGHT * math.log(PRIOR_SPREAD)
    weights = PRIOR_WEIGHT
    for error in errors:
        ratio = horizon / error.horizon
        weight = error.weight / max(ratio, 1 / ratio)
        total += weight * (math.log(max(error.spread, 1e-6)) + PRIOR_SLOPE * math.log(ratio))
        weights += weight
    return math.exp(total / weights)
