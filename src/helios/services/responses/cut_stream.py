"""What a stream took that ended, or was left, before it told."""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from helios.domain.gateway.sse import Meter, Seen
from helios.domain.gateway.usage import Metered
from helios.domain.usage import Usage
from helios.errors import ModelError
from helios.ports.upstream import Upstream
from helios.services.responses.counting import count_texts
from helios.services.responses.inbound import Inbound, Outgoing

_READ_ONCE = frozenset({"text", "tool_use", "thinking", "redacted_thinking", ""})
"""Blocks for which the model reads nothing again, as it does after a tool that the provider runs
and after a summary; "" is one whose beginning was not seen.
"""
log = structlog.get_logger("helios.gateway")


def nothing_began(told: Metered, meter: Meter) -> bool:
    """Whether a stream is an error and nothing else."""
    came = told.started or told.usage or meter.seen() or meter.seen_truncated
    return told.error is not None and not came


async def usage_of_cut(
    upstream: Upstream, call: Inbound, outgoing: Outgoing, meter: Meter, told: Usage
) -> Usage | None:
    """The most a cut stream took: its input as told, and what came of its output as the provider
    counts that, or all it was allowed where more may have been written than came.

    None where it may have read more than it told.
    """
    asked, seen = call.asked, meter.seen()
    if asked.rounds or asked.compaction or asked.fallbacks:
        return None
    if any(block.kind not in _READ_ONCE for block in seen):
        return None
    output = None
    if not meter.seen_truncated and _all_came(seen, thinks=asked.thinking):
        output = await _counted(upstream, call, outgoing, seen)
    if output is None:
        output = outgoing.max_tokens
    return replace(told, output_tokens=max(told.output_tokens, output))


def _all_came(seen: Sequence[Seen], *, thinks: bool) -> bool:
    """Whether what was written has come.

    The values of a tool's input come when they are complete (provider's page "Streaming
    messages"), thoughts shortened or not at all; who thinks may be at it between two blocks.
    """
    if thinks and all(block.closed for block in seen):
        return False
    return all(
        block.kind == "text" or (block.kind == "tool_use" and block.closed) for block in seen
    )


async def _counted(
    upstream: Upstream, call: Inbound, outgoing: Outgoing, seen: Sequence[Seen]
) -> int | None:
    texts = [text for block in seen for text in (block.name, block.text)]
    try:
        return await count_texts(upstream, call.headers, outgoing.model.name, texts)
    except ModelError as error:
        log.warning("output not counted", request=call.request_id, error=error.message)
        return None
