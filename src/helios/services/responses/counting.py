"""Tokens as the provider counts them; free of charge."""

import asyncio
import json
from collections.abc import Sequence

from helios.domain.gateway.json_spans import items
from helios.errors import Overloaded
from helios.ports.upstream import Headers, Upstream, UpstreamRequest

TARGET = "/v1/messages/count_tokens"
COUNT_TIMEOUT_S = 15.0
MOST_ANSWER_BYTES = 65_536
THREAD_FROM_BYTES = 256 * 1024
"""To cut up a larger body takes milliseconds in which others want to be answered."""
_SHORT = "."
_COUNTED = frozenset(
    {
        "billing_policy",
        "cache_control",
        "compaction",
        "context_management",
        "mcp_servers",
        "messages",
        "model",
        "output_config",
        "speed",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
"""The fields that a count takes; any other is refused (`MessageCountTokensParams` of the provider's
SDK 2.11, with its betas).
"""


async def count_input(upstream: Upstream, headers: Headers, body: bytes) -> int | None:
    """The most input tokens of a Messages request that was read before.

    What a count does not take is counted by its bytes. None when the provider does not count it.

    Raises:
        ModelError: it cannot be counted now.
    """
    if len(body) > THREAD_FROM_BYTES:
        asked = await asyncio.to_thread(_countable, body)
    else:
        asked = _countable(body)
    counted = await _count(upstream, headers, asked)
    return None if counted is None else counted + max(0, len(body) - len(asked))


def _countable(body: bytes) -> bytes:
    """The fields that a count takes, as they were written."""
    kept = [body[item.start : item.end] for item in items(body) if item.key in _COUNTED]
    return b"{" + b",".join(kept) + b"}"


async def count_texts(
    upstream: Upstream, headers: Headers, model: str, texts: Sequence[str]
) -> int | None:
    """The tokens of what a model wrote: a message's of it less those of a message of one token.

    None when the provider does not count it.

    Raises:
        ModelError: it cannot be counted now.
    """
    written = [text for text in texts if text.strip()]
    if not written:
        return 0
    whole = await _count(upstream, headers, _message(model, written))
    least = await _count(upstream, headers, _message(model, [_SHORT]))
    return None if whole is None or least is None else max(1, whole - least + 1)


def _message(model: str, texts: Sequence[str]) -> bytes:
    content = [{"type": "text", "text": text} for text in texts]
    asked = {"model": model, "messages": [{"role": "user", "content": content}]}
    return json.dumps(asked, ensure_ascii=False).encode("utf-8", "surrogatepass")


async def _count(upstream: Upstream, headers: Headers, body: bytes) -> int | None:
    request = UpstreamRequest("POST", TARGET, headers, body, COUNT_TIMEOUT_S, lane=TARGET)
    reply = await upstream.send(request)
    try:
        answer = b""
        async for chunk in reply.chunks():
            answer += chunk
            if len(answer) > MOST_ANSWER_BYTES:
                return None
    finally:
        await reply.close()
    if reply.status == 429 or reply.status >= 500:
        raise Overloaded(
            f"{upstream.name}: tokens cannot be counted now (status {reply.status})",
            billed="no",
            retry_after_s=_retry_after_s(reply.headers),
            next_step="Try again.",
        )
    if reply.status != 200:
        return None
    try:
        tokens = json.loads(answer)["input_tokens"]
    except (ValueError, TypeError, KeyError):
        return None  # an answer, but no count: asking again would not help
    return tokens if type(tokens) is int and tokens >= 0 else None


def _retry_after_s(headers: Headers) -> float | None:
    for name, value in headers:
        if name == b"retry-after" and value.isdigit():
            return float(value)
    return None
