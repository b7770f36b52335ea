"""The models that have a price, by name: for whoever checks what a person typed."""

from datetime import UTC, datetime
from pathlib import Path

from helios.config import Settings
from helios.domain.pricing import Catalogue
from helios.providers.prices import load_catalogue, priced_models

__all__ = ["price_list", "priced_models"]


def price_list(settings: Settings, at: float) -> Catalogue:
    """The models and what they cost at a time (UTC seconds), by the settings.

    Raises:
        UsageError: the price file that the settings name is wrong.
    """
    override = Path(settings.prices) if settings.prices else None
    return load_catalogue(override, datetime.fromtimestamp(at, UTC))
