"""The Anthropic Messages API, through its official SDK."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from helios.errors import ModelTimeout, RequestRefused, UsageError
from helios.ports.models import ModelReply, ModelRequest
from helios.providers.anthropic_messages import payload, read_reply

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

API_URL = "https://api.anthropic.com"
CONNECT_TIMEOUT_S = 10.0


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
        import anthropic
        import httpx2

        from helios.providers.anthropic_failures import model_error

        connect_s = min(CONNECT_TIMEOUT_S, request.timeout_s / 2)
        try:
            async with asyncio.timeout(request.timeout_s):
                raw = await self._client.messages.with_raw_response.create(
                    **payload(request),
                    extra_headers=self._labels(request.labels),
                    timeout=httpx2.Timeout(request.timeout_s, connect=connect_s),
                )
                body = await raw.read()
        except TimeoutError as error:
            raise ModelTimeout(
                f"{self._name}: no answer within {request.timeout_s:g} s", billed="unknown"
            ) from error
        except anthropic.APIError as error:
            raise model_error(self._name, error) from error
        except UnicodeEncodeError as error:
            raise RequestRefused(
                f"{self._name}: the request has text that is not valid Unicode: {error.reason}",
                billed="no",
                next_step="Look for files that are not UTF-8.",
            ) from error
        return read_reply(self._name, request, body, simulated=self._is_simulated(raw.headers))

    async def close(self) -> None:
        """Give back connections."""
        await self._client.close()

    def _is_simulated(self, headers: Mapping[str, str]) -> bool:
        return self._simulated or headers.get("x-helios-simulated") == "true"

    def _labels(self, labels: Mapping[str, str]) -> dict[str, str] | None:
        if not self._simulated:
            return None
        return {f"x-helios-{quote(key, '')}": quote(value, " ") for key, value in labels.items()}


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
