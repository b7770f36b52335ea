"""The branches that carry results, whoever else has put commits on them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.codebase import publishing
from helios.codebase.publishing import Published, Unmerged
from helios.codebase.worktrees import GitWorkspace
from helios.domain.ids import TaskId

Git = Callable[..., str]
ONE, TWO, THREE = TaskId("one"), TaskId("two"), TaskId("셋")
BRANCH = "helios/demo.1"


async def _result(workspace: GitWorkspace, task: TaskId, files: dict[str, str]) -> str:
    await workspace.open(task, await workspace.prepare())
    await workspace.write(task, files)
    return await workspace.commit(task, f"{task}: did it")


def _commit_on_top(git: Git, checkout: Path) -> str:
    """Somebody's own commit on the run's branch."""
    git(checkout, "switch", "--quiet", BRANCH)
    (checkout / "mine.txt").write_text("mine\n")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=mine")
    mine = git(checkout, "rev-parse", "HEAD")
    git(checkout, "switch", "--quiet", "main")
    return mine


def test_a_commit_of_somebody_else_is_left_where_it_is(
    make: Callable[..., GitWorkspace], checkout: Path, git: Git
) -> None:
    """A fresh home gives its first run the name of an older one."""
    old = make(path="checkout", at="old")
    asyncio.run(old.publish(asyncio.run(_result(old, ONE, {"a.txt": "1\n"}))))
    mine = _commit_on_top(git, checkout)
    fresh = make(path="checkout", at="fresh")
    other = asyncio.run(_result(fresh, ONE, {"b.txt": "2\n"}))
    published = asyncio.run(fresh.publish_all({ONE: other}))
    assert published == Published(f"{BRANCH}-2", (), instead_of=BRANCH)
    assert asyncio.run(fresh.publish(other)) == f"{BRANCH}-2"
    assert git(checkout, "rev-parse", BRANCH, f"{BRANCH}-2").split() == [mine, other]


def test_the_result_of_an_older_home_is_left_where_it_is(
    make: Callable[..., GitWorkspace], checkout: Path, git: Git
) -> None:
    old, fresh = make(path="checkout", at="old"), make(path="checkout", at="fresh")
    first = asyncio.run(_result(old, ONE, {"a.txt": "1\n"}))
    assert asyncio.run(old.publish(first)) == BRANCH
    second = asyncio.run(_result(fresh, ONE, {"a.txt": "2\n"}))
    assert asyncio.run(fresh.publish(second)) == f"{BRANCH}-2"
    assert git(checkout, "rev-parse", BRANCH) == first


def test_the_branch_moves_away_from_what_the_run_itself_put_there(
    make: Callable[..., GitWorkspace], checkout: Path, git: Git
) -> None:
    async def work() -> tuple[str, str]:
        one = await _result(make(path="checkout"), ONE, {"a.txt": "1\n"})
        two = await _result(make(path="checkout"), TWO, {"b.txt": "2\n"})
        await make(path="checkout").publish_all({TWO: two, ONE: one})
        other = await make(path="checkout").publish_all({ONE: one, TWO: two})
        assert other == Published(BRANCH)
        return one, two

    one, two = asyncio.run(work())
    assert git(checkout, "rev-parse", f"{BRANCH}^1", f"{BRANCH}^2").split() == [one, two]


def test_a_branch_with_a_commit_on_top_of_the_result_is_published(
    workspace: GitWorkspace, checkout: Path, git: Git
) -> None:
    commit = asyncio.run(_result(workspace, ONE, {"a.txt": "1\n"}))
    asyncio.run(workspace.publish(commit))
    mine = _commit_on_top(git, checkout)
    assert asyncio.run(workspace.publish(commit)) == BRANCH
    assert git(checkout, "rev-parse", BRANCH) == mine


def test_a_commit_made_in_the_very_moment_is_not_lost(
    workspace: GitWorkspace, checkout: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The branch is moved only from the commit that was looked at."""
    base = asyncio.run(workspace.prepare())
    asyncio.run(workspace.publish(base))
    commit = asyncio.run(_result(workspace, ONE, {"a.txt": "1\n"}))
    whole = publishing.is_contained
    mine: list[str] = []

    async def look(repository: object, one: str, within: str) -> bool:
        found = await whole(repository, one, within)  # type: ignore[arg-type]
        if not mine:
            tree = git(checkout, "rev-parse", f"{base}^{{tree}}")
            mine.append(git(checkout, "commit-tree", tree, "-p", base, "-m", "mine"))
            git(checkout, "update-ref", f"refs/heads/{BRANCH}", *mine, base)
        return found

    monkeypatch.setattr(publishing, "is_contained", look)
    assert asyncio.run(workspace.publish(commit)) == f"{BRANCH}-2"
    assert git(checkout, "rev-parse", BRANCH, f"{BRANCH}-2").split() == [*mine, commit]


async def _three(workspace: GitWorkspace) -> dict[TaskId, str]:
    return {
        ONE: await _result(workspace, ONE, {"app/one.py": "x = 2\n"}),
        TWO: await _result(workspace, TWO, {"b.txt": "2\n"}),
        THREE: await _result(workspace, THREE, {"app/one.py": "x = 3\n"}),
    }


def test_what_does_not_merge_has_a_branch_of_its_own(
    workspace: GitWorkspace, checkout: Path, git: Git
) -> None:
    results = asyncio.run(_three(workspace))
    published = asyncio.run(workspace.publish_all(results))
    (apart,) = published.unmerged
    assert published == Published(BRANCH, (Unmerged(THREE, apart.branch, (ONE,), ("app/one.py",)),))
    assert git(checkout, "rev-parse", apart.branch) == results[THREE]
    assert apart.branch.startswith(f"{BRANCH}+")
    shown = [git(checkout, "show", f"{BRANCH}:{name}") for name in ("app/one.py", "b.txt")]
    assert shown == ["x = 2", "2"]
    assert asyncio.run(workspace.publish_all(results)) == published


def test_what_somebody_merged_by_hand_is_merged(
    workspace: GitWorkspace, checkout: Path, git: Git
) -> None:
    results = asyncio.run(_three(workspace))
    (apart,) = asyncio.run(workspace.publish_all(results)).unmerged
    git(checkout, "switch", "--quiet", BRANCH)
    git(checkout, "merge", "--quiet", "--strategy-option=theirs", "--no-edit", apart.branch)
    assert asyncio.run(workspace.publish_all(results)) == Published(BRANCH)


def test_results_on_top_of_each_other_are_told_by_the_first_task(
    workspace: GitWorkspace,
) -> None:
    async def work() -> None:
        one = await _result(workspace, ONE, {"a.txt": "1\n"})
        two = await _result(workspace, TWO, {"a.txt": "2\n"})
        checked, base = TaskId("check"), await workspace.prepare()
        results = {TaskId("look"): base, ONE: one, checked: one, TWO: two}
        (apart,) = (await workspace.publish_all(results)).unmerged
        assert (apart.task, apart.collides_with) == (TWO, (ONE,))

    asyncio.run(work())
