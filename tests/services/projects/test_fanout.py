"""`each`: one task of each value, with the value put in."""

from collections.abc import Callable

import pytest

from helios.domain.ids import TaskId
from helios.domain.workflow.spec import Gate, ProjectSpec
from helios.errors import Problem

Read = Callable[[str], ProjectSpec]
Fail = Callable[[str], tuple[Problem, ...]]


def test_a_plain_value_is_put_everywhere(tasks: Read) -> None:
    spec = tasks(
        """\
        check: {run: x, each: [a, b]}
        fix:
          agent: coder
          prompt: "Mend {item} and {item}."
          files: ["src/{item}/*.py"]
          editable: ["src/{item}/m.py"]
          gates: ["pytest {item}"]
          needs: "check-{item}"
          each: [a, b]
        """
    )
    assert [task.id for task in spec.tasks] == ["check-a", "check-b", "fix-a", "fix-b"]
    fix = spec.by_id[TaskId("fix-b")]
    assert fix.prompt == "Mend b and b."
    assert (fix.files, fix.editable) == (("src/b/*.py",), ("src/b/m.py",))
    assert fix.gates == (Gate("pytest b"),)
    assert fix.needs == ("check-b",)


def test_values_of_mappings_are_put_by_key(tasks: Read) -> None:
    spec = tasks(
        """\
        fix:
          run: "mend {item.file} --level {item.level}"
          each:
            - {name: 첫째, file: a.py, level: 1.50}
            - {name: second, file: b.py, level: 010}
        """
    )
    assert [(task.id, task.run) for task in spec.tasks] == [
        ("fix-첫째", "mend a.py --level 1.50"),
        ("fix-second", "mend b.py --level 010"),
    ]


def test_values_are_put_in_as_they_were_written(tasks: Read) -> None:
    spec = tasks("t: {run: 'x {item}', each: [1.10, true, 007]}")
    assert [task.run for task in spec.tasks] == ["x 1.10", "x true", "x 007"]
    assert [task.id for task in spec.tasks] == ["t-1.10", "t-true", "t-007"]


def test_what_cannot_be_in_an_id_becomes_a_hyphen(tasks: Read) -> None:
    spec = tasks("t: {run: 'x {item}', each: [src/a b.py, ../c.py]}")
    assert [task.id for task in spec.tasks] == ["t-src-a-b.py", "t-c.py"]
    assert spec.tasks[0].run == "x src/a b.py"


def test_a_need_on_the_task_means_all_of_its_parts(tasks: Read) -> None:
    spec = tasks("fix: {run: x, each: [b, a]}\nreport: {action: report, needs: fix}")
    assert spec.by_id[TaskId("report")].needs == ("fix-b", "fix-a")


def test_a_part_can_need_another_part(tasks: Read) -> None:
    spec = tasks(
        """\
        start: {run: x}
        step:
          run: x
          needs: "{item.after}"
          each: [{n: 1, after: start}, {n: 2, after: step-1}]
        """
    )
    assert spec.by_id[TaskId("step-2")].needs == ("step-1",)


def test_shell_variables_and_other_braces_stay(tasks: Read) -> None:
    spec = tasks("t: {run: 'x ${item} {other} {items} {item}', each: [a]}\nu: {run: 'x {item}'}")
    assert [task.run for task in spec.tasks] == ["x ${item} {other} {items} a", "x {item}"]


@pytest.mark.parametrize(
    ("each", "run", "message", "hint"),
    [
        ("[a]", "x {item.n}", "{item.n} asks for a key, but the values of `each` are plain",
         "Write {item}."),
        ("[{n: a, m: b}]", "x {item}", "{item} is a mapping here: say which value",
         "There are {item.n}, {item.m}."),
        ("[{file: a}]", "x {item.fil}", "{item.fil}: the values of `each` have no such key",
         'Did you mean "file"?'),
    ],
)  # fmt: skip
def test_a_place_without_a_value(
    fail_tasks: Fail, each: str, run: str, message: str, hint: str
) -> None:
    (problem,) = fail_tasks(f'a:\n  run: "{run}"\n  each: {each}\n')
    assert (problem.line, problem.message, problem.hint) == (5, message, hint)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {run: x, each: [b, c, b]}", [(4, 'two tasks would have the id "a-b"')]),
        ("a: {run: x, each: [b c, b/c]}", [(4, 'two tasks would have the id "a-b-c"')]),
        (
            "a: {run: x, each: [b]}\na-b: {run: x}",
            [
                (4, 'two tasks would have the id "a-b": the other is defined on line 5'),
                (5, 'two tasks would have the id "a-b": the other is defined on line 4'),
            ],
        ),
        (
            "a: {run: x, each: ['**']}",
            [(4, '"**" gives the task no id: it has no letter and no digit')],
        ),
        (
            "a: {run: x, each: [" + "b" * 79 + "]}",
            [(4, f'"a-{"b" * 35}...": a task id has at most 80 characters, this has 81')],
        ),
        (
            "a: {run: x, each: [b, {n: c}]}",
            [(4, "the values of `each` must be all plain or all mappings")],
        ),
    ],
)
def test_ids_that_cannot_be(fail_tasks: Fail, text: str, expected: list[tuple[int, str]]) -> None:
    assert [(problem.line, problem.message) for problem in fail_tasks(text)] == expected


def test_the_same_mistake_is_told_once_for_all_parts(fail_tasks: Fail) -> None:
    (problem,) = fail_tasks("a: {run: x, needs: none, each: [b, c, d]}")
    assert problem.message == 'task "a" needs "none", which is no task'


def test_too_many_parts_are_refused(fail_tasks: Fail) -> None:
    values = ", ".join(map(str, range(10_001)))
    (problem,) = fail_tasks(f"a: {{run: x, each: [{values}]}}")
    assert problem.message == "10,001 tasks are too many, at most 10,000 are allowed"


def test_parts_that_would_fill_the_memory_are_refused(fail_tasks: Fail) -> None:
    values = ", ".join(map(str, range(5_000)))
    run = "y" * 20_000 + "{item}"
    problems = fail_tasks(f"a: {{run: '{run}', each: [{values}]}}\nb: {{run: x, needs: a}}")
    assert [problem.message for problem in problems] == [
        "the tasks of this `each` would be over 50 MB of text"
    ]
