"""A plain folder, or nothing at all, becomes a repository of its own."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.codebase.worktrees import GitWorkspace
from helios.domain.ids import TaskId
from helios.errors import WorkspaceError

TASK = TaskId("일")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A folder without Git, with everything that must be left out."""
    folder = tmp_path / "plain"
    for inner in ("app/__pycache__", ".git", ".venv/lib", "하위"):
        (folder / inner).mkdir(parents=True)
    (folder / "app/main.py").write_text("print('안녕')\n", encoding="utf-8")
    (folder / "app/run.sh").write_text("#!/bin/sh\n")
    (folder / "app/run.sh").chmod(0o755)
    (folder / "하위/파일 이름.txt").write_text("내용\r\n", encoding="utf-8", newline="")
    (folder / 'quote"back\\slash\nline.txt').write_text("odd\n")
    (folder / "data.bin").write_bytes(bytes(range(256)))
    for left_out in ("app/__pycache__/main.pyc", ".git/config", ".venv/lib/x.py"):
        (folder / left_out).write_text("left out\n")
    (folder / "link.py").symlink_to("app/main.py")
    (folder / "out.txt").symlink_to("/etc/hostname")
    (folder / "app/up").symlink_to("../../elsewhere")
    (folder / "app/round").symlink_to("../../plain/app/main.py")
    (folder / "loop").symlink_to("loop")
    return folder


def _names(git: Callable[..., str], repository: Path, commit: str) -> list[str]:
    return git(repository, "ls-tree", "-r", "-z", "--name-only", commit).split("\0")[:-1]


def test_the_folder_is_the_first_commit(
    make: Callable[..., GitWorkspace], plain: Path, git: Callable[..., str]
) -> None:
    workspace = make(snapshot="plain")
    base = asyncio.run(workspace.prepare())
    assert workspace.place is not None
    assert _names(git, workspace.place, base) == [
        "app/main.py", "app/run.sh", "data.bin", "link.py", "loop",
        'quote"back\\slash\nline.txt', "하위/파일 이름.txt",
    ]  # fmt: skip
    modes = git(workspace.place, "ls-tree", "-r", base, "app/run.sh", "link.py").splitlines()
    assert [line.split()[0] for line in modes] == ["100755", "120000"]
    assert workspace.notes == (f"3 symbolic links that lead out of {plain} left out",)


def test_bytes_are_kept(make: Callable[..., GitWorkspace], plain: Path) -> None:
    workspace = make(snapshot="plain")
    folder = asyncio.run(workspace.open(TASK, asyncio.run(workspace.prepare())))
    assert (folder / "data.bin").read_bytes() == bytes(range(256))
    assert (folder / "하위/파일 이름.txt").read_bytes() == "내용\r\n".encode()


def test_the_same_folder_gives_the_same_commit_anywhere(
    make: Callable[..., GitWorkspace], plain: Path, tmp_path: Path
) -> None:
    first = asyncio.run(make(snapshot="plain", at="a").prepare())
    shutil.copytree(plain, tmp_path / "copy" / "plain", symlinks=True)
    second = asyncio.run(make(snapshot="copy/plain", at="b", run="demo.2").prepare())
    assert first == second
    (plain / "app/main.py").write_text("changed\n")
    assert asyncio.run(make(snapshot="plain", at="c").prepare()) != first


def test_a_later_run_of_the_same_repository_sees_the_folder_as_it_is_then(
    make: Callable[..., GitWorkspace], plain: Path
) -> None:
    first = asyncio.run(make(snapshot="plain").prepare())
    (plain / "new.txt").write_text("new\n")
    assert asyncio.run(make(snapshot="plain").prepare()) == first
    assert asyncio.run(make(snapshot="plain", run="demo.2").prepare()) != first


def test_a_started_run_no_longer_needs_the_folder(
    make: Callable[..., GitWorkspace], plain: Path
) -> None:
    base = asyncio.run(make(snapshot="plain").prepare())
    shutil.rmtree(plain)
    assert asyncio.run(make(snapshot="plain").prepare()) == base


@pytest.mark.parametrize(
    "left",
    [
        ["HEAD"],
        ["HEAD", "config", "objects/pack/tmp_pack_1"],
        ["config.lock"],
        ["helios-ready"],
        ["helios-ready", "HEAD", "objects/ab/tmp_obj_1"],
    ],
)
def test_a_half_made_repository_is_made_again(
    make: Callable[..., GitWorkspace], plain: Path, tmp_path: Path, left: list[str]
) -> None:
    whole = asyncio.run(make(snapshot="plain", at="whole").prepare())
    half = tmp_path / "half" / "snapshots" / "demo"
    for name in left:
        (half / name).parent.mkdir(parents=True, exist_ok=True)
        (half / name).write_text("")
    (half.parent / ".new-demo.1-demo").mkdir()
    workspace = make(snapshot="plain", at="half")
    assert asyncio.run(workspace.prepare()) == whole
    asyncio.run(workspace.open(TASK, whole))


