"""The file `helios init` writes is right, explains every key and says the same in Korean."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.domain.ids import TaskId
from helios.domain.workflow.spec import ProjectSpec
from helios.services.projects import load_project, parse_project, template
from helios.services.projects.file_model import BudgetFile, ProjectFile, Settings, TaskFile

AGENTS = ("coder", "reviewer")


def project(name: str, language: str) -> ProjectSpec:
    return parse_project(template(name, language), file="helios.yaml", known_agents=AGENTS, now=0.0)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_it_is_a_right_project(tmp_path: Path, language: str) -> None:
    path = tmp_path / "helios.yaml"
    path.write_text(template("첫 프로젝트", language), encoding="utf-8")
    spec = load_project(path, known_agents=AGENTS, now=0.0)
    assert (spec.name, spec.language) == ("첫 프로젝트", language)
    assert [task.kind for task in spec.tasks] == ["command", "coder", "reviewer", "merge", "report"]
    assert spec.by_id[TaskId("fix")].gates
    assert spec.by_id[TaskId("report")].needs == ("compile", "fix", "review", "merge")


def test_both_languages_plan_the_same() -> None:
    def without_words(spec: ProjectSpec) -> ProjectSpec:
        tasks = tuple(replace(task, prompt="") for task in spec.tasks)
        return replace(spec, goal="", language="", tasks=tasks)

    assert without_words(project("x", "en")) == without_words(project("x", "ko"))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_key_is_shown_and_explained(language: str) -> None:
    text = template("x", language)
    shown = {line.strip(" #-").split(":")[0] for line in text.splitlines() if ":" in line}
    keys = {*ProjectFile.model_fields, *BudgetFile.model_fields, *Settings.model_fields}
    assert (keys | set(TaskFile.model_fields)) - {"answers"} <= shown


def test_korean_comments_are_korean() -> None:
    comments = [line.partition("#")[2] for line in template("x", "ko").splitlines() if "# " in line]
    korean = [text for text in comments if any("가" <= char <= "힣" for char in text)]
    assert len(korean) > 0.9 * len(comments)


def test_an_unknown_language_gets_english() -> None:
    assert template("x", "fr") == template("x", "en")


def test_lines_fit_a_terminal_in_english() -> None:
    assert max(len(line) for line in template("x", "en").splitlines()) <= 100


@given(st.text(max_size=200), st.sampled_from(["en", "ko"]))
@settings(deadline=None)
def test_any_name_makes_a_right_project(name: str, language: str) -> None:
    spec = project(name, language)
    assert spec.name
    if name.isprintable() and name.strip() and len(name) < 100:
        assert spec.name == " ".join(name.split())
