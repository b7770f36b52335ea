"""Whatever a killed process leaves behind, the next one gets on with the work."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.codebase.git import find_git
from helios.codebase.processes import run_program, wait_until_idle
from helios.codebase.worktrees import GitWorkspace
from helios.domain.ids import TaskId
from helios.errors import WorkspaceError

pytestmark = pytest.mark.slow

FIX = TaskId("fix")


def _opened(workspace: GitWorkspace) -> Path:
    return asyncio.run(workspace.open(FIX, asyncio.run(workspace.prepare())))


def _entry(checkout: Path) -> Path:
    (entry,) = (checkout / ".git" / "worktrees").iterdir()
    return entry


def _index_lock(checkout: Path, folder: Path) -> None:
    (_entry(checkout) / "index.lock").touch()


def _locked_while_made(checkout: Path, folder: Path) -> None:
    (_entry(checkout) / "locked").write_text("initializing")
    (_entry(checkout) / "index").unlink()


def _folder_missing(checkout: Path, folder: Path) -> None:
    shutil.rmtree(folder)


def _folder_missing_and_locked(checkout: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    (_entry(checkout) / "locked").touch()


def _entry_missing(checkout: Path, folder: Path) -> None:
    shutil.rmtree(checkout / ".git" / "worktrees")


def _entry_broken(checkout: Path, folder: Path) -> None:
    (_entry(checkout) / "HEAD").unlink()
    (_entry(checkout) / "commondir").unlink()


def _entry_cut_short(checkout: Path, folder: Path) -> None:
    (_entry(checkout) / "commondir").write_text("")
    (_entry(checkout) / "HEAD").write_text("")


def _entry_half_made(checkout: Path, folder: Path) -> None:
    (_entry(checkout) / "gitdir").write_text("")
    (_entry(checkout) / "locked").write_text("initializing")


def _removed_by_half(checkout: Path, folder: Path) -> None:
    (folder / ".git").unlink()
    (folder / "app" / "one.py").unlink()


def _moved_aside(checkout: Path, folder: Path) -> None:
    folder.rename(folder.with_name(".gone-1-fix"))


def _file_in_its_place(checkout: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file\n")


@pytest.mark.parametrize(
    "spoil",
    [_index_lock, _locked_while_made, _folder_missing, _folder_missing_and_locked, _entry_missing,
     _entry_broken, _entry_cut_short, _entry_half_made, _removed_by_half, _moved_aside,
     _file_in_its_place],
)  # fmt: skip
def test_leftovers_of_a_kill_do_not_hinder_the_next_start(
    make: Callable[..., GitWorkspace],
    checkout: Path,
    git: Callable[..., str],
    spoil: Callable[[Path, Path], None],
) -> None:
    folder = _opened(make(path="checkout"))
    (folder / "left.txt").write_text("left\n")
    spoil(checkout, folder)
    again = make(path="checkout")
    assert _opened(again) == folder
    assert sorted(path.name for path in folder.parent.iterdir()) == ["fix"]
    assert git(folder, "status", "--porcelain") == ""
    (folder / "a.txt").write_text("1\n")
    commit = asyncio.run(again.commit(FIX, "a"))
    assert git(checkout, "diff", "--name-only", f"{commit}^", commit) == "a.txt"
    asyncio.run(again.close(FIX))


@pytest.mark.parametrize(
    "spoil", [_index_lock, _locked_while_made, _folder_missing, _entry_missing, _entry_cut_short]
)
def test_leftovers_of_a_kill_do_not_hinder_closing(
    make: Callable[..., GitWorkspace],
    checkout: Path,
    git: Callable[..., str],
    spoil: Callable[[Path, Path], None],
) -> None:
    folder = _opened(make(path="checkout"))
    spoil(checkout, folder)
    asyncio.run(make(path="checkout").close(FIX))
    assert not folder.exists()
    assert git(checkout, "worktree", "list", "--porcelain").count("worktree ") == 1


def test_another_run_mends_what_git_left_of_a_killed_one(
    make: Callable[..., GitWorkspace], checkout: Path, git: Callable[..., str]
) -> None:
    _opened(make(path="checkout", run="demo.1"))
    (_entry(checkout) / "commondir").write_text("")
    with pytest.raises(subprocess.CalledProcessError):
        git(checkout, "worktree", "list")
    asyncio.run(make(path="checkout", run="demo.2").prepare())
    assert git(checkout, "worktree", "list", "--porcelain").count("worktree ") == 2


def test_a_commit_that_was_cut_short_is_made_again(
    make: Callable[..., GitWorkspace], checkout: Path
) -> None:
    folder = _opened(make(path="checkout"))
    (folder / "a.txt").write_text("1\n")
    for name in ("index.lock", "HEAD.lock"):
        (_entry(checkout) / name).touch()
    kept = checkout / ".git" / "refs" / "helios" / "demo.1" / "tasks"
    kept.mkdir(parents=True)
    (kept / "fix.lock").touch()
    commit = asyncio.run(make(path="checkout").commit(FIX, "a"))
    assert (kept / "fix").read_text().strip() == commit


def test_a_stale_lock_on_our_branch_is_removed_and_no_other(
    make: Callable[..., GitWorkspace], checkout: Path
) -> None:
    base = asyncio.run(make(path="checkout").prepare())
    heads = checkout / ".git" / "refs" / "heads"
    (heads / "helios").mkdir()
    ours, others = heads / "helios" / "demo.1.lock", heads / "helios" / "demo.2.lock"
    for lock in (ours, others, heads / "main.lock", checkout / ".git" / "index.lock"):
        lock.touch()
    assert asyncio.run(make(path="checkout").publish(base)) == "helios/demo.1"
    assert (heads / "helios" / "demo.1").read_text().strip() == base
    assert not ours.exists()
    assert others.exists()
    assert (heads / "main.lock").exists()
    assert (checkout / ".git" / "index.lock").exists()


_WORK = """
    import asyncio, sys
    from pathlib import Path
    from helios.codebase.worktrees import GitWorkspace
    from helios.domain.ids import RunId, TaskId
    from helios.domain.workflow.spec import RepoSpec
    from helios.testing.clock import MovableClock

    async def work():
        top = Path(sys.argv[1])
        workspace = GitWorkspace(
            run=RunId("demo.1"), spec=RepoSpec(snapshot="plain"), project_dir=top,
            home=top / "h" / "runs" / "demo.1", snapshot_dir=top / "h" / "snapshots" / "demo",
            clock=MovableClock(),
        )
        print("started", flush=True)
        while True:
            base = await workspace.prepare()
            await workspace.open(TaskId("fix"), base)
            await workspace.write(TaskId("fix"), {"new.txt": "1"})
            await workspace.publish(await workspace.commit(TaskId("fix"), "고침"))
            await workspace.close(TaskId("fix"))

    asyncio.run(work())
