"""The commit a task starts from contains everything it needs."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.codebase.worktrees import GitWorkspace
from helios.domain.ids import TaskId
from helios.errors import WorkspaceError


async def _change(workspace: GitWorkspace, name: str, files: dict[str, str], on: str = "") -> str:
    task = TaskId(name)
    await workspace.open(task, on or await workspace.prepare())
    await workspace.write(task, files)
    return await workspace.commit(task, f"작업 {name}")


def test_nothing_needed_is_the_runs_base(workspace: GitWorkspace) -> None:
    base = asyncio.run(workspace.prepare())
    assert asyncio.run(workspace.base_for([])) == base


def test_one_is_itself(workspace: GitWorkspace) -> None:
    one = asyncio.run(_change(workspace, "one", {"a.txt": "1\n"}))
    assert asyncio.run(workspace.base_for([one, one])) == one


def test_one_that_contains_the_others_is_taken(workspace: GitWorkspace) -> None:
    async def work() -> None:
        base = await workspace.prepare()
        one = await _change(workspace, "one", {"a.txt": "1\n"})
        two = await _change(workspace, "two", {"b.txt": "2\n"}, on=one)
        assert await workspace.base_for([one, two, base]) == two
        assert await workspace.base_for([two, one]) == two

    asyncio.run(work())


def test_others_are_merged_and_the_merge_has_the_same_id_every_time(
    make: Callable[..., GitWorkspace], checkout: Path, git: Callable[..., str]
) -> None:
    async def work(workspace: GitWorkspace) -> str:
        base = await workspace.prepare()
        changes = [
            await _change(workspace, "one", {"a.txt": "1\n"}),
            await _change(workspace, "둘", {"app/one.py": "x = 2\n"}),
            await _change(workspace, "three", {"c.txt": "3\n"}),
        ]
        return await workspace.base_for([base, *changes])

    merged = asyncio.run(work(make(path="checkout", at="first")))
    assert asyncio.run(work(make(path="checkout", at="second", run="other.3"))) == merged
    shown = [git(checkout, "show", f"{merged}:{name}") for name in ("a.txt", "app/one.py", "c.txt")]
    assert shown == ["1", "x = 2", "3"]
    assert len(git(checkout, "rev-list", f"{merged}").split()) == 6
    assert "작업 둘" in git(checkout, "show", "--no-patch", "--format=%B", f"{merged}^1")


def test_changes_of_different_lines_of_one_file_merge(
    workspace: GitWorkspace, checkout: Path, git: Callable[..., str]
) -> None:
    lines = [f"line {number}\n" for number in range(20)]
    (checkout / "long.txt").write_text("".join(lines))
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=long")

    async def work() -> str:
        top = await _change(workspace, "top", {"long.txt": "".join(["top\n", *lines[1:]])})
        end = await _change(workspace, "end", {"long.txt": "".join([*lines[:-1], "end\n"])})
        return await workspace.base_for([top, end])

    merged = git(checkout, "show", f"{asyncio.run(work())}:long.txt").splitlines()
    assert (merged[0], merged[-1]) == ("top", "end")


def test_a_conflict_names_the_files_and_the_commits_that_collide(workspace: GitWorkspace) -> None:
    async def work() -> None:
        one = await _change(
            workspace, "one", {"문서/읽어보기.md": "하나\n", "app/one.py": "x = 2\n"}
        )
        two = await _change(workspace, "two", {"other.txt": "2\n"})
        three = await _change(workspace, "three", {"문서/읽어보기.md": "셋\n"})
        with pytest.raises(WorkspaceError) as caught:
            await workspace.base_for([one, two, three])
        assert caught.value.message == (
            "these change the same lines of 문서/읽어보기.md: "
            f"'작업 one' ({one[:10]}) and '작업 three' ({three[:10]})"
        )
        assert "need the other" in caught.value.next_step

    asyncio.run(work())


def test_a_file_both_add_is_a_conflict(workspace: GitWorkspace) -> None:
    async def work() -> None:
        one = await _change(workspace, "one", {"new a.txt": "1\n", "new b.txt": "1\n"})
        two = await _change(workspace, "two", {"new a.txt": "2\n", "new b.txt": "2\n"})
        with pytest.raises(WorkspaceError, match=r"lines of new a\.txt, new b\.txt: '작업 one'"):
            await workspace.base_for([one, two])

    asyncio.run(work())
