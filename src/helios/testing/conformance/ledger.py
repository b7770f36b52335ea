"""The promises of `ports.ledger`, as checks."""

from helios.testing.conformance.ledger_admission import AdmissionChecks
from helios.testing.conformance.ledger_sending import SendingChecks
from helios.testing.conformance.ledger_settling import SettlingChecks
from helios.testing.conformance.ledger_time import TimeChecks
from helios.testing.conformance.ledger_waiting import WaitingChecks


class LedgerConformance(AdmissionChecks, SendingChecks, SettlingChecks, TimeChecks, WaitingChecks):
    """Run every check on a ledger without entries."""
