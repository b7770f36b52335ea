"""The Anthropic Messages API, through its official SDK."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from helios.domain.budget.signal import Signal
from helios.errors import BadOutput, ModelError, ModelTimeout, RequestRefused, UsageError
from helios.ports.models import ModelReply, ModelRequest
from helios.providers.anthropic_messages import count_payload, payload, read_reply

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

API_URL = "https://api.anthropic.com"
CONNECT_TIMEOUT_S = 10.0
COUNT_TIMEOUT_S = 15.0
"""Counting helps a call that waits for it; without an answer the call goes on by its bytes."""


def signals_in(headers: Mapping[str, str]) -> tuple[Signal, ...]:
    """What an answer's headers say of the provider's windows, not dated yet."""
    from helios.providers.signals.headers import parse_headers

    return parse_headers(headers, 0.0).signals


class AnthropicProvider:
    """One key at one endpoint; every call is one HTTP request.

    Args:
        api_key: sent to the endpoint and shown nowhere.
        base_url: the endpoint, without `/v1`; None is Anthropic's own.
        name: what people call it.
        simulated: the endpoint is the simulator on this machine. Only then are labels sent, as
            `x-helios-` headers, and proxies passed by.

    Raises:
        UsageError: the key or the endpoint cannot be what they are given as.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str | None = None,
        name: str = "anthropic",
        simulated: bool = False,
    ) -> None:
        self._name = name
        self._simulated = simulated
        self._client = _client(_checked_key(api_key), _checked_url(base_url), simulated)

    @property
    def name(self) -> str:
        """What people call it."""
        return self._name

    @property
    def simulated(self) -> bool:
        """Whether the endpoint is the simulator."""
        return self._simulated

    async def call(self, request: ModelRequest) -> ModelReply:
        """Make one call; `request.timeout_s` bounds the whole of it.

        Raises:
            ModelError: with `billed` saying what is certain about the charge.
        """
        with self._model_errors(request.timeout_s):
            async with asyncio.timeout(request.timeout_s):
                raw = await self._client.messages.with_raw_response.create(
                    **payload(request),
                    extra_headers=self._labels(request.labels),
                    timeout=_patience(request.timeout_s),
                )
                body = await raw.read()
        reply = read_reply(self._name, request, body, simulated=self._is_simulated(raw.headers))
        return reply if reply.simulated else replace(reply, signals=signals_in(raw.headers))

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """The input tokens of a request, counted by the endpoint; free of charge.

        None when the endpoint refuses: it knows no counting, or it will say why to the call itself.

        Raises:
            ModelError: there was no usable answer.
        """
        timeout_s = min(COUNT_TIMEOUT_S, request.timeout_s)
        try:
            with self._model_errors(timeout_s):
                async with asyncio.timeout(timeout_s):
                    counted = await self._client.messages.count_tokens(
                        **count_payload(request), timeout=_patience(timeout_s)
                    )
        except RequestRefused:
            return None
        except ModelError as error:
            error.billed = "no"
            raise
        tokens = getattr(counted, "input_tokens", None)
        if type(tokens) is not int or tokens < 0:
            raise BadOutput(f"{self._name}: the count has no input_tokens", billed="no")
        return tokens

    @contextmanager
    def _model_errors(self, timeout_s: float) -> Iterator[None]:
        """What goes wrong inside, in Helios's terms."""
        import anthropic

        from helios.providers.anthropic_failures import model_error

        try:
            yield
        except TimeoutError as error:
            raise ModelTimeout(
                f"{self._name}: no answer within {timeout_s:g} s", billed="unknown"
            ) from error
        except anthropic.APIError as error:
            raise model_error(self._name, error) from error
        except UnicodeEncodeError as error:
            raise RequestRefused(
                f"{self._name}: the request has text that is not valid Unicode: {error.reason}",
                billed="no",
                next_step="Look for files that are not UTF-8.",
            ) from error

    async def close(self) -> None:
        """Give back connections."""
        await self._client.close()

    def _is_simulated(self, headers: Mapping[str, str]) -> bool:
        return self._simulated or headers.get("x-helios-simulated") == "true"

    def _labels(self, labels: Mapping[str, str]) -> dict[str, str] | None:
        if not self._simulated:
            return None
        return {f"x-helios-{quote(key, '')}": quote(value, " ") for key, value in labels.items()}


def _patience(timeout_s: float) -> "httpx2.Timeout":
    import httpx2

    return httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s / 2))


def _client(key: str, base_url: str, simulated: bool) -> "AsyncAnthropic":
    # Imported here because it takes a second that only a run with this provider should pay.
    import anthropic
    import httpx2

    options: dict[str, Any] = {}
    if simulated:
        limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
        options["http_client"] = httpx2.AsyncClient(trust_env=False, limits=limits)
    return anthropic.AsyncAnthropic(
        api_key=key, base_url=base_url, max_retries=0, open_telemetry=False, **options
    )


def _checked_key(api_key: str) -> str:
    key = api_key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            "the API key is empty or has characters that no key has",
            next_step="Set ANTHROPIC_API_KEY to the key alone, as the console shows it.",
        )
    return key


def _checked_url(base_url: str | None) -> str:
    url = (base_url or API_URL).strip().rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise UsageError(
            f"the endpoint {url!r} is not an HTTP address",
            next_step="Write base_url like https://api.anthropic.com, without /v1.",
        )
    return url
