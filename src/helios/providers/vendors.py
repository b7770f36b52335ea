"""Several vendors behind one provider: a model's name says whose it is.

`openai:gpt-5-mini`, `google:gemini-2.5-flash`, `ollama:llama3:8b`, `claude-code:sonnet`; a name
without a vendor goes to the provider of the settings. A vendor is opened at its first call.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from helios.domain.vendors import VENDORS, split_vendor
from helios.errors import RequestRefused, UsageError
from helios.ports.clock import Clock
from helios.ports.models import ModelReply, ModelRequest, Provider
from helios.providers.endpoint import refuse_subscription

Opener = Callable[[], Provider]


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """Keys and endpoints as the settings name them; "" is not set.

    `home` is where Claude Code is run, in an empty folder of its own; `tell` shows a person a
    notice.
    """

    clock: Clock
    home: Path
    tell: Callable[[str], None]
    api_key: str = ""
    base_url: str = ""
    openai_api_key: str = ""
    openai_base_url: str = ""
    google_api_key: str = ""
    ollama_base_url: str = ""
    claude_binary: str = "claude"

    def openers(self) -> Mapping[str, Opener]:
        """How each vendor is opened."""
        return {
            "anthropic": self._anthropic,
            "openai": self._openai,
            "google": self._google,
            "ollama": self._ollama,
            "claude-code": self._claude_code,
        }

    def check(self, name: str) -> None:
        """Look whether a provider, a vendor's or a plug-in's, has the key it needs.

        Raises:
            UsageError: it has none, or one that it may not be given.
        """
        if name == "openai" and not (self.openai_api_key or self.openai_base_url):
            raise _needs(name, "Set OPENAI_API_KEY, or OPENAI_BASE_URL where none is needed.")
        if name == "google" and not self.google_api_key:
            raise _needs(name, "Set GOOGLE_API_KEY.")
        if name == "anthropic" and not self.api_key:
            raise _needs(name, "Set ANTHROPIC_API_KEY, or choose the provider simulator.")
        if name == "anthropic" or name not in VENDORS:
            refuse_subscription(self.api_key)

    def _anthropic(self) -> Provider:
        from helios.providers.anthropic_api import AnthropicProvider

        self.check("anthropic")
        return AnthropicProvider(self.api_key, self.base_url or None)

    def _openai(self) -> Provider:
        self.check("openai")
        _checked_url("openai_base_url", self.openai_base_url)
        _installed("openai")
        from helios.providers.pydantic_models import open_openai

        return open_openai(self.openai_api_key, self.openai_base_url or None)

    def _google(self) -> Provider:
        self.check("google")
        _installed("google.genai")
        from helios.providers.gemini import open_google

        return open_google(self.google_api_key)

    def _ollama(self) -> Provider:
        _checked_url("ollama_base_url", self.ollama_base_url)
        _installed("openai")
        from helios.providers.pydantic_models import open_ollama

        return open_ollama(self.ollama_base_url or None)

    def _claude_code(self) -> Provider:
        from helios.providers.claude_code import open_claude_code

        return open_claude_code(
            self.claude_binary, self.home / "claude-code", self.clock, self.tell
        )


class VendorRouter:
    """Sends each call to the vendor its model's name begins with, else to the usual one.

    Args:
        usual: where names without a vendor go; decides the name and whether answers are simulated.
        openers: how each other vendor is opened.
        opened: vendors that are open already, such as the usual one under its own name.
    """

    def __init__(
        self, usual: Provider, openers: Mapping[str, Opener], opened: Mapping[str, Provider]
    ) -> None:
        self._usual = usual
        self._openers = openers
        self._opened = dict(opened)
        self._opening = asyncio.Lock()

    @property
    def name(self) -> str:
        """What people call the usual one."""
        return self._usual.name

    @property
    def simulated(self) -> bool:
        """Whether the usual one simulates."""
        return self._usual.simulated

    async def call(self, request: ModelRequest) -> ModelReply:
        """Make one call, with no retry of its own.

        Raises:
            ModelError: with `billed` saying what is certain about the charge.
        """
        provider, request = await self._directed(request)
        return await provider.call(request)

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """The count of the vendor, None where it cannot."""
        provider, request = await self._directed(request)
        return await provider.count_tokens(request)

    async def close(self) -> None:
        """Close every vendor that was opened."""
        for provider in {id(p): p for p in (self._usual, *self._opened.values())}.values():
            await provider.close()

    async def _directed(self, request: ModelRequest) -> tuple[Provider, ModelRequest]:
        vendor, model = split_vendor(request.model)
        if vendor is None:
            return self._usual, request
        async with self._opening:
            if vendor not in self._opened:
                self._opened[vendor] = await self._open(vendor)
        return self._opened[vendor], replace(request, model=model)

    async def _open(self, vendor: str) -> Provider:
        try:
            # In a thread, because importing a vendor's client takes seconds.
            return await asyncio.to_thread(self._openers[vendor])
        except UsageError as error:
            raise RequestRefused(error.message, billed="no", next_step=error.next_step) from error


def _needs(vendor: str, next_step: str) -> UsageError:
    return UsageError(f"the provider {vendor} needs a key", next_step=next_step)


def _checked_url(setting: str, url: str) -> None:
    if url and not url.startswith(("http://", "https://")):
        raise UsageError(
            f"{setting} {url!r} is not an HTTP address",
            next_step="Write it like http://127.0.0.1:11434/v1.",
        )


def _installed(client: str) -> None:
    try:
        import_module(client)
    except ImportError as error:
        raise UsageError(
            f"this vendor needs {client}, which cannot be imported: {error}",
            next_step="Install it: pip install 'helios-runner[vendors]'.",
        ) from error
