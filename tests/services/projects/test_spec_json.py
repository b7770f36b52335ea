"""A project survives being stored letter by letter, and equal projects have equal digests."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.domain.ids import TaskId
from helios.domain.pricing import Tier
from helios.domain.workflow.retries import RetryPolicy
from helios.domain.workflow.spec import BudgetSpec, Gate, ProjectSpec, RepoSpec, TaskSpec
from helios.errors import StoreError
from helios.services.projects import digest, spec_from_json, spec_to_json

words = st.text(max_size=20)
positive = st.floats(0, 1e9, allow_nan=False)
some = st.lists(words, max_size=3).map(tuple)
policies = st.builds(
    RetryPolicy, retries=st.integers(0, 10), jitter=positive, escalate_after=st.integers(0, 10)
)
tasks = st.builds(
    TaskSpec,
    id=words.map(TaskId),
    agent=st.none() | words,
    run=st.none() | words,
    action=st.sampled_from([None, "analyse", "merge", "report"]),
    prompt=words,
    needs=st.lists(words.map(TaskId), max_size=3).map(tuple),
    files=some,
    editable=some,
    gates=st.lists(st.builds(Gate, words, positive), max_size=2).map(tuple),
    model=st.none() | words,
    deadline=st.none() | positive,
    timeout_s=positive,
    retry=policies,
    messages=st.none() | st.integers(1, 100),
)
specs = st.builds(
    ProjectSpec,
    name=words,
    goal=words,
    tasks=st.lists(tasks, max_size=3).map(tuple),
    repo=st.builds(RepoSpec, st.none() | words, st.none() | words),
    budget=st.builds(BudgetSpec, st.none() | st.integers(), st.none() | positive),
    models=st.dictionaries(st.sampled_from(Tier), words),
)

SMALL = ProjectSpec(
    name="한글", goal="", tasks=(TaskSpec(id=TaskId("가"), run="make"),), models={Tier.STRONG: "m"}
)


@given(specs)
@settings(deadline=None)
def test_what_is_stored_comes_back_equal(spec: ProjectSpec) -> None:
    text = spec_to_json(spec)
    back = spec_from_json(text)
    assert back == spec
    assert spec_to_json(back) == text
    assert digest(back) == digest(spec)


@given(specs, specs)
@settings(deadline=None)
def test_only_equal_projects_share_a_digest(one: ProjectSpec, other: ProjectSpec) -> None:
    assert (digest(one) == digest(other)) == (one == other)


def test_the_text_is_canonical() -> None:
    text = spec_to_json(SMALL)
    assert text == json.dumps(
        json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert '"name":"한글"' in text
    assert '"models":{"strong":"m"}' in text


def test_tiers_and_tuples_come_back_as_what_they_were() -> None:
    back = spec_from_json(spec_to_json(SMALL))
    assert isinstance(next(iter(back.models)), Tier)
    assert isinstance(back.tasks, tuple)
    assert isinstance(back.tasks[0].needs, tuple)
    assert isinstance(back.tasks[0].retry, RetryPolicy)


def test_whole_numbers_of_seconds_make_no_other_digest() -> None:
    (task,) = SMALL.tasks
    whole = replace(SMALL, tasks=(replace(task, timeout_s=600),))
    assert digest(whole) == digest(SMALL)


def test_any_change_changes_the_digest() -> None:
    (task,) = SMALL.tasks
    changed = replace(SMALL, tasks=(replace(task, priority=6),))
    assert digest(changed) != digest(SMALL)
    assert len(digest(SMALL)) == 64


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', '{"name": 5, "tasks": []}'])
def test_what_is_no_project_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="the stored project cannot be read") as caught:
        spec_from_json(text)
    assert caught.value.next_step
