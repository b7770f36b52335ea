"""A choice in a form that can be stored, shown and read back."""

from typing import Any

from helios.domain.routing.choice import RouteChoice


def explain(choice: RouteChoice, task_type: str) -> dict[str, Any]:
    """The whole explanation as plain data; money in US dollars."""
    return {
        "policy": "classic",
        "task_type": task_type,
        "model": choice.model,
        "tier": str(choice.tier),
        "score": round(choice.score, 3),
        "confidence": round(choice.confidence, 3),
        "reason": choice.reason,
        "factors": [
            {
                "name": factor.name,
                "value": round(factor.value, 3),
                "weight": factor.weight,
                "points": round(factor.points, 3),
                "because": factor.because,
            }
            for factor in choice.factors
        ],
        "complexity": {
            "score": round(choice.complexity.score, 3),
            "band": str(choice.complexity.band),
            "parts": {name: round(points, 3) for name, points in choice.complexity.parts},
        },
        "alternatives": [
            {
                "model": other.model,
                "tier": str(other.tier),
                "cost_usd": other.cost_microusd / 1_000_000,
                "success": round(other.success, 3),
            }
            for other in choice.alternatives
        ],
    }
