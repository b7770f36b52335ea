"""The YAML subset: what is text, what is not, and where everything stands."""

import pytest
import yaml

from helios.services.projects.findings import Findings
from helios.services.projects.strict_yaml import Mapping, Node, Scalar, Sequence, parse

LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]


def tree(text: str) -> Node:
    findings = Findings("f.yaml", text)
    node = parse(text, findings)
    assert node is not None, findings.problems
    assert not findings
    return node


def value(text: str) -> object:
    node = tree(f"key: {text}\n")
    assert isinstance(node, Mapping)
    scalar = node.entries["key"].value
    assert isinstance(scalar, Scalar)
    return scalar.value


def plain(node: Node) -> object:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(entry.value) for key, entry in node.entries.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("+12", 12),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-2.5E-1", -0.25),
    ],
)
def test_few_words_and_decimal_numbers_mean_more_than_text(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "off", "True", "FALSE", "Null", "NULL", "y", "n", "2026-01-31",
     "2026-01-31T10:00:00Z", "12:30:45", "190:20", "010", "0o17", "0x1F", "0b101", "1_000",
     ".inf", "-.inf", ".nan", "=", "1.2.3", "+", "e5", "가나다"],
)  # fmt: skip
def test_everything_else_is_text(text: str) -> None:
    assert value(text) == text


@pytest.mark.parametrize("text", ['"true"', "'5'", '"~"', '""'])
def test_what_is_in_quotes_is_text(text: str) -> None:
    assert value(text) == text[1:-1]


def test_all_kinds_of_text_are_read() -> None:
    text = (
        "plain: a b\n  c\n"
        'double: "a\\n\\u00e9"\n'
        "single: 'it''s'\n"
        "block: |\n  one\n  two\n"
        "folded: >-\n  one\n  two\n"
        "list: [1, a, {b: c}]\n"
        "lines:\n- x\n- y: z\n"
    )
    assert plain(tree(text)) == {
        "plain": "a b c",
        "double": "a\né",
        "single": "it's",
        "block": "one\ntwo\n",
        "folded": "one two",
        "list": [1, "a", {"b": "c"}],
        "lines": ["x", {"y": "z"}],
    }


def test_keys_are_text_as_written() -> None:
    assert plain(tree("1: a\n1.50: b\ntrue: c\n'2': d\n")) == {
        "1": "a",
        "1.50": "b",
        "true": "c",
        "2": "d",
    }


def test_every_node_knows_its_place() -> None:
    node = tree("이름: 가나\ntasks:\n  a:\n    files: [x, 'y z']\n    prompt: |\n      text\n")
    assert isinstance(node, Mapping)
    name = node.entries["이름"]
    assert (name.key.line, name.key.column, name.key.width) == (1, 1, 2)
    assert (name.value.line, name.value.column, name.value.width) == (1, 5, 2)
    tasks = node.entries["tasks"]
    assert tasks.spot is tasks.key  # the value stands on another line
    assert isinstance(tasks.value, Mapping)
    task = tasks.value.entries["a"].value
    assert isinstance(task, Mapping)
    files = task.entries["files"].value
    assert isinstance(files, Sequence)
    assert (files.line, files.column, files.width) == (4, 12, 10)
    assert (files.items[1].column, files.items[1].width) == (16, 5)
    prompt = task.entries["prompt"]
    assert (prompt.spot.line, prompt.spot.column, prompt.spot.width) == (5, 13, 1)


def test_places_hold_with_windows_line_ends() -> None:
    node = tree("a: 1\r\nb:\r\n  - x\r\n  - |\r\n    one\r\n    two\r\n")
    assert isinstance(node, Mapping)
    items = node.entries["b"].value
    assert isinstance(items, Sequence)
    assert (items.items[0].line, items.items[0].column) == (3, 5)
    assert plain(items) == ["x", "one\ntwo\n"]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: &x 1\n", (1, 4), "anchors (&name) are not allowed"),
        ("a: &x [1]\n", (1, 4), "anchors (&name) are not allowed"),
        ("b: 1\na: *x\n", (2, 4), "aliases (*name) are not allowed"),
        ("*x : 1\n", (1, 1), "aliases (*name) are not allowed"),
        ("a: !!str 1\n", (1, 4), "tags (!name) are not allowed"),
        ("a: !x {b: 1}\n", (1, 4), "tags (!name) are not allowed"),
        ("a: !y!x 1\n", (1, 4), "tags (!name) are not allowed"),
        ("a: !\n", (1, 4), "tags (!name) are not allowed"),
        ("a:\n  <<: {b: 1}\n", (2, 3), "merge keys (<<) are not allowed"),
        ("a: 1\n---\nb: 2\n", (2, 1), "a second document begins here"),
        ("a: 1\n...\nb\n", (3, 1), "a second document begins here"),
        ("%YAML 1.1\n---\na: 1\n", (1, 1), "directives (%...) are not allowed"),
        ("? [a]\n: 1\n", (1, 3), "a key must be a text, not a list or a mapping"),
        ("a: {{x}}\n", (1, 5), "a key must be a text, not a list or a mapping"),
        ("a: 1\nb: 2\na: 3\n", (3, 1), 'duplicate key "a": first on line 1, again on line 3'),
        ("a: {b: 1, b: 2}\n", (1, 11), 'duplicate key "b": first on line 1, again on line 1'),
        ("1: a\n'1': b\n", (2, 1), 'duplicate key "1": first on line 1, again on line 2'),
        ("a: " + "9" * 30, (1, 4), "this number is too large"),
        ("a: 1e999\n", (1, 4), "this number is too large"),
        ('a: "\\0"\n', (1, 4), "the character U+0000 is not allowed in a text"),
        ("a: \x1b[31m\n", (1, 4), "the character U+001B cannot be in a text file"),
        ("a: 1\nb: 가\ufeff\n", (2, 5), "the character U+FEFF cannot be in a text file"),
        ("a: \ud800\n", (1, 4), "the character U+D800 cannot be in a text file"),
        ("a: " + "[" * 60 + "]" * 60, (1, 53), "more than 50 levels deep"),
        ("# nothing here\n", (0, 0), "the file says nothing"),
    ],
)
def test_what_the_subset_refuses(
    loader: type[yaml.SafeLoader], text: str, place: tuple[int, int], message: str
) -> None:
    findings = Findings("f.yaml", text)
    parse(text, findings, loader)
    assert [(p.line, p.column, p.message) for p in findings.problems] == [(*place, message)]


def test_a_duplicate_leaves_a_tree_with_the_first_value() -> None:
    findings = Findings("f.yaml", text := "a: 1\na: 2\n")
    node = parse(text, findings)
    assert node is not None
    assert plain(node) == {"a": 1}


def test_all_refused_decorations_are_named_at_once() -> None:
    findings = Findings("f.yaml", text := "a: &x 1\nb: *x\nc: !t 2\n")
    assert parse(text, findings) is None
    assert [problem.line for problem in findings.problems] == [1, 2, 3]


def test_nesting_within_the_limit_is_read() -> None:
    assert tree("a: " + "[" * 49 + "]" * 49)
