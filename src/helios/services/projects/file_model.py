"""The shape of `helios.yaml` at the border: every key, what it may hold and what it means.

What one model cannot see (who needs whom, which agents there are) is checked afterwards.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from helios.domain.budget.account import problem_with_account
from helios.domain.ids import TaskId
from helios.domain.workflow.spec import Action, Gate, TaskSpec
from helios.services.projects.quantities import (
    DURATION_PATTERN,
    LONGEST_S,
    parse_deadline,
    parse_duration,
)

FILE_VERSION = 1
LONGEST_NAME = 120

_TASK = TaskSpec(TaskId(""))
_GATE = Gate("")

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except ValueError as error:
        raise PydanticCustomError("quantity", "{reason}", {"reason": str(error)}) from None


def _deadline(value: str) -> str:
    try:
        parse_deadline(value, 0.0)
    except ValueError as error:
        raise PydanticCustomError("quantity", "{reason}", {"reason": str(error)}) from None
    return value


def _account(value: str) -> str:
    problem = problem_with_account(value)
    if problem:
        raise PydanticCustomError("account", "{reason}", {"reason": problem})
    return value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_gate(value: object) -> object:
    return {"run": value} if isinstance(value, str) else value


def _as_repo(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


def _item(value: object) -> object:
    of = value.values() if isinstance(value, dict) else (value,)
    if value == {} or not all(isinstance(each, str | int | float | bool) for each in of):
        raise PydanticCustomError("item", "expected a value or a mapping of values")
    return value


Plain = str | int | float | bool
Text = Annotated[str, Field(pattern=r"\S")]
Line = Annotated[str, Field(pattern=r"^.*\S.*$", max_length=LONGEST_NAME)]
OneOrMore = Annotated[
    list[Text], BeforeValidator(_as_list, json_schema_input_type=Text | list[Text])
]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_S)]
Duration = Annotated[
    Seconds,
    BeforeValidator(
        _seconds,
        json_schema_input_type=Seconds | Annotated[str, Field(pattern=DURATION_PATTERN)],
    ),
]
Item = Annotated[Any, BeforeValidator(_item, json_schema_input_type=Plain | dict[str, Plain])]
Priority = Annotated[int, Field(ge=1, le=10)]
UpToTen = Annotated[int, Field(ge=0, le=10)]


class GateFile(BaseModel):
    """A command that must succeed before a result is accepted."""

    model_config = _STRICT

    run: Text = Field(description="The command, run by a shell in the sandbox.")
    timeout: Duration = Field(
        default=_GATE.timeout_s,
        description="How long it may take: seconds, or text such as 90s or 10m.",
    )


GateEntry = Annotated[GateFile, BeforeValidator(_as_gate, json_schema_input_type=Text | GateFile)]


class RepoFile(BaseModel):
    """Where the code comes from."""

    model_config = ConfigDict(
        **_STRICT,
        json_schema_extra={"oneOf": [{"required": ["path"]}, {"required": ["snapshot"]}]},
    )

    path: Text = Field(default="", description="An existing Git checkout.")
    snapshot: Text = Field(
        default="",
        description="A folder whose content becomes the first commit of a new repository.",
    )


RepoEntry = Annotated[RepoFile, BeforeValidator(_as_repo, json_schema_input_type=Text | RepoFile)]


class BudgetFile(BaseModel):
    """The project's own ceilings, inside the plan's windows."""

    model_config = _STRICT

    messages: int = Field(default=0, ge=1, description="Most model calls. Default: no ceiling.")
    cost_usd: float = Field(default=0.0, gt=0, description="Most US dollars. Default: no ceiling.")
    strong_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Largest share for strong models, 0 to 1: of the messages where they have a "
        "ceiling, else of the dollars. Default: no ceiling.",
    )
    account: Annotated[str, AfterValidator(_account)] = Field(
        default="", description="Whose limits count besides, such as acme/mobile."
    )


class ModelsFile(BaseModel):
    """Which model stands for which tier."""

    model_config = _STRICT

    economy: Text = Field(default="", description="The cheapest model.")
    standard: Text = Field(default="", description="The model for ordinary work.")
    strong: Text = Field(default="", description="The model for hard work.")
    frontier: Text = Field(default="", description="The strongest model.")


class Settings(BaseModel):
    """What a task and the defaults of all tasks can both say."""

    model_config = _STRICT

    priority: Priority = Field(default=_TASK.priority, description="1 to 10; 10 goes first.")
    retries: UpToTen = Field(
        default=_TASK.retry.retries, description="Attempts after the first, 0 to 10."
    )
    escalate_after: UpToTen = Field(
        default=_TASK.retry.escalate_after,
        description="Failures of a model before a stronger one is asked; 0 means never.",
    )
    timeout: Duration = Field(
        default=_TASK.timeout_s,
        description="How long an attempt may take: seconds, or text such as 90s, 10m, 2h.",
    )
    gates: list[GateEntry] = Field(
        default=[],
        description="Commands that must succeed before a result is accepted. In `defaults` they "
        "hold for the tasks of agents.",
    )
    model: Text = Field(
        default="",
        description="A model's name or a tier: economy, standard, strong, frontier. Default: the "
        "router chooses.",
    )


class DefaultsFile(Settings):
    """What holds for every task that says nothing else."""


class TaskFile(Settings):
    """One task: an agent's, a command's or an action of Helios itself."""

    model_config = ConfigDict(
        **_STRICT,
        json_schema_extra={
            "oneOf": [{"required": ["agent"]}, {"required": ["run"]}, {"required": ["action"]}],
            "dependentRequired": {"agent": ["prompt"]},
        },
    )

    agent: Text = Field(default="", description="The agent that does it, such as coder.")
    run: Text = Field(default="", description="The command that does it, run by a shell.")
    action: Action = Field(default="report", description="What Helios does itself.")
    prompt: Text = Field(default="", description="What the agent is asked to do.")
    needs: OneOrMore = Field(
        default=[],
        description="Tasks that must be done before: ids, or globs such as fix-*. A task with "
        "`each` is meant with all of its parts.",
    )
    files: list[Text] = Field(default=[], description="Globs of what the agent reads.")
    editable: list[Text] = Field(
        default=[], description="Globs of what the agent may change. Default: the same as files."
    )
    deadline: Annotated[Text, AfterValidator(_deadline)] = Field(
        default="",
        description="A date-time with offset such as 2027-01-31T18:00:00+09:00, or a length of "
        "time from the start such as 2h.",
    )
    messages: int = Field(
        default=0, ge=1, le=1000, description="How many model calls it is expected to take."
    )
    each: list[Item] = Field(
        default=[],
        min_length=1,
        description="Makes one task of each value: {item} stands for the value, {item.key} for "
        "a value of a mapping, in prompt, run, files, editable, gates and needs. The id gets the "
        "value, or the first value of the mapping, as its end.",
    )


class ProjectFile(BaseModel):
    """A project for Helios: a graph of tasks on a fixed model budget."""

    model_config = _STRICT

    helios: int = Field(
        ge=FILE_VERSION, le=FILE_VERSION, description="Version of this file's format: 1."
    )
    name: Line = Field(description="The project's name, one line.")
    goal: Text = Field(default="", description="What the project is for; agents are told.")
    language: Literal["en", "ko"] = Field(
        default="en", description="Language of reports and agents."
    )
    repo: RepoEntry = Field(
        default=RepoFile(),
        description="An existing Git checkout, or a folder to take a snapshot of.",
    )
    budget: BudgetFile = Field(
        default=BudgetFile(), description="Ceilings inside the plan's windows."
    )
    parallel: int = Field(
        default=4, ge=1, le=64, description="Most tasks at the same time, 1 to 64."
    )
    answers: Text = Field(default="", description="File of recorded answers for the simulator.")
    models: ModelsFile = Field(
        default=ModelsFile(), description="Which model stands for which tier."
    )
    defaults: DefaultsFile = Field(default=DefaultsFile(), description="What holds for every task.")
    tasks: dict[str, TaskFile] = Field(
        description="The tasks by their ids: letters of any script, digits, - _ and .",
        json_schema_extra={"minProperties": 1},
    )


def project_schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors."""
    schema = ProjectFile.model_json_schema(mode="validation")
    models = [schema, *schema["$defs"].values()]
    for key, about in ((k, a) for model in models for k, a in model["properties"].items()):
        # Empty values and "report" stand for "not set" here; no task gets an action unasked.
        if key == "action" or not about.get("default") or isinstance(about["default"], dict):
            about.pop("default", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
