"""What a YAML parser cannot read is said in plain words, by both parsers alike."""

import pytest
import yaml

from helios.services.projects.findings import Findings
from helios.services.projects.strict_yaml import parse
from helios.services.projects.yaml_errors import explain

LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]

CASES = [
    ("a:\n\tb: 1\n", (2, 1), "a tab in the indentation"),
    ("a:\n  b: 1\n\tc: 2\n", (3, 1), "a tab in the indentation"),
    ("a:\n  b:\n  \tc: 2\n", (3, 3), "a tab in the indentation"),
    ("a:\n  b: 1\n c: 2\n", (3, 2), "this indentation fits none of the lines above"),
    ("a: 'x'\n  b: 1\n", (2, 3), "this indentation fits none of the lines above"),
    ("a:\n  b: 1\n   c: 2\n", (3, 4), "this line is indented deeper than the lines"),
    ("a: fix: this\n", (1, 7), 'a ": " inside a text that is not in quotes'),
    ("a: 1\n\n\nb:2\nc: 3\n", (4, 2), "a space is missing after the colon"),
    ("a:1\n\n\nb: 2\n", (1, 2), "a space is missing after the colon"),
    ("a: 1\nfoo\nb: 2\n", (2, 1), "expected a key and a colon"),
    ("a: |\nfoo\n", (2, 1), "expected a key and a colon"),
    ('이름: "가\n나: 다\n', (1, 5), 'this " is never closed'),
    ("a: 'x\n", (1, 4), "this ' is never closed"),
    ('a: "x\n...\n', (1, 4), 'this " is never closed'),
    ("a: [1, 2\nb: 2\n", (1, 4), "this [ is never closed"),
    ("a: {x: 1\nb: 2\n", (1, 4), "this { is never closed"),
    ('a: [1, "b" c]\n', (1, 12), "expected , or ]"),
    ("a: 1\n]\n", (2, 1), "this ] closes nothing"),
    ("a: @x\n", (1, 4), "a text cannot begin with @ unless it is in quotes"),
    ("a: [가나다, `x]\n", (1, 10), "a text cannot begin with ` unless it is in quotes"),
    ("a: ? x\n", (1, 4), "a text cannot begin with ? unless it is in quotes"),
    ("files:\n  - **/*.py\n", (2, 5), "a text that begins with * must be in quotes"),
    ("files: [*.py, a]\n", (1, 9), "a text that begins with * must be in quotes"),
    ("a: {item} x\n", (1, 11), "unexpected text after the end of a value"),
    ('a: "x" y\n', (1, 8), "unexpected text after the end of a value"),
    ("a: 1\n- b\n", (2, 1), "a list item where a key should be"),
    ("- a\nb: 1\n", (2, 1), "a key where a list item should be"),
    (": 1\n", (1, 1), "a key is missing before the colon"),
    ("a: | text\n", (1, 6), "text right after | or >"),
    ("a: >10\n", (1, 6), "text right after | or >"),
    ("a: >0\n", (1, 5), "text right after | or >"),
    ("a: - b\n", (1, 4), "a list cannot begin on this line"),
    ("a: [1,,2]\n", (1, 7), "a value is missing here"),
    ("k" * 1100 + ": 1\n", (1, 1), "a key has at most 1,024 characters"),
]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(("text", "place", "message"), CASES)
def test_the_cause_is_named_at_its_place(
    loader: type[yaml.SafeLoader], text: str, place: tuple[int, int], message: str
) -> None:
    findings = Findings("f.yaml", text)
    assert parse(text, findings, loader) is None
    (problem,) = findings.problems
    assert (problem.line, problem.column) == place
    assert problem.message.startswith(message)
    assert problem.hint


@pytest.mark.parametrize("loader", LOADERS)
def test_an_unknown_escape_is_explained(loader: type[yaml.SafeLoader]) -> None:
    findings = Findings("f.yaml", text := 'a: "C:\\q"\n')
    assert parse(text, findings, loader) is None
    assert findings.problems[0].message == "unknown escape in a double-quoted text"
    assert findings.problems[0].hint == r"Write \\ for \, or use single quotes."


def test_a_rule_without_plain_words_is_passed_on() -> None:
    findings = Findings("f.yaml", "a: 1\nb: 2\n")
    mark = yaml.Mark("", 0, 1, 3, None, 0)
    explain(yaml.MarkedYAMLError("while reading", None, "found\nsomething", mark), findings)
    (problem,) = findings.problems
    assert problem.place == "f.yaml:2:4"
    assert problem.message == "this cannot be read: found something while reading"


def test_the_glob_to_put_in_quotes_is_shown() -> None:
    findings = Findings("f.yaml", text := "files:\n  - **/*.py\n")
    assert parse(text, findings) is None
    assert findings.problems[0].hint == 'Write "**/*.py" with the quotes.'


def test_what_came_before_the_mistake_is_reported_too() -> None:
    findings = Findings("f.yaml", text := "a: 1\na: 2\nb: @x\n")
    assert parse(text, findings) is None
    assert [problem.line for problem in findings.problems] == [2, 3]
