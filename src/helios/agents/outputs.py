"""The shapes of the answers: what a model must submit, and what Helios makes of it."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from helios.domain.review.edits import Edit, Patch
from helios.domain.review.verdict import Finding, Review
from helios.domain.roles import Output
from helios.errors import BadOutput
from helios.ports.agents import AnswerShape


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(_Strict):
    """What a role submits; another shape is a BadOutput, whoever validates it."""

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, submitted: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return read(submitted)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()
            )
            raise BadOutput(
                f"the answer has the wrong shape: {problems}", billed="unknown"
            ) from error


class EditAnswer(_Strict):
    """One replacement in one file."""

    path: str = Field(description="Path from the root of the repository.")
    find: str = Field(description="Text that occurs exactly once; empty to write a new file.")
    replace: str = Field(description="What shall stand there instead.")


class PatchAnswer(_Answer):
    """Submit the change, once.

    Every edit names a path, a piece of text that occurs exactly once in that file, copied letter
    by letter with enough lines around it to be unique, and what shall stand there instead. Edits
    refer to the files as they were given at first, not to earlier attempts: those were thrown
    away.
    """

    summary: str = Field(description="One sentence: the cause and the cure.")
    edits: list[EditAnswer] = Field(min_length=1)


class FindingAnswer(_Strict):
    """One remark."""

    path: str
    severity: Literal["info", "warning", "error"]
    note: str
    line: int = 0


class ReviewAnswer(_Answer):
    """Submit the verdict, once.

    Name each finding with its path, how grave it is and a sentence. A finding of severity error
    means that the change is not approved.
    """

    verdict: Literal["approve", "reject"]
    summary: str
    findings: list[FindingAnswer] = Field(default_factory=list[FindingAnswer])


_SHAPES: Mapping[Output, AnswerShape] = {
    "patch": AnswerShape("submit_patch", PatchAnswer),
    "review": AnswerShape("submit_review", ReviewAnswer),
}


def answer_shape(output: Output) -> AnswerShape:
    """What a role of this output must submit."""
    return _SHAPES[output]


def read_patch(answer: Mapping[str, Any] | None) -> Patch:
    """A patch from a model's answer.

    Raises:
        BadOutput: it is not one; the message tells the model what to mend.
    """
    read = PatchAnswer.model_validate(answer)
    return Patch(read.summary, tuple(Edit(e.path, e.find, e.replace) for e in read.edits))


def read_review(answer: Mapping[str, Any] | None) -> Review:
    """A review from a model's answer; a finding of severity error overrules an approval.

    Raises:
        BadOutput: it is not one; the message tells the model what to mend.
    """
    read = ReviewAnswer.model_validate(answer)
    findings = tuple(Finding(f.path, f.severity, f.note, f.line) for f in read.findings)
    grave = any(finding.severity == "error" for finding in findings)
    return Review(read.verdict == "approve" and not grave, read.summary, findings)
