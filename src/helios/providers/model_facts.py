"""What Helios must know of models beyond their price: whose they are, and what they accept."""

import re

from helios.domain.pricing import Tier

VENDORS = ("anthropic", "openai", "google", "ollama", "claude-code")
"""What a model's name may begin with, before a colon."""

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

# Models before 5.1 and Haiku 5.5 accept a forced tool; the list is closed, because the models
# after them answer it with 400 on every request, and `auto` is accepted by all.
_FORCED_TOOL = re.compile(
    r"claude-(?:2|3-|instant|v1|(?:haiku|sonnet|opus)-4|(?:sonnet|opus|fable|mythos)-5(?![-.]\d{1,2}\b)"
    r"|haiku-5[-.]5)"
)


def split_vendor(name: str) -> tuple[str | None, str]:
    """The vendor a model's name begins with, and the vendor's own name for the model.

    A name may have colons of its own, as `llama3:8b` has; only a known vendor is split off.
    """
    vendor, colon, rest = name.partition(":")
    return (vendor, rest) if colon and rest and vendor in VENDORS else (None, name)


def tier_of(name: str) -> Tier | None:
    """The tier of a Claude model by its family; None when the family is unknown."""
    return next((tier for family, tier in _FAMILIES.items() if family in name), None)


def accepts_forced_tool(name: str) -> bool:
    """Whether a request may name the one tool the model has to call."""
    return _FORCED_TOOL.match(name) is not None
