"""How long an answer takes, and how long one that is made up is; repeatable.

Without a profile a model is as quick as its tier, some six times quicker than a real one, and
steadier; a profile gives the time to the first token and the time a token, in milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from helios.domain.pricing import Tier
from helios.errors import UsageError
from helios.providers.model_facts import tier_of
from helios.providers.simulator.draws import draw, lognormal


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds until the first token, and from there to the last."""

    first_s: float
    rest_s: float

    @property
    def whole_s(self) -> float:
        """Seconds until the whole answer is there."""
        return self.first_s + self.rest_s


@dataclass(frozen=True, slots=True)
class Latency:
    """Medians in seconds, and the standard deviation of their logarithm."""

    first_s: float
    per_token_s: float
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Lengths:
    """Output tokens: their median, the standard deviation of their logarithm, and the most."""

    median: int = 250
    spread: float = 0.6
    most: int = 8_000

    def draw(self, seed: int, digest: str) -> int:
        """The length of the answer to a request; the same every time."""
        drawn = self.median * lognormal(self.spread, draw(seed, digest, "length"))
        return max(1, min(self.most, round(drawn)))


_BY_TIER = {
    Tier.ECONOMY: Latency(0.28, 1 / 1200.0),
    Tier.STANDARD: Latency(0.32, 1 / 900.0),
    Tier.STRONG: Latency(0.38, 1 / 700.0),
    Tier.FRONTIER: Latency(0.45, 1 / 550.0),
}
LATENCIES: Mapping[str, Latency | None] = {
    "tiers": None,
    "fast": Latency(0.05, 0.002, 0.1),
    "model": Latency(0.9, 0.014, 0.35),
    "slow": Latency(3.0, 0.05, 0.5),
}
"""By name; `tiers` is without a profile."""
LENGTHS: Mapping[str, Lengths] = {
    "short": Lengths(40, 0.4, 400),
    "medium": Lengths(),
    "long": Lengths(1_500, 0.5, 32_000),
}


def delay_of(
    model: str,
    output_tokens: int,
    digest: str,
    time_scale: float,
    *,
    latency: Latency | None = None,
    seed: int = 0,
) -> Delay:
    """The delay of an answer, the same for the same request.

    Args:
        model: decides the speed by its tier, where there is no profile.
        output_tokens: how long the answer is.
        digest: the request's hexadecimal hash; spreads the delay.
        time_scale: 0 does not wait at all.
        latency: the profile; without one the spread is 15 % to either side.
        seed: another seed spreads otherwise.
    """
    if time_scale == 0:
        return Delay(0.0, 0.0)
    if latency is None:
        speed = _BY_TIER[tier_of(model) or Tier.STANDARD]
        scale = time_scale * (0.85 + 0.3 * draw(seed, digest, "delay"))
        return Delay(speed.first_s * scale, output_tokens * speed.per_token_s * scale)
    first = lognormal(latency.spread, draw(seed, digest, "first"))
    rest = lognormal(latency.spread, draw(seed, digest, "rest"))
    each_s = latency.per_token_s * time_scale * rest
    return Delay(latency.first_s * time_scale * first, output_tokens * each_s)


def read_latency(text: str) -> Latency | None:
    """A profile by its name, or as in `first=200,per-token=20,spread=0.3`.

    Raises:
        UsageError: it is something else.
    """
    if text in LATENCIES:
        return LATENCIES[text]
    given = _figures("--latency", text, ("first", "per-token", "spread"), tuple(LATENCIES))
    first_s, token_s = given.get("first", 0.0) / 1000, given.get("per-token", 0.0) / 1000
    return Latency(first_s, token_s, given.get("spread", 0.0))


def read_lengths(text: str) -> Lengths:
    """Lengths by their name, or as in `median=200,spread=0.5,most=4000`.

    Raises:
        UsageError: it is something else.
    """
    if text in LENGTHS:
        return LENGTHS[text]
    given = _figures("--length", text, ("median", "spread", "most"), tuple(LENGTHS))
    usual = Lengths()
    return Lengths(
        int(given.get("median", usual.median)),
        given.get("spread", 0.0),
        int(given.get("most", usual.most)),
    )


def _figures(
    flag: str, text: str, known: tuple[str, ...], named: tuple[str, ...]
) -> dict[str, float]:
    given = {}
    for part in text.split(","):
        name, _, figure = part.partition("=")
        try:
            value = float(figure)
        except ValueError:
            value = -1.0
        if name.strip() not in known or not 0 <= value < 1e9:
            example = ",".join(
                f"{key}={number}" for key, number in zip(known, (200, 1, 4), strict=True)
            )
            raise UsageError(
                f"{flag} {text}: {part!r} is not understood",
                next_step=f"Write {', '.join(named)}, or figures like {example}.",
            )
        given[name.strip()] = value
    return given
