"""`needs`: names and globs become ids; what cannot run is named with its place."""

from collections.abc import Callable

from helios.domain.ids import TaskId
from helios.domain.workflow.spec import ProjectSpec
from helios.errors import Problem

Read = Callable[[str], ProjectSpec]
Fail = Callable[[str], tuple[Problem, ...]]


def test_one_name_or_a_list(tasks: Read) -> None:
    spec = tasks("a: {run: x}\nb: {run: x, needs: a}\nc: {run: x, needs: [b, a, b]}")
    assert spec.needs == {"a": (), "b": ("a",), "c": ("b", "a")}


def test_globs_keep_the_order_of_definition_and_leave_the_task_itself_out(tasks: Read) -> None:
    spec = tasks(
        """\
        fix-b: {run: x}
        fix-a: {run: x}
        fix-all: {run: x, needs: "fix-*"}
        end: {run: x, needs: ["fix-?", "*"]}
        """
    )
    assert spec.by_id[TaskId("fix-all")].needs == ("fix-b", "fix-a")
    assert spec.by_id[TaskId("end")].needs == ("fix-b", "fix-a", "fix-all")


def test_a_glob_in_a_part_leaves_the_other_parts_out(tasks: Read) -> None:
    spec = tasks("fix-first: {run: x}\nfix: {run: x, needs: 'fix-*', each: [a, b]}")
    assert spec.by_id[TaskId("fix-a")].needs == ("fix-first",)


def test_globs_know_classes_and_korean_and_mind_case(tasks: Read) -> None:
    spec = tasks(
        """\
        수정-1: {run: x}
        수정-2: {run: x}
        A: {run: x}
        a1: {run: x}
        end: {run: x, needs: ["수정-[12]", "a*"]}
        """
    )
    assert spec.by_id[TaskId("end")].needs == ("수정-1", "수정-2", "a1")


def test_a_number_as_an_id_needs_quotes_in_needs(tasks: Read, fail_tasks: Fail) -> None:
    assert tasks('1: {run: x}\nb: {run: x, needs: "1"}').needs[TaskId("b")] == ("1",)
    assert fail_tasks("1: {run: x}\nb: {run: x, needs: [1]}")[0].hint == 'Put it in quotes: "1".'


def test_an_unknown_need_is_named_at_its_place(fail_tasks: Fail) -> None:
    (problem,) = fail_tasks("수정: {run: x}\nb:\n  run: x\n  needs: [수정, 수종]")
    assert (problem.line, problem.column, problem.width) == (7, 17, 2)
    assert problem.message == 'task "b" needs "수종", which is no task'
    assert problem.hint == ""
    (problem,) = fail_tasks("build: {run: x}\nb: {run: x, needs: biuld}")
    assert problem.hint == 'Did you mean "build"?'


def test_a_fanned_out_task_is_suggested_by_its_own_name(fail_tasks: Fail) -> None:
    (problem,) = fail_tasks("repair: {run: x, each: [a]}\nb: {run: x, needs: repiar}")
    assert problem.hint == 'Did you mean "repair"?'


def test_a_glob_that_matches_nothing_is_a_mistake(fail_tasks: Fail) -> None:
    (problem,) = fail_tasks('fix: {run: x, needs: "fix*"}')
    assert (problem.line, problem.column) == (4, 24)
    assert problem.message == 'the glob "fix*" matches no other task'


def test_a_circle_is_named_at_one_of_its_needs(fail_tasks: Fail) -> None:
    (problem,) = fail_tasks(
        "a: {run: x, needs: c}\nb: {run: x, needs: a}\nc:\n  run: x\n  needs: [b]\n"
    )
    assert problem.message == "tasks wait for each other in a circle: a -> c -> b -> a"
    assert (problem.line, problem.column) == (4, 22)


def test_each_circle_is_named(fail_tasks: Fail) -> None:
    problems = fail_tasks("a: {run: x, needs: a}\nb: {run: x, needs: c}\nc: {run: x, needs: b}\n")
    assert [problem.message.rpartition(": ")[2] for problem in problems] == [
        "a -> a",
        "b -> c -> b",
    ]


def test_a_long_circle_is_shortened(fail_tasks: Fail) -> None:
    text = "\n".join(f"t{n}: {{run: x, needs: t{(n + 1) % 500}}}" for n in range(500))
    (problem,) = fail_tasks(text)
    shown = "t0 -> t1 -> t2 -> t3 -> (493 more) -> t497 -> t498 -> t499 -> t0"
    assert problem.message.endswith(f"in a circle: {shown}")


def test_needs_are_judged_beside_other_mistakes(fail_tasks: Fail) -> None:
    problems = fail_tasks("a: {run: x, needs: [b, 5, nome], priority: 99}\nb: {run: x, needs: a}")
    assert {problem.message for problem in problems} == {
        "tasks wait for each other in a circle: a -> b -> a",
        "expected a text, got a number (5)",
        'task "a" needs "nome", which is no task',
        '"priority" must be at most 10, got 99',
    }


def test_parts_that_a_mistake_hides_are_not_called_unknown(fail_tasks: Fail) -> None:
    problems = fail_tasks('fix: {run: x, each: 5}\nb: {run: x, needs: [fix-a, "fix-*", nome]}')
    assert [problem.message for problem in problems] == [
        "expected a list of values, got a number (5)",
        'task "b" needs "nome", which is no task',
    ]


def test_links_without_end_are_refused(fail_tasks: Fail) -> None:
    values = ", ".join(map(str, range(1_100)))
    problems = fail_tasks(
        f"a: {{run: x, each: [{values}]}}\nb: {{run: x, needs: a, each: [{values}]}}"
    )
    assert [problem.message for problem in problems] == [
        "the needs make more than 1,000,000 links between tasks"
    ]
