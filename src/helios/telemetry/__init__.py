"""Logs now; metrics, traces and probes join here."""