def test_many_runs_may_make_the_repository_at_once(
    make: Callable[..., GitWorkspace], plain: Path
) -> None:
    async def work(at: str) -> list[str]:
        workspaces = [
            make(snapshot="plain", at=at, run=f"demo.{number}") for number in range(1, 13)
        ]
        return await asyncio.gather(*(workspace.prepare() for workspace in workspaces))

    for number in range(4):
        assert len(set(asyncio.run(work(f"h{number}")))) == 1


def test_a_place_for_the_repository_that_cannot_be_had_is_told(
    make: Callable[..., GitWorkspace], plain: Path, tmp_path: Path
) -> None:
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "snapshots").write_text("a file\n")
    with pytest.raises(WorkspaceError, match="cannot make the folder"):
        asyncio.run(make(snapshot="plain").prepare())


def test_a_lost_repository_is_made_again_with_the_same_base(
    make: Callable[..., GitWorkspace], plain: Path, tmp_path: Path
) -> None:
    base = asyncio.run(make(snapshot="plain").prepare())
    shutil.rmtree(tmp_path / "h" / "snapshots" / "demo" / "objects")
    assert asyncio.run(make(snapshot="plain").prepare()) == base


def test_a_lost_repository_of_a_changed_folder_is_told(
    make: Callable[..., GitWorkspace], plain: Path, tmp_path: Path
) -> None:
    asyncio.run(make(snapshot="plain").prepare())
    shutil.rmtree(tmp_path / "h" / "snapshots")
    (plain / "app/main.py").write_text("changed\n")
    with pytest.raises(WorkspaceError, match=r"is lost, and .* has changed") as caught:
        asyncio.run(make(snapshot="plain").prepare())
    assert caught.value.next_step == "Start a new run."


def test_a_stale_lock_on_the_base_is_removed(
    make: Callable[..., GitWorkspace], plain: Path, tmp_path: Path
) -> None:
    base = asyncio.run(make(snapshot="plain").prepare())
    repository = tmp_path / "h" / "snapshots" / "demo"
    (repository / "refs/helios/demo.1/base.lock").touch()
    (tmp_path / "h/runs/demo.1/start.json").unlink()
    assert asyncio.run(make(snapshot="plain").prepare()) == base


def test_our_own_folders_inside_the_project_are_not_taken(
    make: Callable[..., GitWorkspace], tmp_path: Path, git: Callable[..., str]
) -> None:
    (tmp_path / "project.txt").write_text("1\n")
    workspace = make(snapshot=".")
    base = asyncio.run(workspace.prepare())
    assert _names(git, workspace.place, base) == ["project.txt"]
    assert asyncio.run(make(snapshot=".", run="demo.1").prepare()) == base


def test_a_folder_that_is_not_there(make: Callable[..., GitWorkspace]) -> None:
    with pytest.raises(WorkspaceError, match=r"repo\.snapshot: there is no folder") as caught:
        asyncio.run(make(snapshot="nowhere").prepare())
    assert caught.value.next_step


def test_a_project_without_code_has_an_empty_first_commit(
    make: Callable[..., GitWorkspace], git: Callable[..., str]
) -> None:
    workspace = make()
    base = asyncio.run(workspace.prepare())
    assert _names(git, workspace.place, base) == []
    assert base == asyncio.run(make(at="elsewhere", run="other.7").prepare())

    async def work() -> str:
        await workspace.open(TASK, base)
        await workspace.write(TASK, {"보고서.md": "# 제목\n"})
        return await workspace.publish(await workspace.commit(TASK, "보고서"))

    branch = asyncio.run(work())
    assert git(workspace.place, "show", f"{branch}:보고서.md") == "# 제목"


def test_the_repository_can_be_cloned(
    make: Callable[..., GitWorkspace], plain: Path, tmp_path: Path, git: Callable[..., str]
) -> None:
    workspace = make(snapshot="plain")
    asyncio.run(workspace.prepare())
    git(tmp_path, "clone", "--quiet", str(workspace.place), "cloned")
    assert (tmp_path / "cloned" / "app" / "main.py").exists()


def test_a_file_that_cannot_be_read_is_told(make: Callable[..., GitWorkspace], plain: Path) -> None:
    (plain / "data.bin").chmod(0)
    if os.access(plain / "data.bin", os.R_OK):
        pytest.skip("this user may read everything")
    (plain / "data.bin").unlink()
    for name in ("app/main.py", "하위"):
        (plain / name).chmod(0)
        with pytest.raises(WorkspaceError, match=r"cannot (read|list) .*: Permission denied"):
            asyncio.run(make(snapshot="plain").prepare())
        (plain / name).chmod(0o755)
