"""Helios runs many AI agent projects at once on a fixed model budget."""

__version__ = "0.1.0"
