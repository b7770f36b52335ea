"""The shapes of the answers: what a model must submit, and what Helios makes of it."""

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from helios.domain.review.edits import Edit, Patch
from helios.domain.review.verdict import Finding, Review
from helios.domain.roles import Output
from helios.errors import BadOutput
from helios.ports.models import Tool


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EditAnswer(_Strict):
    """One replacement in one file."""

    path: str = Field(description="Path from the root of the repository.")
    find: str = Field(description="Text that occurs exactly once; empty to write a new file.")
    replace: str = Field(description="What shall stand there instead.")


class PatchAnswer(_Strict):
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


class ReviewAnswer(_Strict):
    """Submit the verdict, once.

    Name each finding with its path, how grave it is and a sentence. A finding of severity error
    means that the change is not approved.
    """

    verdict: Literal["approve", "reject"]
    summary: str
    findings: list[FindingAnswer] = Field(default_factory=list[FindingAnswer])


_SHAPES: Mapping[Output, tuple[str, type[_Strict]]] = {
    "patch": ("submit_patch", PatchAnswer),
    "review": ("submit_review", ReviewAnswer),
}


def answer_tool(output: Output) -> Tool:
    """The tool a role of this output must call."""
    name, shape = _SHAPES[output]
    return Tool(name, cleandoc(shape.__doc__ or name), shape.model_json_schema())


def read_patch(answer: Mapping[str, Any] | None) -> Patch:
    """A patch from a model's answer.

    Raises:
        BadOutput: it is not one; the message tells the model what to mend.
    """
    read = _validated(PatchAnswer, answer)
    return Patch(read.summary, tuple(Edit(e.path, e.find, e.replace) for e in read.edits))


def read_review(answer: Mapping[str, Any] | None) -> Review:
    """A review from a model's answer; a finding of severity error overrules an approval.

    Raises:
        BadOutput: it is not one; the message tells the model what to mend.
    """
    read = _validated(ReviewAnswer, answer)
    findings = tuple(Finding(f.path, f.severity, f.note, f.line) for f in read.findings)
    grave = any(finding.severity == "error" for finding in findings)
    return Review(read.verdict == "approve" and not grave, read.summary, findings)


_Shape = TypeVar("_Shape", bound=_Strict)


def _validated(shape: type[_Shape], answer: Mapping[str, Any] | None) -> _Shape:
    if answer is None:
        raise BadOutput("the answer did not call its tool", billed="unknown")
    try:
        return shape.model_validate(answer)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()
        )
        raise BadOutput(f"the answer has the wrong shape: {problems}", billed="unknown") from error
