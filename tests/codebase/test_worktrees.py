"""A worktree a task: opened, read, written, committed, published, closed."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.codebase.worktrees import GitWorkspace
from helios.domain.ids import TaskId
from helios.errors import PatchRejected, WorkspaceError

FIX = TaskId("fix")


def _opened(workspace: GitWorkspace, task: TaskId = FIX) -> Path:
    return asyncio.run(workspace.open(task, asyncio.run(workspace.prepare())))


def test_a_worktree_is_in_the_runs_own_folder(workspace: GitWorkspace, tmp_path: Path) -> None:
    assert _opened(workspace) == tmp_path / "h" / "runs" / "demo.1" / "work" / "fix"


def test_opening_again_throws_away_what_was_there(
    workspace: GitWorkspace, git: Callable[..., str]
) -> None:
    folder = _opened(workspace)
    (folder / "app/one.py").write_text("spoiled\n")
    (folder / "left.txt").write_text("left\n")
    (folder / "closed").mkdir(mode=0o000)
    _opened(workspace)
    assert git(folder, "status", "--porcelain") == ""
    assert not (folder / "left.txt").exists()


def test_the_worktree_is_detached(workspace: GitWorkspace, git: Callable[..., str]) -> None:
    assert git(_opened(workspace), "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


def test_ten_tasks_open_at_once(
    workspace: GitWorkspace, git: Callable[..., str], checkout: Path
) -> None:
    async def work() -> list[str]:
        base = await workspace.prepare()

        async def one(number: int) -> str:
            task = TaskId(f"task-{number}")
            await workspace.open(task, base)
            await workspace.write(task, {f"{number}.txt": f"{number}\n"})
            return await workspace.commit(task, f"task {number}")

        return await asyncio.gather(*(one(number) for number in range(10)))

    commits = asyncio.run(work())
    assert len(set(commits)) == 10
    for number, commit in enumerate(commits):
        assert git(checkout, "show", f"{commit}:{number}.txt") == str(number)
        assert git(checkout, "show", "--no-patch", "--format=%s", commit) == f"task {number}"


def test_any_act_may_be_the_first_of_a_new_process(
    make: Callable[..., GitWorkspace], checkout: Path
) -> None:
    folder = _opened(make(path="checkout"))
    (folder / "a.txt").write_text("1\n")
    commit = asyncio.run(make(path="checkout").commit(FIX, "a"))
    assert asyncio.run(make(path="checkout").publish(commit)) == "helios/demo.1"
    assert "a.txt" in asyncio.run(make(path="checkout").read(FIX, ["*"]))


def test_a_task_that_was_not_opened(workspace: GitWorkspace) -> None:
    for act in (workspace.read(FIX, ["*"]), workspace.commit(FIX, "x"),
                workspace.write(FIX, {"a": ""}), workspace.analyse(FIX)):  # fmt: skip
        with pytest.raises(WorkspaceError, match="task 'fix' has no worktree"):
            asyncio.run(act)


def test_an_unknown_commit_is_told(workspace: GitWorkspace) -> None:
    for act in (workspace.open(FIX, "0" * 40), workspace.publish("--help"),
                workspace.base_for(["nope"]), workspace.diff("nope", "nope")):  # fmt: skip
        with pytest.raises(WorkspaceError, match="there is no commit"):
            asyncio.run(act)


@pytest.mark.parametrize(
    "name", ["번역/한국어", "../../up", ".", "a b\nc", "x" * 300, "a.lock", "a..b", "-f", "a:b"]
)
def test_task_ids_of_any_shape(workspace: GitWorkspace, name: str, tmp_path: Path) -> None:
    folder = _opened(workspace, TaskId(name))
    assert folder.parent == tmp_path / "h" / "runs" / "demo.1" / "work"
    (folder / "new.txt").write_text("1\n")
    asyncio.run(workspace.commit(TaskId(name), "x"))
    asyncio.run(workspace.close(TaskId(name)))
    assert not folder.exists()


def test_reading_gives_tracked_text_files_that_match(
    workspace: GitWorkspace, checkout: Path, git: Callable[..., str]
) -> None:
    (checkout / "data.bin").write_bytes(b"\0\1\2")
    (checkout / "latin.txt").write_bytes("é".encode("latin-1"))
    (checkout / "big.txt").write_text("x" * (512 * 1024 + 1))
    (checkout / "crlf.txt").write_bytes(b"a\r\nb\r\n")
    (checkout / "link.txt").symlink_to("crlf.txt")
    (checkout / os.fsdecode(b"\xff.txt")).write_text("odd name\n")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=more")
    folder = _opened(workspace)
    (folder / "untracked.txt").write_text("no\n")
    texts = asyncio.run(workspace.read(FIX, ["*"]))
    assert texts == {
        "app/one.py": "x = 1\n", "app/two.py": "y = 2\n", "crlf.txt": "a\r\nb\r\n",
        "문서/읽어보기.md": "안녕하세요\n",
    }  # fmt: skip
    assert list(texts) == sorted(texts)
    assert list(asyncio.run(workspace.read(FIX, ["app/t*.py", "문서/*.md"]))) == [
        "app/two.py", "문서/읽어보기.md",
    ]  # fmt: skip
    assert asyncio.run(workspace.read(FIX, [])) == {}


def test_reading_does_not_follow_what_an_agent_put_there(
    workspace: GitWorkspace, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "one.py").write_text("secret\n")
    (tmp_path / "secret" / "two.py").write_text("secret\n")
    folder = _opened(workspace)
    (folder / "문서" / "읽어보기.md").unlink()
    os.mkfifo(folder / "문서" / "읽어보기.md")
    (folder / "app").rename(folder / "moved")
    (folder / "app").symlink_to(tmp_path / "secret")
    assert asyncio.run(workspace.read(FIX, ["*"])) == {}


def test_writing_makes_folders_and_keeps_the_mode(workspace: GitWorkspace) -> None:
    folder = _opened(workspace)
    (folder / "app/one.py").chmod(0o755)
    asyncio.run(workspace.write(FIX, {"app/one.py": "새 내용\r\n", "깊은/폴더/파일.txt": "1"}))
    assert (folder / "app/one.py").read_bytes() == "새 내용\r\n".encode()
    assert (folder / "app/one.py").stat().st_mode & 0o777 == 0o755
    assert (folder / "깊은/폴더/파일.txt").read_text() == "1"


def test_writing_stays_in_the_worktree(workspace: GitWorkspace, tmp_path: Path) -> None:
    folder = _opened(workspace)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine\n")
    (folder / "out").symlink_to(outside)
    (folder / "file-out").symlink_to(outside / "file")
    (folder / "gitlink").symlink_to(".git")
    for path in ("../out.txt", "/tmp/out.txt", "out/x.txt", "file-out", ".git", ".git/config",
                 "app/.GIT/x", "app/../../out.txt", "", "app/", "app", "gitlink", "a\0b",
                 "app/one.py/x"):  # fmt: skip
        with pytest.raises(PatchRejected, match="cannot write"):
            asyncio.run(workspace.write(FIX, {path: "bad\n"}))
    assert [entry.name for entry in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "mine\n"
    assert not (tmp_path / "out.txt").exists()
    assert (folder / ".git").is_file()


def test_nothing_is_written_when_one_path_is_refused(workspace: GitWorkspace) -> None:
    folder = _opened(workspace)
    with pytest.raises(PatchRejected):
        asyncio.run(workspace.write(FIX, {"first.txt": "1", "../second.txt": "2"}))
    assert not (folder / "first.txt").exists()


def test_a_text_that_is_no_unicode_is_refused(workspace: GitWorkspace) -> None:
    _opened(workspace)
    with pytest.raises(PatchRejected, match="not valid Unicode"):
        asyncio.run(workspace.write(FIX, {"a.txt": "\ud800"}))


def test_no_change_is_the_commit_there_is(workspace: GitWorkspace) -> None:
    base = asyncio.run(workspace.prepare())
    _opened(workspace)
    assert asyncio.run(workspace.commit(FIX, "nothing")) == base


def test_committing_twice_is_committing_once(workspace: GitWorkspace) -> None:
    folder = _opened(workspace)
    (folder / "a.txt").write_text("1\n")
    first = asyncio.run(workspace.commit(FIX, "a"))
    assert asyncio.run(workspace.commit(FIX, "a")) == first


def test_the_same_change_gives_the_same_commit(workspace: GitWorkspace) -> None:
    folder = _opened(workspace)
    (folder / "a.txt").write_text("1\n")
    first = asyncio.run(workspace.commit(FIX, "메시지"))
    time.sleep(1.1)  # commits are dated in whole seconds
    folder = _opened(workspace)
    (folder / "a.txt").write_text("1\n")
    assert asyncio.run(workspace.commit(FIX, "메시지")) == first


def test_a_commit_is_by_helios_at_the_time_of_the_base(
    workspace: GitWorkspace, git: Callable[..., str], checkout: Path
) -> None:
    folder = _opened(workspace)
    (folder / "app/two.py").unlink()
    commit = asyncio.run(workspace.commit(FIX, "지움\n\n이유"))
    shown = git(checkout, "show", "--no-patch", "--format=%an <%ae> %cn %at %ct%n%B", commit)
    assert shown.splitlines() == [
        "Helios <helios@localhost> Helios 1750000000 1750000000", "지움", "", "이유",
    ]  # fmt: skip
    assert "two.py" not in git(checkout, "ls-tree", "-r", "--name-only", commit)


@pytest.mark.parametrize("ignored", ["", "__pycache__/\n*.pyc\n", "!*.pyc\n"])
def test_compiled_files_are_left_out(
    workspace: GitWorkspace, git: Callable[..., str], checkout: Path, ignored: str
) -> None:
    folder = _opened(workspace)
    (folder / ".gitignore").write_text(ignored)
    for name in ("__pycache__/a.cpython-311.pyc", "app/__pycache__/b.txt", "c.pyc", "app/d.pyc"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    commit = asyncio.run(workspace.commit(FIX, "x"))
    assert git(checkout, "diff", "--name-only", f"{commit}^", commit) == ".gitignore"


def test_repositories_inside_the_worktree_are_left_out_and_told(
    workspace: GitWorkspace, git: Callable[..., str], checkout: Path
) -> None:
    folder = _opened(workspace)
    for name in ("empty", "안쪽/full"):
        (folder / name).mkdir(parents=True)
        git(folder / name, "init", "--quiet")
        (folder / name / "x.txt").write_text("x\n")
    git(folder / "안쪽/full", "add", "--all")
    git(folder / "안쪽/full", "commit", "--quiet", "--message=x")
    (folder / "a.txt").write_text("1\n")
    commit = asyncio.run(workspace.commit(FIX, "x"))
    assert git(checkout, "diff", "--name-only", f"{commit}^", commit) == "a.txt"
    assert workspace.notes == (
        "task 'fix': empty/ is a Git repository of its own and was not committed",
        "task 'fix': 안쪽/full/ is a Git repository of its own and was not committed",
    )


def test_what_an_agent_makes_of_dot_git_is_not_believed(
    workspace: GitWorkspace, tmp_path: Path, git: Callable[..., str], checkout: Path
) -> None:
    ran = tmp_path / "ran"
    folder = _opened(workspace)
    (folder / ".git").unlink()
    git(folder, "init", "--quiet")
    for key in ("core.fsmonitor", "filter.evil.clean", "core.sshCommand"):
        git(folder, "config", key, f"touch {ran}")
    (folder / ".gitattributes").write_text("* filter=evil\n")
    commit = asyncio.run(workspace.commit(FIX, "x"))
    assert git(checkout, "diff", "--name-only", f"{commit}^", commit) == ".gitattributes"
    asyncio.run(workspace.read(FIX, ["*"]))
    asyncio.run(workspace.analyse(FIX))
    assert not ran.exists()


def test_a_lost_dot_git_does_not_lead_into_a_repository_around(
    make: Callable[..., GitWorkspace], tmp_path: Path, git: Callable[..., str], checkout: Path
) -> None:
    workspace = make(path="checkout", at="checkout/.helios")
    folder = _opened(workspace)
    (folder / ".git").unlink()
    (folder / "a.txt").write_text("1\n")
    commit = asyncio.run(workspace.commit(FIX, "x"))
    assert git(checkout, "diff", "--name-only", f"{commit}^", commit) == "a.txt"
    assert git(checkout, "diff", "--cached", "--name-only") == ""


def test_the_difference_is_a_unified_diff(
    workspace: GitWorkspace, git: Callable[..., str], checkout: Path
) -> None:
    git(checkout, "config", "diff.noprefix", "true")
    git(checkout, "config", "diff.external", "/bin/false")
    base = asyncio.run(workspace.prepare())
    _opened(workspace)
    asyncio.run(workspace.write(FIX, {"문서/읽어보기.md": "안녕히 가세요\n"}))
    commit = asyncio.run(workspace.commit(FIX, "x"))
    lines = asyncio.run(workspace.diff(base, commit)).splitlines()
    assert lines[0] == "diff --git a/문서/읽어보기.md b/문서/읽어보기.md"
    assert lines[-2:] == ["-안녕하세요", "+안녕히 가세요"]
    assert asyncio.run(workspace.diff(base, base)) == ""


def test_publishing_moves_the_runs_branch(
    workspace: GitWorkspace, git: Callable[..., str], checkout: Path
) -> None:
    base = asyncio.run(workspace.prepare())
    assert asyncio.run(workspace.publish(base)) == "helios/demo.1"
    folder = _opened(workspace)
    (folder / "a.txt").write_text("1\n")
    commit = asyncio.run(workspace.commit(FIX, "x"))
    assert asyncio.run(workspace.publish(commit)) == "helios/demo.1"
    assert git(checkout, "rev-parse", "refs/heads/helios/demo.1") == commit


def test_a_branch_somebody_has_checked_out_is_not_moved(
    workspace: GitWorkspace, git: Callable[..., str], checkout: Path
) -> None:
    base = asyncio.run(workspace.prepare())
    asyncio.run(workspace.publish(base))
    git(checkout, "switch", "--quiet", "helios/demo.1")
    asyncio.run(workspace.publish(base))
    folder = _opened(workspace)
    (folder / "a.txt").write_text("1\n")
    commit = asyncio.run(workspace.commit(FIX, "x"))
    with pytest.raises(WorkspaceError, match="is checked out in") as caught:
        asyncio.run(workspace.publish(commit))
    assert "another branch" in caught.value.next_step
    assert git(checkout, "rev-parse", "HEAD") == base


def test_closing_removes_the_worktree_and_can_be_repeated(
    workspace: GitWorkspace, git: Callable[..., str], checkout: Path
) -> None:
    folder = _opened(workspace)
    asyncio.run(workspace.close(FIX))
    asyncio.run(workspace.close(FIX))
    assert not folder.exists()
    assert git(checkout, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert not list((checkout / ".git" / "worktrees").iterdir())


def test_worktrees_of_the_user_are_left_alone(
    workspace: GitWorkspace, git: Callable[..., str], checkout: Path, tmp_path: Path
) -> None:
    git(checkout, "worktree", "add", "--quiet", "--detach", str(tmp_path / "away" / "fix"))
    (tmp_path / "away").rename(tmp_path / "unplugged")
    _opened(workspace)
    asyncio.run(workspace.close(FIX))
    (tmp_path / "unplugged").rename(tmp_path / "away")
    assert git(tmp_path / "away" / "fix", "status", "--porcelain") == ""
