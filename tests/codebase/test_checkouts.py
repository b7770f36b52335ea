"""A user's checkout is used, and left as it was."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.codebase.worktrees import GitWorkspace
from helios.domain.ids import TaskId
from helios.errors import WorkspaceError

FIX = TaskId("fix")


def _state(folder: Path) -> dict[str, str]:
    """Every file of a checkout but what a run may add to its repository."""
    added = (".git/objects", ".git/worktrees", ".git/refs/helios", ".git/refs/heads/helios")
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.relative_to(folder).as_posix().startswith((*added, ".git/logs/refs/heads/h"))
    }


async def _whole_run(workspace: GitWorkspace) -> str:
    base = await workspace.prepare()
    await workspace.open(FIX, base)
    await workspace.write(FIX, {"app/one.py": "x = 100\n", "새 폴더/새 파일.txt": "내용\n"})
    commit = await workspace.commit(FIX, "고침: 값을 바꿈")
    await workspace.publish(commit)
    await workspace.close(FIX)
    return commit


def test_a_run_starts_from_head(
    workspace: GitWorkspace, checkout: Path, git: Callable[..., str]
) -> None:
    assert asyncio.run(workspace.prepare()) == git(checkout, "rev-parse", "HEAD")
    assert workspace.notes == ()
    assert workspace.place == checkout


def test_the_users_checkout_index_and_settings_stay_as_they_are(
    workspace: GitWorkspace, checkout: Path, git: Callable[..., str]
) -> None:
    (checkout / "app" / "one.py").write_text("x = 'not saved'\n")
    (checkout / "staged.py").write_text("z = 3\n")
    git(checkout, "add", "staged.py")
    git(checkout, "branch", "mine")
    before = _state(checkout)
    commit = asyncio.run(_whole_run(workspace))
    assert _state(checkout) == before
    assert git(checkout, "show", f"{commit}:app/one.py") == "x = 100"
    assert git(checkout, "for-each-ref", "--format=%(refname)", "refs/heads").split() == [
        "refs/heads/helios/demo.1", "refs/heads/main", "refs/heads/mine",
    ]  # fmt: skip


def test_uncommitted_changes_are_told_and_not_taken(
    workspace: GitWorkspace, checkout: Path
) -> None:
    for name in ("a.txt", "b.txt"):
        (checkout / name).write_text("new\n")
    (checkout / "app" / "one.py").write_text("x = 5\n")
    base = asyncio.run(workspace.prepare())
    assert workspace.notes == ("3 uncommitted changes in the checkout are not part of this run",)
    folder = asyncio.run(workspace.open(FIX, base))
    assert (folder / "app" / "one.py").read_text() == "x = 1\n"
    assert not (folder / "a.txt").exists()


def test_one_uncommitted_change_is_told_in_the_singular(
    workspace: GitWorkspace, checkout: Path
) -> None:
    (checkout / "a.txt").write_text("new\n")
    asyncio.run(workspace.prepare())
    assert workspace.notes == ("1 uncommitted change in the checkout is not part of this run",)


def test_hooks_of_the_user_are_not_run(
    workspace: GitWorkspace, checkout: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    hooks = checkout / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "pre-commit", "commit-msg", "reference-transaction",
                 "post-commit", "post-index-change"):  # fmt: skip
        (hooks / name).write_text(f"#!/bin/sh\necho {name} >> {ran}\nexit 1\n")
        (hooks / name).chmod(0o755)
    asyncio.run(_whole_run(workspace))
    assert not ran.exists()


def test_settings_of_the_user_do_not_change_the_commits(
    make: Callable[..., GitWorkspace], checkout: Path, git: Callable[..., str], tmp_path: Path
) -> None:
    plain = asyncio.run(_whole_run(make(path="checkout", at="plain")))
    for setting in ("commit.gpgSign=true", "core.autocrlf=true", "user.name=누구",
                    "i18n.commitEncoding=euc-kr", "core.fsmonitor=/bin/false"):  # fmt: skip
        git(checkout, "config", *setting.split("=", 1))
    assert asyncio.run(_whole_run(make(path="checkout", at="odd"))) == plain


def test_two_runs_from_scratch_give_the_same_commit_ids(
    make: Callable[..., GitWorkspace], checkout: Path
) -> None:
    first = asyncio.run(_whole_run(make(path="checkout", at="first", run="demo.1")))
    second = asyncio.run(_whole_run(make(path="checkout", at="second", run="demo.2")))
    assert first == second


def test_any_folder_inside_the_checkout_names_it(
    make: Callable[..., GitWorkspace], checkout: Path, git: Callable[..., str]
) -> None:
    workspace = make(path="checkout/app")
    assert asyncio.run(workspace.prepare()) == git(checkout, "rev-parse", "HEAD")
    assert any(str(checkout) in note for note in workspace.notes)


def test_a_linked_worktree_of_the_user_will_do(
    make: Callable[..., GitWorkspace], checkout: Path, git: Callable[..., str], tmp_path: Path
) -> None:
    git(checkout, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side" / "new.txt").write_text("1\n")
    git(tmp_path / "side", "add", "--all")
    git(tmp_path / "side", "commit", "--quiet", "--message=side")
    commit = asyncio.run(_whole_run(make(path="side")))
    assert git(checkout, "show", f"{commit}:new.txt") == "1"
    assert git(checkout, "rev-parse", "helios/demo.1") == commit


def test_a_run_keeps_its_base_when_the_checkout_moves_on(
    make: Callable[..., GitWorkspace], checkout: Path, git: Callable[..., str]
) -> None:
    base = asyncio.run(make(path="checkout").prepare())
    (checkout / "later.txt").write_text("later\n")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=later")
    again = make(path="checkout")
    assert asyncio.run(again.prepare()) == base
    assert again.notes == (f"the checkout has moved on; this run stays with {base[:10]}",)
    assert asyncio.run(make(path="checkout", run="demo.2").prepare()) != base


def test_a_base_that_is_gone_is_told(
    make: Callable[..., GitWorkspace], checkout: Path, git: Callable[..., str], tmp_path: Path
) -> None:
    asyncio.run(make(path="checkout").prepare())
    checkout.rename(tmp_path / "old")
    checkout.mkdir()
    git(checkout, "init", "--quiet")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message=another repository")
    with pytest.raises(WorkspaceError, match="there is no commit") as caught:
        asyncio.run(make(path="checkout").prepare())
    assert "new run" in caught.value.next_step


def test_a_damaged_record_of_the_start_is_told(
    make: Callable[..., GitWorkspace], checkout: Path, tmp_path: Path
) -> None:
    asyncio.run(make(path="checkout").prepare())
    record = tmp_path / "h" / "runs" / "demo.1" / "start.json"
    for damaged in ("", "[]", "{}"):
        record.write_text(damaged)
        with pytest.raises(WorkspaceError, match="does not say where the run started"):
            asyncio.run(make(path="checkout").prepare())
    record.unlink()
    (record.parent / "start.json.new").mkdir()
    with pytest.raises(WorkspaceError, match="cannot write"):
        asyncio.run(make(path="checkout").prepare())


def test_submodules_are_told(
    make: Callable[..., GitWorkspace], checkout: Path, git: Callable[..., str], tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", str(checkout), "other")
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
        str(tmp_path / "other"), "vendored")  # fmt: skip
    git(checkout, "commit", "--quiet", "--message=submodule")
    workspace = make(path="checkout")
    base = asyncio.run(workspace.prepare())
    assert workspace.notes == ("the repository has submodules; this run sees them empty",)
    folder = asyncio.run(workspace.open(FIX, base))
    git(folder / "vendored", "init", "--quiet")
    (folder / "vendored" / "mine.txt").write_text("1\n")
    assert asyncio.run(workspace.commit(FIX, "nothing")) == base


def test_a_folder_that_is_not_there(make: Callable[..., GitWorkspace]) -> None:
    with pytest.raises(WorkspaceError, match=r"repo\.path: there is no folder") as caught:
        asyncio.run(make(path="nowhere").prepare())
    assert caught.value.next_step


def test_a_folder_that_is_not_git(make: Callable[..., GitWorkspace], tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(WorkspaceError, match="is no Git checkout") as caught:
        asyncio.run(make(path="plain").prepare())
    assert "git init" in caught.value.next_step


def test_a_repository_without_a_commit(
    make: Callable[..., GitWorkspace], tmp_path: Path, git: Callable[..., str]
) -> None:
    (tmp_path / "fresh").mkdir()
    git(tmp_path / "fresh", "init", "--quiet")
    with pytest.raises(WorkspaceError, match="has no commit yet") as caught:
        asyncio.run(make(path="fresh").prepare())
    assert "git commit" in caught.value.next_step


def test_a_bare_repository(
    make: Callable[..., GitWorkspace], tmp_path: Path, checkout: Path, git: Callable[..., str]
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(checkout), "bare.git")
    with pytest.raises(WorkspaceError, match=r"is no Git checkout.*work tree"):
        asyncio.run(make(path="bare.git").prepare())


def test_a_branch_named_helios_is_told_at_the_start(
    workspace: GitWorkspace, checkout: Path, git: Callable[..., str]
) -> None:
    git(checkout, "branch", "helios")
    with pytest.raises(WorkspaceError, match="has a branch `helios`") as caught:
        asyncio.run(workspace.prepare())
    assert "git branch -m helios" in caught.value.next_step


def test_commits_outlive_their_worktrees_and_a_clean_up(
    workspace: GitWorkspace, checkout: Path, git: Callable[..., str]
) -> None:
    async def work() -> str:
        await workspace.open(FIX, await workspace.prepare())
        await workspace.write(FIX, {"a.txt": "1\n"})
        commit = await workspace.commit(FIX, "a")
        await workspace.close(FIX)
        return commit

    commit = asyncio.run(work())
    git(checkout, "reflog", "expire", "--expire=now", "--all")
    git(checkout, "gc", "--quiet", "--prune=now")
    assert git(checkout, "show", f"{commit}:a.txt") == "1"