"""


def test_killed_at_any_moment_and_started_again(
    make: Callable[..., GitWorkspace], tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for number in range(150):
        (plain / f"파일-{number}.py").write_text(f"x = {number}\n")

    async def whole(workspace: GitWorkspace) -> tuple[str, str]:
        base = await workspace.prepare()
        folder = await workspace.open(FIX, base)
        assert len(list(folder.iterdir())) == 151
        await workspace.write(FIX, {"new.txt": "1"})
        return base, await workspace.commit(FIX, "고침")

    expected = asyncio.run(whole(make(snapshot="plain", at="undisturbed")))
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for moment in (0.02, 0.06, 0.1, 0.15, 0.2, 0.3):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_WORK), str(tmp_path)],
            env=env, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        time.sleep(moment)
        process.kill()
        process.wait()
        process.stdout.close()
        assert asyncio.run(whole(make(snapshot="plain"))) == expected


def _wait_for_text(path: Path) -> None:
    for _ in range(1000):
        if path.exists() and path.read_text():
            return
        time.sleep(0.01)
    pytest.fail(f"nothing was ever written to {path}")


def test_a_cancelled_program_dies_with_all_its_children(tmp_path: Path) -> None:
    async def work() -> None:
        command = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
        env = {"PATH": "/usr/bin:/bin"}
        running = asyncio.create_task(run_program(["sh", "-c", command], env=env, cwd=tmp_path))
        await asyncio.to_thread(_wait_for_text, tmp_path / "pid")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(work())
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        status = Path(f"/proc/{child}/stat")
        if not status.exists() or status.read_text().split()[2] == "Z":
            break
        time.sleep(0.02)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        pytest.fail("the child outlived the cancellation")


def test_a_program_that_outlives_us_is_waited_for(tmp_path: Path) -> None:
    guard = tmp_path / "guard"
    script = f"""
        import asyncio, pathlib
        from helios.codebase.processes import run_program
        command = ["sh", "-c", "echo up > {tmp_path}/up; sleep 0.6; echo done > {tmp_path}/done"]
        top = pathlib.Path("{tmp_path}")
        asyncio.run(run_program(command, env={{"PATH": "/bin"}}, cwd=top, guard=top / "guard"))
    """
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], env={"PYTHONPATH": path}
    ) as process:
        _wait_for_text(tmp_path / "up")
        process.kill()
    with pytest.raises(WorkspaceError, match="still at work"):
        asyncio.run(wait_until_idle(guard, most_s=0.1))
    assert not (tmp_path / "done").exists()
    asyncio.run(wait_until_idle(guard))
    assert (tmp_path / "done").exists()
    asyncio.run(wait_until_idle(tmp_path / "never-used"))


def test_cancelled_acts_can_be_repeated(
    make: Callable[..., GitWorkspace], checkout: Path, git: Callable[..., str]
) -> None:
    workspace = make(path="checkout")

    async def work() -> str:
        base = await workspace.prepare()
        for turn in range(12):
            opening = asyncio.create_task(workspace.open(FIX, base))
            await asyncio.sleep(turn * 0.002)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        folder = await workspace.open(FIX, base)
        (folder / "a.txt").write_text("1\n")
        for turn in range(8):
            saving = asyncio.create_task(workspace.commit(FIX, "a"))
            await asyncio.sleep(turn * 0.003)
            saving.cancel()
            await asyncio.gather(saving, return_exceptions=True)
        return await workspace.commit(FIX, "a")

    commit = asyncio.run(work())
    assert git(checkout, "diff", "--name-only", f"{commit}^", commit) == "a.txt"
    assert git(checkout, "rev-list", "--count", commit) == "2"


def test_what_git_says_is_in_the_error(tmp_path: Path) -> None:
    async def work() -> None:
        git = await find_git(tmp_path)
        await git.run("cat-file", "-p", "main")

    with pytest.raises(WorkspaceError, match=r"git cat-file failed in .*: fatal: .*not a git repo"):
        asyncio.run(work())


@pytest.mark.parametrize(
    ("said", "problem"),
    [("", "git is not installed"), ("git version 2.37.9", "git version 2.37.9 is too old")],
)
def test_a_git_that_will_not_do_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, problem: str
) -> None:
    if said:
        (tmp_path / "git").write_text(f"#!/bin/sh\necho {said}\n")
        (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkspaceError, match=problem) as caught:
        asyncio.run(find_git(tmp_path))
    assert "2.38" in caught.value.next_step


def test_a_work_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"cannot start git in .*gone: No such file"):
        asyncio.run(run_program(["git"], env={"PATH": "/usr/bin"}, cwd=tmp_path / "gone"))
