"""Names are derived, stable, safe as names of files and branches, and never two of one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.ids import ProjectId, RunId, TaskId, project_id, request_id, run_id, slug

HOSTILE = st.sampled_from(
    ["../../etc/passwd", "a/1.1", "a/1.1~1", "a~1", ".", "-rf", "name.lock", "@{", "\0", "시험"]
)
TEXTS = st.text() | HOSTILE
TASKS = TEXTS.map(TaskId)
NUMBERS = st.integers(1, 40)
SAFE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.[0-9]+)?")
"""Plain in a path, a branch and a command line: no dot or hyphen first, none of them doubled."""


@given(TEXTS)
def test_a_slug_is_short_safe_and_its_own_slug(text: str) -> None:
    found = slug(text)
    assert SAFE.fullmatch(found)
    assert len(found) <= 40
    assert slug(found) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tidy UP the  parser!", "tidy-up-the-parser"),
        ("정리 v2", "v2"),
        ("정리", "project"),
        ("", "project"),
        ("a" * 39 + " b", "a" * 39),
    ],
)
def test_a_slug_keeps_what_can_be_read(text: str, expected: str) -> None:
    assert slug(text) == expected


@given(TEXTS, TEXTS, NUMBERS)
def test_projects_and_runs_are_safe_as_names_and_always_the_same(
    name: str, location: str, number: int
) -> None:
    project = project_id(name, location)
    assert project == project_id(name, location)
    assert SAFE.fullmatch(project)
    assert SAFE.fullmatch(run_id(project, number))


def test_the_name_of_a_project_does_not_change_between_releases() -> None:
    project = project_id("Tidy up", "/home/user/파서/helios.yaml")
    assert project == "tidy-up-d3b5f382"
    run = run_id(project, 3)
    assert request_id(run, TaskId("고치기"), 1, 2) == "tidy-up-d3b5f382.3/고치기/1.2"


@given(TEXTS, st.lists(st.text(), min_size=2, max_size=20, unique=True))
def test_projects_at_different_places_are_different(name: str, places: list[str]) -> None:
    assert len({project_id(name, place) for place in places}) == len(places)


def test_two_korean_names_at_two_places_are_two_projects() -> None:
    assert project_id("정리", "/가") != project_id("시험", "/나")


@given(st.sets(st.tuples(TEXTS, NUMBERS), max_size=8))
def test_no_two_runs_share_a_name(runs: set[tuple[str, int]]) -> None:
    projects = {(project_id("p", place), number) for place, number in runs}
    assert len({run_id(project, number) for project, number in projects}) == len(projects)


Call = tuple[TaskId, int, int, int]
CALLS = st.tuples(TASKS, NUMBERS, NUMBERS, st.integers(0, 40))


@given(st.lists(CALLS, max_size=12), st.lists(st.text(max_size=4), min_size=1, max_size=3))
def test_no_two_calls_share_a_request_whatever_the_tasks_are_called(
    calls: list[Call], places: list[str]
) -> None:
    runs = {run_id(project_id("p", place), 1) for place in places}
    every = {(run, *call) for run in runs for call in calls}
    assert len({request_id(*call) for call in every}) == len(every)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a/1.1", 1, 1, 0), ("a", 1, 1, 0)),
        (("a", 1, 1, 1), ("a~1", 1, 1, 0)),
        (("a", 11, 1, 0), ("a", 1, 11, 0)),
        (("a", 1, 1, 0), ("a/1.1", 1, 1, 0)),
        (("가", 1, 1, 0), ("\u1100\u1161", 1, 1, 0)),
    ],
)
def test_names_made_to_collide_do_not(
    one: tuple[str, int, int, int], other: tuple[str, int, int, int]
) -> None:
    run = RunId("p.1")
    first, second = ((TaskId(task), *rest) for task, *rest in (one, other))
    assert request_id(run, *first) != request_id(run, *second)


def test_a_call_that_was_never_resent_has_no_mark_of_it() -> None:
    run = run_id(ProjectId("p"), 1)
    plain = request_id(run, TaskId("a"), 1, 1)
    assert plain == request_id(run, TaskId("a"), 1, 1, resend=0)
    assert request_id(run, TaskId("a"), 1, 1, resend=1) == f"{plain}~1"
