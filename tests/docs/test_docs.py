"""The pages say what is: their examples run, their tables are whole, their links lead somewhere."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from helios.agents.catalogue import builtin_roles
from helios.cli.app import app
from helios.config import ENVIRONMENT_ALIASES, load_settings, setting_names
from helios.domain.budget.ledger import TRANSITIONS
from helios.services.projects import parse_project
from helios.services.projects.file_model import ProjectFile, TaskFile
from tests.e2e.helios_process import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/**/*.md")])
TEXTS = {page: page.read_text("utf-8") for page in PAGES}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[pytest.ParameterSet]:
    return [
        pytest.param(body, id=f"{page.name}-{number}")
        for page, text in TEXTS.items()
        for number, (kind, body) in enumerate(BLOCK.findall(text))
        if kind == language
    ]


def table_keys(text: str, column: int = 0) -> set[str]:
    """The words in backticks in one column of all tables of a page."""
    rows = [line.split("|")[1:] for line in text.splitlines() if line.startswith("| `")]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row[column])}


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_project_in_the_pages_is_valid(text: str) -> None:
    spec = parse_project(text, file="page", known_agents=tuple(builtin_roles()), now=0.0)
    assert spec.tasks


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_settings_file_in_the_pages_loads(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    settings = load_settings({}, environment={"HELIOS_CONFIG": str(file)})
    assert {settings.sources[name] for name in tomllib.loads(text)} == {str(file)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_pages_exists(page: Path) -> None:
    shown = "\n".join(re.findall(r"^    .*|`[^`]+`", TEXTS[page], re.MULTILINE))
    shown += "\n".join(body for kind, body in BLOCK.findall(TEXTS[page]) if kind == "sh")
    verbs = set(re.findall(r"\bhelios ([a-z]+(?:-[a-z]+)*)\b", shown))
    assert verbs <= {name for name in app if not name.startswith("-")}
    targets = set(re.findall(r"^\w[\w-]*(?=:.*## )", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", shown)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", TEXTS[page]):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_every_setting_is_explained() -> None:
    text = TEXTS[ROOT / "docs" / "settings.md"]
    assert table_keys(text) == set(setting_names())
    named = {ENVIRONMENT_ALIASES.get(name, name.removeprefix("HELIOS_").lower()) for name in
             table_keys(text, column=1)}  # fmt: skip
    assert named == set(setting_names())


def test_every_key_of_a_project_is_explained() -> None:
    explained = table_keys(TEXTS[ROOT / "docs" / "project-file.md"])
    known = {
        f.alias or name for of in (ProjectFile, TaskFile) for name, f in of.model_fields.items()
    }
    assert known - {"tasks", "agent", "run", "action"} <= explained


def test_the_states_of_a_request_are_those_of_the_table() -> None:
    text = TEXTS[ROOT / "docs" / "budget.md"]
    written = set(re.findall(r"^\| ([a-z-]+) \| ([a-z-]+) \| ([a-z-]+) \|$", text, re.MULTILINE))
    assert written == {(str(a), str(b), str(c)) for (a, b), c in TRANSITIONS.items()}


def test_the_diagrams_are_drawn_from_the_tables() -> None:
    command = [sys.executable, str(ROOT / "tools" / "diagrams.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_place_the_pages_name_is_there() -> None:
    for page, text in TEXTS.items():
        for place in re.findall(
            r"`((?:src/|domain/|services/|engine/|tests/|cli/)[\w/.-]*)`", text
        ):
            rooms = (ROOT, ROOT / "src" / "helios")
            assert any((room / place).exists() for room in rooms), f"{page.name}: {place}"
