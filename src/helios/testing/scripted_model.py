"""A provider that answers from a list: for tests of what happens around a call."""

from collections.abc import Iterable

from helios.domain.usage import Usage
from helios.errors import RequestRefused
from helios.ports.models import ModelReply, ModelRequest


class ScriptedProvider:
    """Gives its replies, or raises its errors, one a call; remembers what it was asked.

    Args:
        answers: what is given, in order.
        counts: the input tokens that counting answers, or raises; None is a provider that cannot.
    """

    name = "scripted"
    simulated = True

    def __init__(
        self, answers: Iterable[ModelReply | Exception], counts: int | Exception | None = None
    ) -> None:
        self._answers = iter(answers)
        self._counts = counts
        self.asked: list[ModelRequest] = []
        self.counted: list[ModelRequest] = []

    async def call(self, request: ModelRequest) -> ModelReply:
        """The next answer."""
        self.asked.append(request)
        answer = next(self._answers, None)
        if answer is None:
            raise RequestRefused("the script has no further answer", billed="no")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """The same count for every request."""
        self.counted.append(request)
        if isinstance(self._counts, Exception):
            raise self._counts
        return self._counts

    async def close(self) -> None:
        """Nothing to give back."""


def reply(
    text: str = "[simulated]",
    *,
    tokens: int = 100,
    stop_reason: str = "end_turn",
    **tool_input: object,
) -> ModelReply:
    """A short answer of so many output tokens."""
    return ModelReply(
        model="claude-sonnet-5-5",
        text=text,
        tool_input=tool_input or None,
        stop_reason=stop_reason,
        usage=Usage(input_tokens=50, output_tokens=tokens),
        simulated=True,
    )
