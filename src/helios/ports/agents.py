"""How answers of roles are asked for and read."""

from collections.abc import Mapping
from typing import Any, Protocol

from helios.domain.review.edits import Patch
from helios.domain.review.verdict import Review
from helios.domain.roles import Output
from helios.ports.models import Tool


class AnswerShapes(Protocol):
    """The border between what a model writes and what the rules understand."""

    def answer_tool(self, output: Output) -> Tool:
        """The tool a role of this output must call."""
        ...

    def read_patch(self, answer: Mapping[str, Any] | None) -> Patch:
        """A patch from an answer (BadOutput when it is none)."""
        ...

    def read_review(self, answer: Mapping[str, Any] | None) -> Review:
        """A review from an answer (BadOutput when it is none)."""
        ...
