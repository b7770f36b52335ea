"""How these tests read a project: from text, at a fixed time, with two agents."""

from collections.abc import Callable
from textwrap import dedent

import pytest

from helios.domain.workflow.spec import ProjectSpec
from helios.errors import Problem, ProjectFileError
from helios.services.projects import parse_project

NOW = 1_800_000_000.0
AGENTS = ("coder", "reviewer")

Read = Callable[[str], ProjectSpec]
Fail = Callable[[str], tuple[Problem, ...]]


def _read(text: str) -> ProjectSpec:
    return parse_project(dedent(text), file="helios.yaml", known_agents=AGENTS, now=NOW)


def _fail(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ProjectFileError) as caught:
        _read(text)
    return caught.value.problems


@pytest.fixture
def read() -> Read:
    """The project of a text that must be right."""
    return _read


@pytest.fixture
def fail() -> Fail:
    """The problems of a text that must be wrong."""
    return _fail


@pytest.fixture
def tasks() -> Read:
    """The project of a text that holds only what stands under `tasks`."""
    return lambda text: _read(_under_tasks(text))


@pytest.fixture
def fail_tasks() -> Fail:
    """The problems of such a text; the tasks begin on line 4."""
    return lambda text: _fail(_under_tasks(text))


def _under_tasks(text: str) -> str:
    body = "\n".join(f"  {line}" for line in dedent(text).strip("\n").split("\n"))
    return f"helios: 1\nname: Test\ntasks:\n{body}\n"
