"""What each key may hold: the right values arrive in the project, the wrong ones are named."""

from collections.abc import Callable

import pytest

from helios.domain.ids import TaskId
from helios.domain.pricing import Tier
from helios.domain.workflow.retries import RetryPolicy
from helios.domain.workflow.spec import BudgetSpec, Gate, ProjectSpec, RepoSpec, TaskSpec
from helios.errors import Problem, ProjectFileError
from helios.services.projects import parse_project

Read = Callable[[str], ProjectSpec]
Fail = Callable[[str], tuple[Problem, ...]]

NOW = 1_800_000_000.0


def test_a_small_project_gets_every_default(read: Read) -> None:
    spec = read("helios: 1\nname: Small\ntasks: {a: {run: make}}\n")
    assert spec == ProjectSpec(name="Small", goal="", tasks=(TaskSpec(id=TaskId("a"), run="make"),))
    assert (spec.parallel, spec.language, spec.answers, spec.models) == (4, "en", None, {})


def test_every_key_of_the_project_arrives(read: Read) -> None:
    spec = read(
        """\
        helios: 1
        name: 한글 프로젝트
        goal: 모든 테스트를 고친다
        language: ko
        repo: {snapshot: ./code}
        budget: {messages: 40, cost_usd: 2, strong_share: 0.25}
        parallel: 64
        answers: answers.jsonl
        models: {strong: big-1, economy: small-1}
        tasks: {a: {run: make}}
        """
    )
    assert (spec.name, spec.goal, spec.language) == ("한글 프로젝트", "모든 테스트를 고친다", "ko")
    assert spec.repo == RepoSpec(snapshot="./code")
    assert spec.budget == BudgetSpec(40, 2.0, 0.25)
    assert (spec.parallel, spec.answers) == (64, "answers.jsonl")
    assert list(spec.models.items()) == [(Tier.ECONOMY, "small-1"), (Tier.STRONG, "big-1")]


def test_a_repo_in_one_word_is_a_path(read: Read) -> None:
    text = "helios: 1\nname: x\nrepo: ../code\ntasks: {a: {run: make}}\n"
    assert read(text).repo == RepoSpec(path="../code")


def test_every_key_of_a_task_arrives(tasks: Read) -> None:
    (task,) = tasks(
        """\
        수정:
          agent: coder
          prompt: 고쳐 주세요
          files: ["src/**/*.py", tests/x.py]
          editable: [src/x.py]
          gates: [pytest -q, {run: ruff check, timeout: 1m30s}]
          model: strong
          priority: 9
          deadline: 2h
          retries: 0
          escalate_after: 0
          timeout: 90s
          messages: 7
        """
    ).tasks
    assert task == TaskSpec(
        id=TaskId("수정"),
        agent="coder",
        prompt="고쳐 주세요",
        files=("src/**/*.py", "tests/x.py"),
        editable=("src/x.py",),
        gates=(Gate("pytest -q", 300.0), Gate("ruff check", 90.0)),
        model="strong",
        priority=9,
        deadline=NOW + 7200,
        timeout_s=90.0,
        retry=RetryPolicy(retries=0, escalate_after=0),
        messages=7,
    )


def test_defaults_hold_where_a_task_says_nothing(read: Read) -> None:
    spec = read(
        """\
        helios: 1
        name: x
        defaults:
          priority: 2
          retries: 1
          escalate_after: 4
          timeout: 30
          gates: [make test]
          model: economy
        tasks:
          quiet: {agent: coder, prompt: p}
          loud:
            agent: coder
            prompt: p
            priority: 5
            retries: 3
            escalate_after: 2
            timeout: 600
            gates: []
            model: big-1
          command: {run: make}
        """
    )
    quiet, loud, command = spec.tasks
    assert (quiet.priority, quiet.timeout_s, quiet.model) == (2, 30.0, "economy")
    assert quiet.retry == RetryPolicy(retries=1, escalate_after=4)
    assert quiet.gates == (Gate("make test"),)
    # What equals the built-in default is still said by the task.
    assert (loud.priority, loud.timeout_s, loud.model, loud.gates) == (5, 600.0, "big-1", ())
    assert loud.retry == RetryPolicy(retries=3, escalate_after=2)
    # Gates and models are for agents.
    assert (command.priority, command.gates, command.model) == (2, (), None)


