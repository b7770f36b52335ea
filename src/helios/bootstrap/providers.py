"""Whose models the settings mean, looked at before anything is opened."""

import sys

import structlog

from helios.config import Settings
from helios.ports.clock import Clock
from helios.providers.open import check_provider
from helios.providers.vendors import VendorSettings
from helios.telemetry.system_clock import SystemClock

GATEWAY_CLOSED = (
    "the gateway is closed: it passes calls on to Anthropic's API alone and has no key for it; "
    "set ANTHROPIC_API_KEY and start Helios anew"
)


def checked_provider(settings: Settings) -> str:
    """The name of the provider these settings mean.

    Raises:
        UsageError: there is no such provider, or its key is missing or is none it may be given.
    """
    return check_provider(vendor_settings(settings, SystemClock()), settings.provider)


def vendor_settings(settings: Settings, clock: Clock) -> VendorSettings:
    """The keys and endpoints of every vendor, as the settings name them."""
    return VendorSettings(
        clock=clock,
        home=settings.home,
        tell=_tell,
        api_key=settings.api_key,
        base_url=settings.base_url,
        openai_api_key=settings.openai_api_key,
        openai_base_url=settings.openai_base_url,
        google_api_key=settings.google_api_key,
        ollama_base_url=settings.ollama_base_url,
        claude_binary=settings.claude_binary,
    )


def _tell(notice: str) -> None:
    # Standard error: what a command prints for programs stays whole.
    sys.stderr.write(f"{notice}\n")
    structlog.get_logger("helios.provider").info("notice shown", notice=notice)
