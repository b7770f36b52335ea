"""Model providers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from helios.domain.budget.signal import Signal
from helios.domain.usage import Usage

FRAMING = 64
"""Bytes for what a provider writes around a tool, a call or a result, rounded up."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model called; `id` pairs it with its result."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call, in words for the model."""

    id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation: what was said, and the tools called or their results."""

    role: Literal["user", "assistant"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()

    @property
    def text_bytes(self) -> int:
        """The size of the turn in bytes of UTF-8."""
        # Escaped JSON is never shorter than what a provider sends.
        called = [f"{call.id}{call.name}{json.dumps(dict(call.arguments))}" for call in self.calls]
        returned = [f"{result.id}{result.name}{result.text}" for result in self.results]
        parts = [*called, *returned]
        return sum(len(part.encode()) for part in (self.text, *parts)) + FRAMING * len(parts)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool the model may or must call; `schema` is JSON Schema."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call, in the terms every provider understands.

    `tool` is the one the model must answer with. Where there is none, `tools` are offered, of which
    it must call one if `must_call` says so.
    """

    model: str
    system: str
    messages: tuple[Message, ...]
    max_tokens: int
    tool: Tool | None = None
    timeout_s: float = 300.0
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    tools: tuple[Tool, ...] = ()
    must_call: bool = False

    @property
    def offered(self) -> tuple[Tool, ...]:
        """Every tool the model is shown."""
        return (self.tool,) if self.tool else self.tools

    @property
    def forced(self) -> bool:
        """Whether the model must call a tool."""
        return self.tool is not None or (self.must_call and bool(self.tools))

    @property
    def text_bytes(self) -> int:
        """The size of everything the model reads, in bytes of UTF-8."""
        size = len(self.system.encode()) + sum(m.text_bytes for m in self.messages)
        for tool in self.offered:
            size += len(tool.description.encode()) + len(str(tool.schema).encode())
        return size + sum(len(tool.name.encode()) + FRAMING for tool in self.tools)


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What came back. `simulated` is true when no model answered.

    `tool_input` is what the one tool of the request was called with, `calls` every call of the
    others. `signals` is what the provider said of its own windows, dated by whoever keeps them.
    """

    model: str
    text: str
    tool_input: Mapping[str, Any] | None
    stop_reason: str
    usage: Usage
    simulated: bool = False
    signals: tuple[Signal, ...] = ()
    calls: tuple[ToolCall, ...] = ()


class Provider(Protocol):
    """A way to reach models."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether the answers come from the simulator instead of a model."""
        ...

    async def call(self, request: ModelRequest) -> ModelReply:
        """Make one call, with no retry of its own.

        Raises:
            ModelError: with `billed` saying what is certain about the charge.
        """
        ...

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """The input tokens of a request as the provider counts them, tools and framing included.

        Costs nothing. None when the provider cannot count.

        Raises:
            ModelError: it could, but did not answer; `billed` is "no".
        """
        ...

    async def close(self) -> None:
        """Give back connections; ends a simulator that was started for this run."""
        ...
