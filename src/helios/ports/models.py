"""Model providers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from helios.domain.budget.signal import Signal
from helios.domain.usage import Usage


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool the model must answer with; `schema` is JSON Schema."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call, in the terms every provider understands."""

    model: str
    system: str
    messages: tuple[Message, ...]
    max_tokens: int
    tool: Tool | None = None
    timeout_s: float = 300.0
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def text_bytes(self) -> int:
        """The size of everything the model reads, in bytes of UTF-8."""
        size = len(self.system.encode()) + sum(len(m.text.encode()) for m in self.messages)
        if self.tool:
            size += len(self.tool.description.encode()) + len(str(self.tool.schema).encode())
        return size


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What came back. `simulated` is true when no model answered.

    `signals` is what the provider said of its own windows, dated by whoever keeps them.
    """

    model: str
    text: str
    tool_input: Mapping[str, Any] | None
    stop_reason: str
    usage: Usage
    simulated: bool = False
    signals: tuple[Signal, ...] = ()


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
