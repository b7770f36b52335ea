"""The promises of `ports.ledger`, as checks."""

from helios.testing.conformance.ledger_admission import AdmissionChecks
from helios.testing.conformance.ledger_settling import SettlingChecks
from helios.testing.conformance.ledger_time import TimeChecks


class LedgerConformance(AdmissionChecks, SettlingChecks, TimeChecks):
    """Run every check on a ledger without entries."""