def test_what_may_be_changed_is_what_is_read_unless_said(tasks: Read) -> None:
    same, less, none = tasks(
        """\
        same: {agent: coder, prompt: p, files: [a, b]}
        less: {agent: coder, prompt: p, files: [a, b], editable: [a]}
        none: {agent: coder, prompt: p, files: [a, b], editable: []}
        """
    ).tasks
    assert same.editable == ("a", "b")
    assert less.editable == ("a",)
    assert none.editable == ()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("45", 45.0), ("0.5", 0.5), ("90s", 90.0), ("10m", 600.0), ("2h", 7200.0), ("1d", 86400.0),
     ("1h30m", 5400.0), ('"1.5 h"', 5400.0)],
)  # fmt: skip
def test_lengths_of_time(tasks: Read, written: str, seconds: float) -> None:
    assert tasks(f"a: {{run: x, timeout: {written}}}").tasks[0].timeout_s == seconds


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2027-01-31T18:00:00+09:00", 1801386000.0),
        ('"2027-01-31T09:00:00Z"', 1801386000.0),
        ("2027-01-31 09:00+00:00", 1801386000.0),
        ("30m", NOW + 1800),
    ],
)
def test_deadlines(tasks: Read, written: str, at: float) -> None:
    assert tasks(f"a:\n  run: x\n  deadline: {written}").tasks[0].deadline == at


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("prompt: true", "expected a text, got true"),
        ("prompt: [x]", "expected a text, got a list"),
        ("prompt: ' '", '"prompt" must not be blank'),
        ("prompt:", '"prompt" has no value'),
        ("files: 5", "expected a list of texts, got a number (5)"),
        ("files: {a: b}", "expected a list of texts, got a mapping"),
        ("files: [a, 5]", "expected a text, got a number (5)"),
        ("files: [a, ~]", "expected a text, got nothing"),
        ("files: [/etc/passwd]", '"/etc/passwd" leaves the repository'),
        ("files: [a/../../b]", '"a/../../b" leaves the repository'),
        ("editable: ['../*']", '"../*" leaves the repository'),
        ("needs: 5", "expected a list of texts, got a number (5)"),
        ("needs: [[a]]", "expected a text, got a list"),
        ("gates: make", 'expected a list of commands, got a text ("make")'),
        ("gates: [5]", "expected a command or a mapping with `run`, got a number (5)"),
        ("gates: [{timeout: 5}]", 'the key "run" is missing'),
        ("gates: [{run: x, time: 5}]", 'unknown key "time"'),
        ("gates: [{run: x, timeout: 0}]", '"timeout" must be more than 0, got 0'),
        ("priority: 0", '"priority" must be at least 1, got 0'),
        ("priority: 11", '"priority" must be at most 10, got 11'),
        ("priority: 2.0", "expected a whole number, got a number (2.0)"),
        ("priority: '2'", 'expected a whole number, got a text ("2")'),
        ("priority: yes", 'expected a whole number, got a text ("yes")'),
        ("priority: true", "expected a whole number, got true"),
        ("retries: 11", '"retries" must be at most 10, got 11'),
        ("escalate_after: -1", '"escalate_after" must be at least 0, got -1'),
        ("messages: 0", '"messages" must be at least 1, got 0'),
        ("timeout: soon", "expected seconds or a length of time such as 90s, 10m or 2h"),
        ("timeout: 0s", "a length of time is more than 0 and at most 366d"),
        ("timeout: 999999999d", "a length of time is more than 0 and at most 366d"),
        ("timeout: [1]", "expected seconds or a length of time such as 10m, got a list"),
        ("deadline: 2027-01-31T18:00:00", "a date-time needs its offset from UTC, such as "
         "+09:00 or Z"),
        ("deadline: 2027-01-31", "a date-time needs its offset from UTC, such as +09:00 or Z"),
        ("deadline: tomorrow", "expected a date-time such as 2027-01-31T18:00:00+09:00, or a "
         "length of time such as 90s, 10m or 2h"),
        ("deadline: 5", "expected a text, got a number (5)"),
        ("each: a", 'expected a list of values, got a text ("a")'),
        ("each: []", '"each" must not be empty'),
        ("each: [[a]]", "expected a value or a mapping of values, got a list"),
        ("each: [{}]", "expected a value or a mapping of values, got an empty mapping"),
        ("each: [{a: [b]}]", "expected a value or a mapping of values, got a mapping of other "
         "things"),
        ("each: [~]", "expected a value or a mapping of values, got nothing"),
    ],
)  # fmt: skip
def test_wrong_values_of_a_task(fail_tasks: Fail, line: str, message: str) -> None:
    problems = fail_tasks(f"a:\n  run: make\n  {line}\n")
    assert [problem.message for problem in problems if problem.line == 6] == [message]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("goal: 5", "expected a text, got a number (5)"),
        ("language: fr", 'unknown language "fr"'),
        ("language: [en]", "expected one of en, ko, got a list"),
        ("repo: 5", "expected a path, or a mapping with `path` or `snapshot`, got a number (5)"),
        ("repo: {}", "`repo` takes exactly one of path and snapshot, got neither"),
        ("repo: {path: a, snapshot: b}", "`repo` takes exactly one of path and snapshot, got both"),
        ("budget: 5", "expected a mapping, got a number (5)"),
        ("budget: {messages: 1.5}", "expected a whole number, got a number (1.5)"),
        ("budget: {cost_usd: 0}", '"cost_usd" must be more than 0, got 0'),
        ("budget: {cost_usd: $5}", 'expected a number, got a text ("$5")'),
        ("budget: {strong_share: 25}", '"strong_share" must be at most 1, got 25'),
        ("parallel: 0", '"parallel" must be at least 1, got 0'),
        ("parallel: 65", '"parallel" must be at most 64, got 65'),
        ("models: {huge: x}", 'unknown key "huge"'),
        ("defaults: {gates: [5]}", "expected a command or a mapping with `run`, got a number (5)"),
        ("defaults: {agent: coder}", 'unknown key "agent"'),
        ("defaults: {model: stron}", 'unknown tier "stron"'),
    ],
)
def test_wrong_values_of_the_project(fail: Fail, line: str, message: str) -> None:
    problems = fail(f"helios: 1\nname: x\n{line}\ntasks: {{a: {{run: make}}}}\n")
    assert [(problem.line, problem.message) for problem in problems] == [(3, message)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ('"a\\nb"', "a name is one line with at least one letter"),
        ('" "', "a name is one line with at least one letter"),
        ("가" * 121, '"name" has 121 characters, at most 120 are allowed'),
    ],
)
def test_wrong_names(fail: Fail, name: str, message: str) -> None:
    (problem,) = fail(f"helios: 1\nname: {name}\ntasks: {{a: {{run: make}}}}\n")
    assert problem.message == message


