"""What Helios must know of models beyond their price: their family, and what they accept."""

import re

from helios.domain.pricing import Tier

CLAUDE_CODE_ALIASES = frozenset({"haiku", "sonnet", "opus", "fable"})
CLAUDE_CODE_OVERHEAD = 4_000
"""Tokens that Claude Code adds to a prompt of its own accord, without tools, rounded up."""

_FAMILIES = {
    "haiku": Tier.ECONOMY,
    "instant": Tier.ECONOMY,
    "sonnet": Tier.STANDARD,
    "opus": Tier.STRONG,
    "fable": Tier.FRONTIER,
    "mythos": Tier.FRONTIER,
}

# As the provider writes them: a version of one or two digits, and perhaps its day. A list that goes
# by beginnings takes `claude-opus-4-10` for Opus 4.1, and `claude-sonnet-4-5[1m]` for Sonnet 4.5.
_FAMILY = "(?:" + "|".join(_FAMILIES) + ")"
_RELEASE = re.compile(rf"claude-(?:\d(?:-\d)?-{_FAMILY}|{_FAMILY}-\d(?:-\d)?)(?:-\d{{8}}|-latest)?")

# Models before 5.1 and Haiku 5.5 accept a forced tool; the list is closed, because the models
# after them answer it with 400 on every request, and `auto` is accepted by all.
_FORCED_TOOL = re.compile(
    r"claude-(?:2|3-|instant|v1|(?:haiku|sonnet|opus)-4|(?:sonnet|opus|fable|mythos)-5(?![-.]\d{1,2}\b)"
    r"|haiku-5[-.]5)"
)


def tier_of(name: str) -> Tier | None:
    """The tier of a Claude model by its family; None when the family is unknown."""
    return next((tier for family, tier in _FAMILIES.items() if family in name), None)


def is_release(name: str) -> bool:
    """Whether a name is written as the provider's own, so that what is listed of it can be meant of
    no other model.
    """
    return _RELEASE.fullmatch(name) is not None


def accepts_forced_tool(name: str) -> bool:
    """Whether a request may name the one tool the model has to call."""
    return _FORCED_TOOL.match(name) is not None
