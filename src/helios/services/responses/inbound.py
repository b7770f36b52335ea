"""What a client of the gateway asks, and what would be sent for it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from helios.domain.budget.units import Amounts
from helios.domain.gateway.key import GatewayKey, Policy
from helios.domain.gateway.refusal import Refusal
from helios.domain.gateway.request import Asked
from helios.domain.pricing import Model
from helios.ports.upstream import Headers


@dataclass(frozen=True, slots=True)
class Inbound:
    """One Messages request as it came in, and on whose account.

    `headers` are those to pass on. `shut_out` says why the key is not let in any more, if so, and
    is asked again after waiting. `hold_s` is how many seconds its client may be kept waiting for
    room. Names that are not known are empty.
    """

    request_id: str
    target: str
    headers: Headers
    body: bytes
    asked: Asked
    key: GatewayKey
    account: str
    shut_out: Callable[[], Awaitable[Refusal | None]]
    project: str = ""
    task: str = ""
    agent: str = ""
    priority: int = 5
    hold_s: float = 60.0
    policy: Policy = Policy.OFF


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What goes upstream: the body, the model that answers, and the most it can take.

    `notes` are headers that tell the client what was done or would have been wise.
    """

    model: Model
    body: bytes
    max_tokens: int
    bound: Amounts
    notes: Headers = ()

    def with_note(self, name: bytes, text: str) -> "Outgoing":
        """The same, telling the client one thing more."""
        safe = text.encode("ascii", "replace").translate(None, b"\r\n")
        return replace(self, notes=(*self.notes, (name, safe)))
