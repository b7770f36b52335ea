"""Whose a model is, as its name says it: `openai:gpt-5-mini` is OpenAI's."""

VENDORS = ("anthropic", "openai", "google", "ollama", "claude-code")
"""What a model's name may begin with, before a colon."""


def split_vendor(name: str) -> tuple[str | None, str]:
    """The vendor a model's name begins with, and the vendor's own name for the model.

    A name may have colons of its own, as `llama3:8b` has; only a known vendor is split off.
    """
    vendor, colon, rest = name.partition(":")
    return (vendor, rest) if colon and rest and vendor in VENDORS else (None, name)
