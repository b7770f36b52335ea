"""PyPI `anthropic`, sync and async, in one piece and as a stream."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx2
from anthropic import Anthropic, AnthropicError, AsyncAnthropic

from tests.gateway.clients.protocol import MODEL, PICTURE, PICTURES, Outcome, To

FAILURES = (AnthropicError, httpx2.HTTPError)
"""The second kind is what it raises where a stream breaks off."""


def sync_client(to: To) -> Anthropic:
    return Anthropic(base_url=to.url, api_key=to.key, default_headers=to.headers)


def async_client(to: To) -> AsyncAnthropic:
    # The other style of credential: a bearer token.
    return AsyncAnthropic(
        base_url=to.url, api_key=None, auth_token=to.key, default_headers=to.headers
    )


Content = str | list[dict[str, Any]]
_SOURCE = {"type": "base64", "media_type": "image/png", "data": PICTURE}
MUCH: Content = [
    *({"type": "image", "source": _SOURCE} for _ in range(PICTURES)),
    {"type": "text", "text": "그림들"},
]


def asking(content: Content) -> dict[str, Any]:
    return {
        "model": MODEL,
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": content}],
    }


@dataclass(frozen=True)
class Sync:
    name: str
    streams: bool
    together: int = 50

    def ask(self, to: To, text: Content) -> Outcome:
        with sync_client(to) as client:
            try:
                if not self.streams:
                    return _said(client.messages.create(**asking(text)))
                with client.messages.stream(**asking(text)) as stream:
                    return Outcome("".join(stream.text_stream))
            except FAILURES as error:
                return Outcome(error=_shown(error))

    def ask_much(self, to: To) -> Outcome:
        return self.ask(to, MUCH)

    def hang_up(self, to: To, text: str) -> None:
        with sync_client(to) as client, client.messages.stream(**asking(text)) as stream:
            next(iter(stream.text_stream))


@dataclass(frozen=True)
class Async:
    name: str
    streams: bool
    together: int = 50

    def ask(self, to: To, text: Content) -> Outcome:
        return asyncio.run(self._ask(to, text))

    def ask_much(self, to: To) -> Outcome:
        return self.ask(to, MUCH)

    def hang_up(self, to: To, text: str) -> None:
        asyncio.run(self._hang_up(to, text))

    async def _ask(self, to: To, text: Content) -> Outcome:
        async with async_client(to) as client:
            try:
                if not self.streams:
                    return _said(await client.messages.create(**asking(text)))
                async with client.messages.stream(**asking(text)) as stream:
                    return Outcome("".join([part async for part in stream.text_stream]))
            except FAILURES as error:
                return Outcome(error=_shown(error))

    async def _hang_up(self, to: To, text: str) -> None:
        async with (
            async_client(to) as client,
            client.messages.stream(**asking(text)) as stream,
        ):
            await anext(aiter(stream.text_stream))


def _said(message: Any) -> Outcome:
    return Outcome("".join(block.text for block in message.content))


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
