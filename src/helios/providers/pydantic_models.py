"""Vendors reached through pydantic-ai: OpenAI and what speaks its protocol, Gemini, Ollama.

Importing pydantic-ai takes two seconds, so this module is imported when such a model is called.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
from pydantic_ai.direct import model_request
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from helios.errors import ModelError, ModelTimeout
from helios.ports.models import ModelReply, ModelRequest
from helios.providers import pydantic_messages as messages
from helios.providers.pydantic_failures import model_error

if TYPE_CHECKING:
    from pydantic_ai.models import Model

CONNECT_TIMEOUT_S = 10.0
OLLAMA_URL = "http://127.0.0.1:11434/v1"
_NO_KEY = "none"
"""Sent where the server asks for no key, because the client insists on one."""


@dataclass(slots=True)
class _Trace:
    """What the network saw of one call."""

    sent: bool = False
    simulated: bool = False


_trace: ContextVar[_Trace] = ContextVar("helios_call_trace")


class PydanticProvider:
    """One vendor; every call is one HTTP request.

    Args:
        name: what people call it.
        client: the connections; closed with the provider.
        make: a model by the vendor's name for it.
    """

    def __init__(
        self, name: str, client: httpx2.AsyncClient, make: "Callable[[str], Model]"
    ) -> None:
        self._name = name
        self._client = client
        self._make = make
        self._models: dict[str, Model] = {}

    @property
    def name(self) -> str:
        """What people call it."""
        return self._name

    @property
    def simulated(self) -> bool:
        """False: an endpoint that simulates says so with each answer."""
        return False

    async def call(self, request: ModelRequest) -> ModelReply:
        """Make one call; `request.timeout_s` bounds the whole of it.

        Raises:
            ModelError: with `billed` saying what is certain about the charge.
        """
        trace = _Trace()
        token = _trace.set(trace)
        try:
            async with asyncio.timeout(request.timeout_s):
                answer = await model_request(
                    self._model(request.model),
                    messages.conversation(request),
                    model_settings=messages.settings(request),
                    model_request_parameters=messages.parameters(request),
                    instrument=False,
                )
            return messages.read_reply(self._name, request, answer, simulated=trace.simulated)
        except TimeoutError as error:
            raise ModelTimeout(
                f"{self._name}: no answer within {request.timeout_s:g} s",
                billed="unknown" if trace.sent else "no",
            ) from error
        except ModelError:
            raise
        except Exception as error:
            # Vendors' clients raise what they like over answers they did not expect.
            raise model_error(self._name, error, sent=trace.sent) from error
        finally:
            _trace.reset(token)

    async def count_tokens(self, request: ModelRequest) -> int | None:  # noqa: ARG002
        """None: these vendors count nothing, or not the tools and the system prompt."""
        return None

    async def close(self) -> None:
        """Give back connections."""
        await self._client.aclose()

    def _model(self, name: str) -> "Model":
        if name not in self._models:
            self._models[name] = self._make(name)
        return self._models[name]


def open_openai(api_key: str, base_url: str | None) -> PydanticProvider:
    """OpenAI, or with `base_url` (with its `/v1`) whatever speaks Chat Completions there."""
    client = api_client()
    if base_url is None:
        vendor: OpenAIProvider | OpenAICompatibleProvider = OpenAIProvider(
            api_key=api_key, base_url="https://api.openai.com/v1", http_client=client
        )
    else:
        vendor = OpenAICompatibleProvider(
            "openai", base_url=base_url, api_key=api_key or _NO_KEY, http_client=client
        )

    def make(name: str) -> "Model":
        if base_url is None or _takes_completion_tokens(name):
            return OpenAIChatModel(name, provider=vendor)
        return OpenAIChatModel(name, provider=vendor, profile=_OLD_BOUND)

    return PydanticProvider("openai", client, make)


def open_ollama(base_url: str | None) -> PydanticProvider:
    """Ollama, by its OpenAI-compatible endpoint; None is this machine."""
    from pydantic_ai.models.ollama import OllamaModel

    client = api_client()
    vendor = OllamaProvider(base_url=base_url or OLLAMA_URL, http_client=client)

    def make(name: str) -> "Model":
        return OllamaModel(name, provider=vendor, profile=_OLD_BOUND)

    return PydanticProvider("ollama", client, make)


_OLD_BOUND = OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False)
"""`max_tokens` instead of `max_completion_tokens`, which servers other than OpenAI's pass over
without a word: then nothing would bound the answer."""


def _takes_completion_tokens(name: str) -> bool:
    """Whether this is a model of OpenAI's own behind a proxy, which accepts only the new name."""
    own = name.rpartition("/")[2]
    return own.startswith(("gpt-", "chatgpt-", "o1", "o3", "o4")) and not own.startswith("gpt-oss")


def api_client() -> httpx2.AsyncClient:
    """Connections that note, for the call in hand, what they saw."""
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(600.0, connect=CONNECT_TIMEOUT_S),
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100),
        event_hooks={"request": [_note_request], "response": [_note_response]},
    )


async def _note_request(request: httpx2.Request) -> None:
    # The vendors' clients give one number for every phase; none needs minutes to connect.
    timeouts = request.extensions.get("timeout")
    if timeouts:
        longest = timeouts.get("connect") or CONNECT_TIMEOUT_S
        timeouts["connect"] = min(CONNECT_TIMEOUT_S, longest)
    _trace.get().sent = True


async def _note_response(response: httpx2.Response) -> None:
    _trace.get().simulated = response.headers.get("x-helios-simulated") == "true"
