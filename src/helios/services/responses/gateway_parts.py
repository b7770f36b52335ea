"""What forwarding works with."""

from collections.abc import Callable
from dataclasses import dataclass

from helios.domain.budget.signal import Signal
from helios.domain.pricing import Catalogue
from helios.ports.budget import BudgetBook
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.ports.upstream import Headers, Upstream
from helios.services.governor import Governor


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """The services and stores of one set of books, and the upstream that is paid from them.

    `signals_in` reads what an answer's headers say of the provider's windows, not dated yet.
    `lower_output` is the policy: whether a call that does not fit may ask for less output.
    """

    governor: Governor
    ledger: Ledger
    book: BudgetBook
    catalogue: Catalogue
    clock: Clock
    upstream: Upstream
    signals_in: Callable[[Headers], tuple[Signal, ...]]
    lower_output: bool = True
