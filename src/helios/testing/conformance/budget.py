"""The promises of `ports.budget`, as checks."""

from helios.testing.conformance.budget_settings import SettingsChecks
from helios.testing.conformance.budget_spending import SpendingChecks


class BudgetConformance(SettingsChecks, SpendingChecks):
    """Run every check on a book and a record of runs that are empty."""
