"""PyPI `pydantic-ai`: an agent on `AnthropicModel`, run in one piece and as a stream."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_ai import Agent, BinaryContent
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.settings import ModelSettings

from tests.gateway.clients.anthropic_sdk import async_client
from tests.gateway.clients.protocol import MODEL, PICTURE, PICTURES, Outcome, To


@dataclass(frozen=True)
class PydanticAi:
    name: str
    streams: bool
    together: int = 50

    def ask(self, to: To, text: str) -> Outcome:
        return asyncio.run(self._ask(to, text))

    def ask_much(self, to: To) -> Outcome:
        picture = BinaryContent(base64.b64decode(PICTURE), media_type="image/png")
        return asyncio.run(self._ask(to, ["그림들", *[picture] * PICTURES]))

    def hang_up(self, to: To, text: str) -> None:
        asyncio.run(self._hang_up(to, text))

    async def _ask(self, to: To, text: str | Sequence[str | BinaryContent]) -> Outcome:
        async with async_client(to) as client:
            agent = _agent(client)
            try:
                if not self.streams:
                    return Outcome((await agent.run(text)).output)
                async with agent.run_stream(text) as run:
                    return Outcome(await run.get_output())
            except AgentRunError as error:
                return Outcome(error=f"{type(error).__name__}: {error}")

    async def _hang_up(self, to: To, text: str) -> None:
        async with async_client(to) as client, _agent(client).run_stream(text) as run:
            await anext(run.stream_text(delta=True, debounce_by=None))


def _agent(client) -> Agent[None, str]:
    model = AnthropicModel(MODEL, provider=AnthropicProvider(anthropic_client=client))
    return Agent(model, model_settings=ModelSettings(max_tokens=1000))
