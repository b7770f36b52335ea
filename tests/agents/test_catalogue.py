"""Roles from files: ours, other tools' unchanged, and broken ones."""

from pathlib import Path

import pytest

from helios.agents.catalogue import builtin_roles, load_roles
from helios.agents.outputs import answer_shape, read_patch, read_review
from helios.errors import BadOutput, UsageError


def test_the_shipped_roles_load() -> None:
    roles = builtin_roles()
    assert {"coder", "reviewer"} <= set(roles)
    for role in roles.values():
        assert role.about
        assert role.instructions
        assert answer_shape(role.output).shape.__doc__


def test_an_agent_file_of_another_tool_is_used_unchanged(tmp_path: Path) -> None:
    (tmp_path / "tester.md").write_text(
        "---\nname: tester\ndescription: 테스트를 씁니다\ntools: Read, Grep\nmodel: sonnet\n"
        "color: blue\n---\nYou write tests.\n",
        encoding="utf-8",
    )
    (tmp_path / "README.md").write_text("# About these agents\n", encoding="utf-8")
    roles = load_roles(tmp_path)
    assert roles["tester"].about == "테스트를 씁니다"
    assert roles["tester"].instructions == "You write tests."
    assert roles["tester"].output == "patch"
    assert set(roles) == {*builtin_roles(), "tester"}


@pytest.mark.parametrize(
    "text",
    [
        "---\nname: x\n",
        "---\nname: [\n---\n",
        "---\n- a\n---\n",
        "---\nname: x\noutput: poem\n---\n",
    ],
)
def test_a_broken_agent_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.md").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"broken\.md"):
        load_roles(tmp_path)


def test_answers_are_read_strictly() -> None:
    patch = read_patch({"summary": "s", "edits": [{"path": "a", "find": "b", "replace": "c"}]})
    assert patch.edits[0].find == "b"
    for wrong in (None, {}, {"summary": "s", "edits": []}, {"summary": 1, "edits": [{}]}):
        with pytest.raises(BadOutput):
            read_patch(wrong)
    grave = {"path": "a", "severity": "error", "note": "no"}
    review = read_review({"verdict": "approve", "summary": "s", "findings": [grave]})
    assert not review.approve
