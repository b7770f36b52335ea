"""How answers of roles are asked for and read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from helios.domain.review.edits import Patch
from helios.domain.review.verdict import Review
from helios.domain.roles import Output


@dataclass(frozen=True, slots=True)
class AnswerShape:
    """The tool a role must call, and the Pydantic model of what it submits.

    The model's description is the tool's; validating something of another shape is a BadOutput.
    """

    tool: str
    shape: type[Any]


class AnswerShapes(Protocol):
    """The border between what a model writes and what the rules understand."""

    def answer_shape(self, output: Output) -> AnswerShape:
        """What a role of this output must submit."""
        ...

    def read_patch(self, answer: Mapping[str, Any] | None) -> Patch:
        """A patch from an answer (BadOutput when it is none)."""
        ...

    def read_review(self, answer: Mapping[str, Any] | None) -> Review:
        """A review from an answer (BadOutput when it is none)."""
        ...
