"""Whether a call fits: units, windows, zones, the ledger's rules, estimates, forecasts."""
