"""The classic economic choice: which model does a task.

Four factors, each 0 to 10, weighted to a score of 0 to 10 that says how strong a model the task
deserves:

    complexity    40 %   how hard the task looks
    budget        30 %   how much room the windows have for a dear model
    performance   20 %   what outcomes taught: how much better the strong model does
    priority      10 %   how much the user cares

6.5 and above takes the strong model, 4.5 and below the standard one; between them the type of
task decides. Trivial tasks take the economy model. The strong model is downgraded when its share
of the window is nearly gone or the windows throttle, but never below what the role asks for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from helios.domain.budget.zones import Zone
from helios.domain.pricing import Catalogue, Model, Tier
from helios.domain.routing.complexity import Band, Complexity
from helios.domain.routing.learning import Learned
from helios.domain.usage import Usage

WEIGHTS: Mapping[str, float] = {
    "complexity": 0.4,
    "budget": 0.3,
    "performance": 0.2,
    "priority": 0.1,
}
STRONG_FROM = 6.5
STANDARD_TO = 4.5
SHARE_NEARLY_GONE = 0.8
TRUST_HALF_AT = 10
"""So many outcomes are needed before half of a measured difference counts."""
STRONG_TYPES = frozenset({"architecture", "planning", "review"})


@dataclass(frozen=True, slots=True)
class RoutingInput:
    """What the choice looks at.

    `used` is the fullest zoned window (0..1), `strong_share_used` how much of the strong models'
    share is gone (0..1), `expected` the usage of one attempt, `pinned` a model or tier the user
    named, `escalate` how many tiers above the first choice this attempt goes.
    """

    task_type: str
    complexity: Complexity
    priority: int
    used: float
    zone: Zone
    strong_share_used: float
    expected: Usage
    pinned: str | None = None
    minimum_tier: Tier = Tier.ECONOMY
    escalate: int = 0


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor: its value (0..10), its weight (0..1) and what it rests on."""

    name: str
    value: float
    weight: float
    because: str

    @property
    def points(self) -> float:
        """What it adds to the score."""
        return self.value * self.weight


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another model, what one attempt would cost there and how often it is expected to succeed."""

    model: str
    tier: Tier
    cost_microusd: int
    success: float


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """The model and why."""

    model: str
    tier: Tier
    score: float
    confidence: float
    reason: str
    factors: tuple[Factor, ...]
    complexity: Complexity
    alternatives: tuple[Alternative, ...] = field(default=())


def choose(wish: RoutingInput, catalogue: Catalogue, learned: Learned) -> RouteChoice:
    """Choose a model by the classic rules.

    Raises:
        UnknownPrice: the pinned model has no price.
        ValueError: the catalogue is empty.
    """
    ladder = catalogue.ladder()
    if not ladder:
        raise ValueError("there is no model to choose from")
    factors = _factors(wish, ladder, learned)
    score = sum(factor.points for factor in factors)
    model, reason = _pick(wish, score, catalogue, ladder)
    if wish.escalate and not wish.pinned:
        model, reason = _escalated(wish, model, ladder, reason)
    return RouteChoice(
        model=model.name,
        tier=model.tier,
        score=score,
        confidence=_confidence(wish, score),
        reason=reason,
        factors=factors,
        complexity=wish.complexity,
        alternatives=tuple(
            Alternative(
                other.name,
                other.tier,
                other.cost_microusd(wish.expected),
                learned.rate(wish.task_type, other.name),
            )
            for other in ladder
        ),
    )


def _factors(wish: RoutingInput, ladder: tuple[Model, ...], learned: Learned) -> tuple[Factor, ...]:
    strong, standard = _at(ladder, Tier.STRONG), _at(ladder, Tier.STANDARD)
    uplift = learned.rate(wish.task_type, strong.name) - learned.rate(wish.task_type, standard.name)
    seen = learned.count(wish.task_type, strong.name) + learned.count(wish.task_type, standard.name)
    trust = seen / (seen + TRUST_HALF_AT)
    performance = min(10.0, max(0.0, 5.0 + 10.0 * uplift * trust))
    return (
        Factor(
            "complexity",
            wish.complexity.score,
            WEIGHTS["complexity"],
            f"{wish.complexity.band} ({wish.complexity.score:.1f} of 10)",
        ),
        Factor(
            "budget",
            10.0 * max(0.0, 1.0 - wish.used),
            WEIGHTS["budget"],
            f"{wish.used:.0%} of the fullest window used, zone {wish.zone}",
        ),
        Factor(
            "performance",
            performance,
            WEIGHTS["performance"],
            f"{strong.name} {uplift:+.0%} against {standard.name} on {seen} outcomes",
        ),
        Factor("priority", float(wish.priority), WEIGHTS["priority"], f"priority {wish.priority}"),
    )


def _pick(
    wish: RoutingInput, score: float, catalogue: Catalogue, ladder: tuple[Model, ...]
) -> tuple[Model, str]:
    if wish.pinned:
        return _pinned(wish.pinned, catalogue)
    tier, reason = _tier_by_score(wish, score)
    if tier.rank < wish.minimum_tier.rank:
        tier, reason = wish.minimum_tier, f"the role asks for {wish.minimum_tier} or better"
    if tier.rank >= Tier.STRONG.rank > wish.minimum_tier.rank:
        why_not = _downgrade(wish)
        if why_not:
            tier, reason = Tier.STANDARD, f"downgraded: {why_not}"
    able = tuple(model for model in ladder if model.tier.rank >= wish.minimum_tier.rank)
    model = _at(able or ladder, tier)
    return model, f"{model.name}: {reason}"


def _pinned(name: str, catalogue: Catalogue) -> tuple[Model, str]:
    if name in list(Tier):
        found = catalogue.of_tier(Tier(name))
        if found:
            return found, f"{found.name}: the project asks for the {name} tier"
    return catalogue.model(name), f"{name}: named in the project"


def _tier_by_score(wish: RoutingInput, score: float) -> tuple[Tier, str]:
    if wish.complexity.band is Band.TRIVIAL and wish.task_type not in STRONG_TYPES:
        return Tier.ECONOMY, "a trivial task"
    if score >= STRONG_FROM:
        return Tier.STRONG, f"score {score:.1f}, {STRONG_FROM} and above is for the strong model"
    if score <= STANDARD_TO:
        return Tier.STANDARD, f"score {score:.1f}, {STANDARD_TO} and below needs no strong model"
    if wish.task_type in STRONG_TYPES:
        return Tier.STRONG, f"score {score:.1f} is between, and {wish.task_type} leans strong"
    return Tier.STANDARD, f"score {score:.1f} is between, and {wish.task_type} leans cheap"


def _downgrade(wish: RoutingInput) -> str:
    if wish.strong_share_used >= SHARE_NEARLY_GONE:
        return f"{wish.strong_share_used:.0%} of the strong models' share is used"
    if wish.zone is not Zone.NORMAL:
        return f"the windows are in zone {wish.zone}"
    return ""


def _escalated(
    wish: RoutingInput, model: Model, ladder: tuple[Model, ...], reason: str
) -> tuple[Model, str]:
    above = [m for m in ladder if m.tier.rank > model.tier.rank]
    if not above:
        return model, f"{reason}; nothing stronger to escalate to"
    target = above[min(wish.escalate, len(above)) - 1]
    return target, f"{target.name}: escalated from {model.name} after failed attempts"


def _at(ladder: tuple[Model, ...], tier: Tier) -> Model:
    """The model of a tier, else the nearest cheaper one, else the cheapest."""
    fitting = [model for model in ladder if model.tier.rank <= tier.rank]
    return fitting[-1] if fitting else ladder[0]


def _confidence(wish: RoutingInput, score: float) -> float:
    """How far the score is from the nearest threshold, 0.5 (on it) to 1 (2.5 points away)."""
    if wish.pinned:
        return 1.0
    distance = min(abs(score - STRONG_FROM), abs(score - STANDARD_TO))
    return min(1.0, 0.5 + distance / 5.0)
