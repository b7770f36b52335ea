"""The models that have a price, by name: for whoever checks what a person typed."""

from helios.providers.prices import priced_models

__all__ = ["priced_models"]
