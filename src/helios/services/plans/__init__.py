"""The named plans: data files beside this module, read into the governor's limits."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from helios.domain.budget.preset import Plan, PlanWindow
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Anchored, Calendar, OpensOnUse, WindowRule
from helios.domain.budget.zones import Thresholds
from helios.errors import UsageError


class _WindowFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    opens: Literal["on use", "anchored", "day", "month"]
    hours: float = Field(default=0.0, ge=0)
    unit: Unit
    cap: int = Field(gt=0)
    strong_share: float | None = Field(default=None, ge=0, le=1)
    provider: str = ""

    @model_validator(mode="after")
    def _has_a_length(self) -> "_WindowFile":
        if self.opens in ("on use", "anchored") and not self.hours:
            raise ValueError(f"window {self.name!r} needs its length in `hours`")
        return self

    def rule(self) -> WindowRule:
        """How this window's spans follow one another."""
        length_s = self.hours * 3600.0
        match self.opens:
            case "on use":
                return OpensOnUse(length_s)
            case "anchored":
                return Anchored(length_s)
            case "day" | "month":
                return Calendar(self.opens)


class _PlanFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    about: str
    windows: list[_WindowFile]
    thresholds: dict[str, float] = Field(default_factory=dict[str, float])
    window_usd: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _points_need_a_value(self) -> "_PlanFile":
        if self.window_usd is None and any(w.unit is Unit.MILLIPOINTS for w in self.windows):
            raise ValueError("a window in millipoints needs `window_usd`")
        return self


def plan_names() -> tuple[str, ...]:
    """The plans Helios ships."""
    names = (entry.name for entry in files(__package__).iterdir())
    return tuple(sorted(name[: -len(".yaml")] for name in names if name.endswith(".yaml")))


def load_plan(name: str, messages: int = 0) -> Plan:
    """A plan by its name.

    Args:
        name: one of `plan_names()`.
        messages: replaces the ceiling of every window counted in messages; 0 keeps the file's.

    Raises:
        UsageError: there is no such plan.
    """
    if name not in plan_names():
        raise UsageError(
            f"there is no plan {name!r}", next_step=f"Known plans: {', '.join(plan_names())}."
        )
    text = files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    data: Mapping[str, Any] = yaml.safe_load(text)
    read = _PlanFile.model_validate(data)
    windows = tuple(
        PlanWindow(w.name, w.rule(), w.unit, w.cap, w.strong_share, w.provider)
        for w in read.windows
    )
    if messages:
        windows = tuple(replace(w, cap=messages) if w.unit is Unit.MESSAGES else w for w in windows)
    thresholds = Thresholds(**_whole_priority(read.thresholds))
    return Plan(read.name, read.about, windows, thresholds, read.window_usd)


def _whole_priority(thresholds: Mapping[str, float]) -> dict[str, Any]:
    return {k: int(v) if k == "critical_priority" else v for k, v in thresholds.items()}
