"""Gemini through pydantic-ai, kept to one request a call."""

from typing import TYPE_CHECKING, Any

from google.genai.types import GenerateContentConfigDict
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider

from helios.providers.pydantic_models import PydanticProvider, api_client

if TYPE_CHECKING:
    from pydantic_ai.models import Model


class _OneRequestModel(GoogleModel):
    """The client would go on with a long answer in further requests, which nobody reserved for."""

    async def _build_content_and_config(
        self, *args: Any, **kwargs: Any
    ) -> tuple[list[Any], GenerateContentConfigDict]:
        contents, config = await super()._build_content_and_config(*args, **kwargs)
        config["automatic_continuation"] = False
        return contents, config


def open_google(api_key: str, base_url: str | None = None) -> PydanticProvider:
    """The Gemini API; `base_url` is another endpoint, for tests."""
    client = api_client()
    vendor = GoogleProvider(api_key=api_key, base_url=base_url, http_client=client)

    def make(name: str) -> "Model":
        return _OneRequestModel(name, provider=vendor)

    return PydanticProvider("google", client, make)
