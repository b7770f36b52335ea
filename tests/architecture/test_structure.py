"""What import contracts cannot say: who calls a model, who reads the environment, sizes."""

import ast
import re
from pathlib import Path

import pytest

from tests.e2e.helios_process import ROOT

SOURCE = ROOT / "src" / "helios"
FILES = sorted(SOURCE.rglob("*.py"))


def calls_of(path: Path, method: str) -> list[int]:
    tree = ast.parse(path.read_text("utf-8"))
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
        and "provider" in ast.unparse(node.func.value)
    ]


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_only_responses_calls_a_provider() -> None:
    callers = {
        str(path.relative_to(SOURCE))
        for path in FILES
        if calls_of(path, "call") and "providers" not in path.parts
    }
    assert callers == {"services/responses/asking.py"}


def test_only_responses_and_bootstrap_know_providers() -> None:
    knowing = {
        str(path.relative_to(SOURCE))
        for path in FILES
        if "providers" not in path.relative_to(SOURCE).parts
        and any(
            name.startswith(("helios.providers", "anthropic"))
            or name == "helios.ports.models.Provider"
            for name in imports_of(path)
        )
    }
    assert knowing == {
        "bootstrap/gateway.py",
        "bootstrap/simulating.py",
        "services/responses/asking.py",
        "bootstrap/learning.py",
        "bootstrap/pricelist.py",
        "bootstrap/providers.py",
        "bootstrap/session.py",
        "bootstrap/signals.py",
    }


def test_only_config_reads_the_environment() -> None:
    reading = [
        str(path.relative_to(SOURCE))
        for path in FILES
        if re.search(r"os\.(environ|getenv)", path.read_text("utf-8"))
    ]
    assert reading == ["config.py"]


WRITTEN = [path for path in FILES if "versions" not in path.parts]
"""A migration is a list of statements, never read as code again."""


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{path}:{node.lineno} {node.name} has {length} lines"


def test_the_readmes_have_the_same_sections_and_commands() -> None:
    english = (ROOT / "README.md").read_text("utf-8")
    korean = (ROOT / "README.ko.md").read_text("utf-8")
    for pattern in (r"^#+ ", r"^```", r"^\| ", r"^(?:make|helios|pip) \S+(?: \S+)?"):
        counted = [len(re.findall(pattern, text, re.MULTILINE)) for text in (english, korean)]
        assert counted[0] == counted[1], pattern
    links = [sorted(re.findall(r"\]\(((?!README)[^)]+)\)", text)) for text in (english, korean)]
    assert links[0] == links[1]
    for target in links[0]:
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_lock_names_every_dependency_and_no_index() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    wanted = re.findall(r'^  "([a-z0-9-]+)(?:\[[a-z]+\])?>=', project, re.MULTILINE)
    assert len(wanted) > 20
    lock = (ROOT / "requirements" / "test.txt").read_text("utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==(\S+)", lock, re.MULTILINE))
    assert set(wanted) <= set(pinned)
    assert not re.search(r"https?:|index-url|find-links", lock)
    for entry in re.split(r"\n(?=[a-z0-9-]+(?:\[[a-z]+\])?==)", lock)[1:]:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
