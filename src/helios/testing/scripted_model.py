"""A provider that answers from a list: for tests of what happens around a call."""

from collections.abc import Iterable

from helios.domain.usage import Usage
from helios.errors import RequestRefused
from helios.ports.models import ModelReply, ModelRequest


class ScriptedProvider:
    """Gives its replies, or raises its errors, one a call; remembers what it was asked."""

    name = "scripted"
    simulated = True

    def __init__(self, answers: Iterable[ModelReply | Exception]) -> None:
        self._answers = iter(answers)
        self.asked: list[ModelRequest] = []

    async def call(self, request: ModelRequest) -> ModelReply:
        """The next answer."""
        self.asked.append(request)
        answer = next(self._answers, None)
        if answer is None:
            raise RequestRefused("the script has no further answer", billed="no")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing to give back."""


def reply(text: str = "[simulated]", *, tokens: int = 100, **tool_input: object) -> ModelReply:
    """A short answer of so many output tokens."""
    return ModelReply(
        model="claude-sonnet-5-5",
        text=text,
        tool_input=tool_input or None,
        stop_reason="end_turn",
        usage=Usage(input_tokens=50, output_tokens=tokens),
        simulated=True,
    )
