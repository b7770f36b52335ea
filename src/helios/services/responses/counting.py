"""Tokens as the provider counts them; free of charge."""

import json
from collections.abc import Sequence

from helios.errors import ModelError
from helios.ports.upstream import Headers, Upstream, UpstreamRequest

TARGET = "/v1/messages/count_tokens"
COUNT_TIMEOUT_S = 15.0
MOST_ANSWER_BYTES = 65_536
_SHORT = "."
_NOT_COUNTED = (
    "max_tokens",
    "stream",
    "metadata",
    "stop_sequences",
    "temperature",
    "top_k",
    "top_p",
)
"""Fields of a call that a count does not take."""


async def count_input(upstream: Upstream, headers: Headers, body: bytes) -> int | None:
    """The input tokens of a Messages request; None when the provider does not count it.

    Raises:
        ModelError: there was no answer.
    """
    data = json.loads(body)
    asked = {key: value for key, value in data.items() if key not in _NOT_COUNTED}
    return await _count(upstream, headers, asked)


async def count_texts(
    upstream: Upstream, headers: Headers, model: str, texts: Sequence[str]
) -> int | None:
    """The tokens of what a model wrote: a message's of it less those of a message of one token.

    None when the provider does not count it.

    Raises:
        ModelError: there was no answer.
    """
    written = [text for text in texts if text.strip()]
    if not written:
        return 0
    whole = await _count(upstream, headers, _message(model, written))
    least = await _count(upstream, headers, _message(model, [_SHORT]))
    return None if whole is None or least is None else max(1, whole - least + 1)


def _message(model: str, texts: Sequence[str]) -> dict[str, object]:
    content = [{"type": "text", "text": text} for text in texts]
    return {"model": model, "messages": [{"role": "user", "content": content}]}


async def _count(upstream: Upstream, headers: Headers, asked: dict[str, object]) -> int | None:
    body = json.dumps(asked, ensure_ascii=False).encode("utf-8", "surrogatepass")
    request = UpstreamRequest("POST", TARGET, headers, body, COUNT_TIMEOUT_S)
    reply = await upstream.send(request)
    try:
        answer = b""
        async for chunk in reply.chunks():
            answer += chunk
            if len(answer) > MOST_ANSWER_BYTES:
                return None
    finally:
        await reply.close()
    if reply.status != 200:
        return None
    try:
        tokens = json.loads(answer)["input_tokens"]
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{upstream.name}: the count has no input_tokens", billed="no") from error
    return tokens if type(tokens) is int and tokens >= 0 else None