@pytest.mark.parametrize("model", ["big", "claude-strong-1", "strong-1", "standard", "haiku"])
def test_names_of_models_are_not_taken_for_tiers(tasks: Read, model: str) -> None:
    (task,) = tasks(f"a: {{agent: coder, prompt: p, model: {model}}}").tasks
    assert task.model == model


def test_a_model_the_file_names_itself_is_no_typing_error(read: Read) -> None:
    spec = read(
        "helios: 1\nname: x\nmodels: {strong: strongest}\n"
        "tasks: {a: {agent: coder, prompt: p, model: strongest}}\n"
    )
    assert spec.tasks[0].model == "strongest"


@pytest.mark.parametrize(
    "task_id", ["fix", "Fix_1.a-b", "1", "수정-작업", "_x", "修正", "a" * 80, "가" * 80]
)
def test_names_a_task_may_have(tasks: Read, task_id: str) -> None:
    assert [task.id for task in tasks(f"{task_id}: {{run: x}}").tasks] == [task_id]


@pytest.mark.parametrize(
    ("task_id", "message"),
    [
        ('"fix me"', "a space cannot be in a task id, only letters, digits, - _ and ."),
        ("a/b", "'/' cannot be in a task id, only letters, digits, - _ and ."),
        ("작업!", "'!' cannot be in a task id, only letters, digits, - _ and ."),
        ("a" * 81, "a task id has at most 80 characters, this has 81"),
        ('"-a"', "a task id begins with a letter, a digit or _ and does not end with a dot"),
        (".a", "a task id begins with a letter, a digit or _ and does not end with a dot"),
        ("a.", "a task id begins with a letter, a digit or _ and does not end with a dot"),
        ("a..b", "a task id has no two dots in a row and does not end with .lock (Git forbids it)"),
        ("a.lock", "a task id has no two dots in a row and does not end with .lock (Git forbids "
         "it)"),
        ('""', "a task id must not be empty"),
    ],
)  # fmt: skip
def test_names_a_task_may_not_have(fail_tasks: Fail, task_id: str, message: str) -> None:
    (problem,) = fail_tasks(f"{task_id}: {{run: x}}")
    assert (problem.line, problem.column, problem.message) == (4, 3, message)


def test_syllables_taken_apart_are_the_same_name(tasks: Read) -> None:
    apart = "\u1112\u1161\u11ab\u1100\u1173\u11af"
    spec = tasks(f"한글: {{run: x}}\nb: {{run: x, needs: {apart}}}")
    assert spec.tasks[1].needs == ("한글",)


def test_a_strong_share_needs_something_to_be_a_share_of(fail: Fail) -> None:
    (problem,) = fail(
        "helios: 1\nname: x\nbudget: {account: a, strong_share: 0}\ntasks: {a: {run: x}}\n"
    )
    assert (problem.line, problem.column) == (3, 22)
    assert problem.message == '"strong_share" is a share of nothing'
    assert "`messages`" in problem.hint
    assert "`cost_usd`" in problem.hint


def test_a_model_without_a_price_is_told_where_it_stands() -> None:
    text = """helios: 1
name: x
models: {economy: lama-3, standard: llama-3}
defaults: {model: foo-1}
tasks:
  a: {agent: coder, prompt: p, model: strong}
  b: {agent: coder, prompt: p, model: llama-4}
  c: {agent: coder, prompt: p, model: strnog}
"""
    with pytest.raises(ProjectFileError) as caught:
        parse_project(text, file="f", known_agents=["coder"], now=0.0, priced=["llama-3"])
    told = [(p.line, p.column, p.message) for p in caught.value.problems]
    assert told == [
        (3, 19, 'no price is known for the model "lama-3"'),
        (4, 19, 'no price is known for the model "foo-1"'),
        (7, 39, 'no price is known for the model "llama-4"'),
        (8, 39, 'unknown tier "strnog"'),
    ]
    assert caught.value.problems[0].hint.startswith('Did you mean "llama-3"? The file')
