"""The only way to a model: agents ask here, and the gateway forwards here."""

from helios.services.responses.asking import (
    CUT,
    LEASE_MARGIN_S,
    Call,
    Responses,
    reply_from_json,
    reply_to_json,
)
from helios.services.responses.batches import Batches, BatchInbound
from helios.services.responses.forwarding import Forwarder
from helios.services.responses.inbound import Inbound, Outgoing
from helios.services.responses.passage import Passage

__all__ = [
    "CUT",
    "LEASE_MARGIN_S",
    "BatchInbound",
    "Batches",
    "Call",
    "Forwarder",
    "Inbound",
    "Outgoing",
    "Passage",
    "Responses",
    "reply_from_json",
    "reply_to_json",
]
