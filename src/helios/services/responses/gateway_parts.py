"""What forwarding works with."""

from dataclasses import dataclass

from helios.domain.pricing import Catalogue
from helios.ports.budget import BudgetBook
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.services.governor import Governor
from helios.services.responses.hearing import Hearing
from helios.services.upstreams import GuardedUpstream


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """The services and stores of one set of books, and the upstream that is paid from them.

    `hearing` keeps what answers say of the provider's windows; None for simulated ones.
    `lower_output` is the policy: whether a call that does not fit may ask for less output.
    """

    governor: Governor
    ledger: Ledger
    book: BudgetBook
    catalogue: Catalogue
    clock: Clock
    upstream: GuardedUpstream
    hearing: Hearing | None
    lower_output: bool = True
