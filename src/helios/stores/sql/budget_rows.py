"""The budget book's values as rows, and back. What holds for ever has no `until`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from helios.domain.budget.account import LimitRule
from helios.domain.budget.signal import Signal
from helios.domain.budget.spend import Spend, SpendTotal
from helios.domain.budget.throttle import Throttle
from helios.domain.budget.units import Unit
from helios.domain.budget.window import (
    NEVER,
    Anchored,
    Calendar,
    Forever,
    OpensOnUse,
    WindowRule,
)
from helios.domain.budget.zones import Thresholds
from helios.domain.usage import Usage
from helios.stores.sql.encoding import storable

Row = Mapping[str, Any]

_KINDS: Mapping[str, type[Forever | OpensOnUse | Anchored | Calendar]] = {
    "forever": Forever,
    "opens-on-use": OpensOnUse,
    "anchored": Anchored,
    "calendar": Calendar,
}
_NAMES = {rule: kind for kind, rule in _KINDS.items()}


def window_json(rule: WindowRule) -> dict[str, Any]:
    """A window rule as it is stored: its kind and its fields."""
    return {"kind": _NAMES[type(rule)], **asdict(rule)}


def window_from(stored: Row) -> WindowRule:
    """A window rule from what is stored."""
    return _KINDS[stored["kind"]](**{key: stored[key] for key in stored if key != "kind"})


def limit_row(rule: LimitRule) -> dict[str, Any]:
    """A rule to insert or to replace."""
    return {
        "account": rule.account,
        "name": rule.name,
        "unit": rule.unit.value,
        "cap": rule.cap,
        "window_rule": window_json(rule.window),
        "strong_only": rule.strong_only,
        "zoned": rule.zoned,
        "thresholds": asdict(rule.thresholds),
    }


def limit_from(row: Row) -> LimitRule:
    """A rule as it is stored."""
    return LimitRule(
        account=row["account"],
        name=row["name"],
        unit=Unit(row["unit"]),
        cap=row["cap"],
        window=window_from(row["window_rule"]),
        strong_only=row["strong_only"],
        zoned=row["zoned"],
        thresholds=Thresholds(**row["thresholds"]),
    )


def throttle_row(throttle: Throttle) -> dict[str, Any]:
    """The brake to insert or to replace."""
    return {
        "id": 1,
        "level": throttle.level,
        "set_at": throttle.set_at,
        "until": None if throttle.until == NEVER else throttle.until,
        "reason": throttle.reason,
        "set_by": throttle.by,
    }


def throttle_from(row: Row) -> Throttle:
    """The brake as it is stored."""
    return Throttle(
        level=row["level"],
        set_at=row["set_at"],
        until=NEVER if row["until"] is None else row["until"],
        reason=row["reason"],
        by=row["set_by"],
    )


def signal_row(signal: Signal) -> dict[str, Any]:
    """A figure to insert or to replace."""
    return {
        "window_name": signal.window,
        "at": signal.at,
        "source": signal.source,
        "used": signal.used,
        "resets_at": signal.resets_at,
        "status": signal.status,
        "overage": signal.overage,
    }


def signal_from(row: Row) -> Signal:
    """A figure as it is stored."""
    return Signal(
        window=row["window_name"],
        used=row["used"],
        at=row["at"],
        source=row["source"],
        resets_at=row["resets_at"],
        status=row["status"],
        overage=row["overage"],
    )


def spend_row(spend: Spend) -> dict[str, Any]:
    """What a request spent, to insert."""
    return {
        "request_id": storable(spend.request_id),
        "at": spend.at,
        "model": storable(spend.model),
        "tier": spend.tier,
        "input_tokens": spend.usage.input_tokens,
        "output_tokens": spend.usage.output_tokens,
        "cache_write_tokens": spend.usage.cache_write_tokens,
        "cache_read_tokens": spend.usage.cache_read_tokens,
        "cost_microusd": spend.cost_microusd,
        "simulated": spend.simulated,
        "source": spend.source,
        "messages": spend.messages,
        "account": storable(spend.account),
        "project": storable(spend.project),
        "task": storable(spend.task),
        "agent": storable(spend.agent),
        "asked": storable(spend.asked),
        "message_id": storable(spend.message_id),
    }


def _usage_from(row: Row) -> Usage:
    kinds = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
    return Usage(*(int(row[kind]) for kind in kinds))


def total_from(row: Row) -> SpendTotal:
    """A sum; PostgreSQL sums whole numbers into decimals, exactly."""
    return SpendTotal(
        name=row["name"],
        messages=int(row["messages"]),
        usage=_usage_from(row),
        cost_microusd=int(row["cost_microusd"]),
    )
