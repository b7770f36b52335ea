"""The results of a batch, a JSON object a line: who answered, and what it took."""

import json
from collections.abc import AsyncIterator

from helios.domain.gateway.json_values import is_object
from helios.domain.gateway.usage import Counted, read_usage, text_of
from helios.errors import BadOutput

MOST_LINE_BYTES = 64 * 1024 * 1024
_FREE = frozenset({"errored", "canceled", "expired"})
"""Requests that are not billed (provider's page "Batch processing")."""


async def read_results(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, Counted]]:
    """Model and consumption of each request that is billed, from a body as it comes.

    Raises:
        BadOutput: a line cannot be read, so that nobody knows what it cost.
        ModelError: the body broke off.
    """
    async for line in _lines(chunks):
        if line.strip() and (told := _read(line)):
            yield told


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    line = bytearray()
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        line += first
        for other in others:
            yield bytes(line)
            line = bytearray(other)
        if len(line) > MOST_LINE_BYTES:
            raise _unreadable("is larger than 64 MB")
    yield bytes(line)


def _read(line: bytes) -> tuple[str, Counted] | None:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _unreadable("is no JSON") from error
    result = told.get("result") if is_object(told) else None
    kind = result.get("type") if is_object(result) else None
    if isinstance(kind, str) and kind in _FREE:
        return None
    message = result.get("message") if is_object(result) and kind == "succeeded" else None
    # Whether it asked for an hour in the cache is not known any more: what is not named as written
    # for five minutes is taken for the dearer kind.
    usage = message.get("usage") if is_object(message) else None
    counted = read_usage(usage, hour_cache=True)
    if not is_object(message) or counted is None:
        raise _unreadable("has no usage")
    return text_of(message.get("model")), counted


def _unreadable(why: str) -> BadOutput:
    return BadOutput(f"a line of the batch's results {why}", billed="unknown")
