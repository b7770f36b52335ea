"""All clients under test, each in the ways people call it."""

from tests.gateway.clients.anthropic_sdk import Async, Sync
from tests.gateway.clients.claude_code import ClaudeCode
from tests.gateway.clients.in_worker import InWorker
from tests.gateway.clients.protocol import Client
from tests.gateway.clients.pydantic_client import PydanticAi

CLIENTS: tuple[Client, ...] = (
    Sync("anthropic", streams=False),
    Sync("anthropic-stream", streams=True),
    Async("anthropic-async", streams=False),
    Async("anthropic-async-stream", streams=True),
    PydanticAi("pydantic-ai", streams=False),
    PydanticAi("pydantic-ai-stream", streams=True),
    InWorker("litellm", "litellm", streams=False),
    InWorker("litellm-stream", "litellm", streams=True),
    InWorker("claude-agent-sdk", "claude-agent-sdk", streams=True, together=3),
    ClaudeCode("claude-code"),
)
