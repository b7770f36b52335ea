"""Who does a task: exactly one of agent, run and action, and one that is known."""

from collections.abc import Callable

import pytest

from helios.domain.workflow.spec import ProjectSpec
from helios.errors import Problem

Read = Callable[[str], ProjectSpec]
Fail = Callable[[str], tuple[Problem, ...]]


def test_each_kind_is_read(tasks: Read) -> None:
    spec = tasks(
        "a: {agent: reviewer, prompt: p}\nb: {run: make}\nc: {action: analyse}\nd: {action: merge}"
    )
    assert [task.kind for task in spec.tasks] == ["reviewer", "command", "analyse", "merge"]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: {prompt: p}", (4, 3), 'task "a" has no agent, run or action'),
        ("a: {}", (4, 3), 'task "a" has no agent, run or action'),
        ("a: {run: x, action: merge}", (4, 15), 'task "a" has run and action: only one can do it'),
        ("a: {agent: coder}", (4, 3), 'task "a" has an agent but no prompt'),
        ("a: {agent: codr, prompt: p}", (4, 14), 'unknown agent "codr"'),
        ("a: {action: marge}", (4, 15), 'unknown action "marge"'),
        ("a: {action: 5}", (4, 15), "expected one of analyse, merge, report, got a number (5)"),
        ("a: make", (4, 6), "expected a mapping with `agent`, `run` or `action`, "
         'got a text ("make")'),
        ("a:", (4, 3), '"a" has no value'),
    ],
)  # fmt: skip
def test_what_cannot_be_done(
    fail_tasks: Fail, text: str, place: tuple[int, int], message: str
) -> None:
    (problem,) = fail_tasks(text)
    assert (problem.line, problem.column, problem.message) == (*place, message)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: {agent: codr, prompt: p}", 'Did you mean "coder"?'),
        ("a: {agent: Reviewer, prompt: p}", 'Did you mean "reviewer"?'),
        ("a: {agent: xyz, prompt: p}", "Known agents: coder, reviewer."),
        ("a: {action: marge}", 'Did you mean "merge"?'),
        ("a: {action: xyz}", "Known: analyse, merge, report."),
        ("a: {run: x, model: frontiers}", 'Did you mean "frontier"?'),
        ("a: {run: x, dedline: 2h}", 'Did you mean "deadline"?'),
        ("a: {run: x, Needs: []}", 'Did you mean "needs"?'),
    ],
)
def test_what_was_meant_is_suggested(fail_tasks: Fail, text: str, hint: str) -> None:
    (problem,) = fail_tasks(text)
    assert problem.hint == hint


def test_an_unknown_key_without_a_likely_one_lists_the_keys(fail: Fail) -> None:
    (problem,) = fail("helios: 1\nname: x\nbudget: {qqq: 1}\ntasks: {a: {run: x}}\n")
    assert problem.hint == "Known here: messages, cost_usd, strong_share, account."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: x\ntasks: {a: {run: x}}", [(0, 'the key "helios" is missing')]),
        ("helios: 1\ntasks: {a: {run: x}}", [(0, 'the key "name" is missing')]),
        ("helios: 1\nname: x", [(0, 'the key "tasks" is missing')]),
        ("helios: 1\nname: x\ntasks:", [(3, '"tasks" has no value')]),
        ("helios: 1\nname: x\ntasks: {}", [(3, "there are no tasks")]),
        (
            "helios: 1\nname: x\ntasks: [a]",
            [(3, "expected a mapping of task ids to tasks, got a list")],
        ),
        (
            "helios: 2\nname: x\ntasks: {a: {run: x}}",
            [(1, "this Helios reads version 1 of the file, not 2")],
        ),
        (
            "helios: '1'\nname: x\ntasks: {a: {run: x}}",
            [(1, 'expected a whole number, got a text ("1")')],
        ),
        (
            "helios: true\nname: x\ntasks: {a: {run: x}}",
            [(1, "expected a whole number, got true")],
        ),
        ("- a", [(1, "expected keys and values, got a list")]),
        ("just words", [(1, 'expected keys and values, got a text ("just words")')]),
    ],
)
def test_the_frame_of_the_file(fail: Fail, text: str, expected: list[tuple[int, str]]) -> None:
    assert [(problem.line, problem.message) for problem in fail(text)] == expected


def test_a_task_may_have_any_name_a_section_has(fail_tasks: Fail) -> None:
    (problem,) = fail_tasks("repo: 5")
    assert problem.message.startswith("expected a mapping with `agent`, `run` or `action`")


def test_everything_is_told_at_once_and_in_order(fail: Fail) -> None:
    problems = fail(
        """\
        helios: 1
        nome: x
        parallel: 0
        tasks:
          a: {agent: nobody, prompt: p, needs: none, priority: 11, priority: 12}
          b: {files: 5}
        """
    )
    assert [(p.line, p.column) for p in problems] == sorted((p.line, p.column) for p in problems)
    assert [problem.message for problem in problems] == [
        'the key "name" is missing',
        'unknown key "nome"',
        '"parallel" must be at least 1, got 0',
        'unknown agent "nobody"',
        'task "a" needs "none", which is no task',
        '"priority" must be at most 10, got 11',
        'duplicate key "priority": first on line 5, again on line 5',
        'task "b" has no agent, run or action',
        "expected a list of texts, got a number (5)",
    ]
    assert all(problem.file == "helios.yaml" for problem in problems)
