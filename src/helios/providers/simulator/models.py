"""The models that are listed, in both dialects."""

from typing import Any
from urllib.parse import parse_qs

from helios.providers.simulator.requests import ApiError, invalid

_CREATED = 1_793_491_200
_MOST = 1_000


def list_models(names: tuple[str, ...], query: str) -> dict[str, Any]:
    """A page of the models.

    Args:
        names: all of them.
        query: may say `limit`, `after_id` and `before_id`, as the API takes them.

    Raises:
        ApiError: 400; the limit is no number from 1 to 1,000.
    """
    return page([_described(name) for name in names], query)


def page(items: list[dict[str, Any]], query: str) -> dict[str, Any]:
    """One page of a list, its items named by their `id`.

    Raises:
        ApiError: 400; the limit is no number from 1 to 1,000.
    """
    asked = {key: values[-1] for key, values in parse_qs(query).items()}
    limit = asked.get("limit", "20")
    if not limit.isascii() or not limit.isdecimal() or not 1 <= int(limit) <= _MOST:
        raise invalid(f"limit: must be from 1 to {_MOST}")
    most, ids = int(limit), [item["id"] for item in items]
    start = ids.index(asked["after_id"]) + 1 if asked.get("after_id") in ids else 0
    if asked.get("before_id") in ids:
        start = max(0, ids.index(asked["before_id"]) - most)
        most = min(most, ids.index(asked["before_id"]) - start)
    shown = items[start : start + most]
    return {
        "data": shown,
        "has_more": start + most < len(items),
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }


def openai_models(names: tuple[str, ...]) -> dict[str, Any]:
    """All models, as the other dialect lists them."""
    return {"object": "list", "data": [_as_openai(name) for name in names]}


def one_model(names: tuple[str, ...], name: str, *, openai: bool) -> dict[str, Any]:
    """One model by its name.

    Raises:
        ApiError: 404; there is none of this name.
    """
    if name not in names:
        raise ApiError(404, "not_found_error", f"model: {name}")
    return _as_openai(name) if openai else _described(name)


def _described(model: str) -> dict[str, Any]:
    words = model.replace("-", " ").title()
    return {
        "type": "model",
        "id": model,
        "display_name": f"{words} (simulated)",
        "created_at": "2026-11-01T00:00:00Z",
    }


def _as_openai(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": _CREATED, "owned_by": "simulated"}
