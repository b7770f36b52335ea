"""A run is over when its result is published: nothing that was paid for is lost before."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from helios.bootstrap.finishing import Finisher
from helios.codebase.worktrees import GitWorkspace
from helios.domain.workflow.states import RunState, TaskState
from helios.errors import RunStopping, WorkspaceError
from tests.engine.driving import HEAD, Driven, Project

pytestmark = pytest.mark.slow

CODER = "{{agent: coder, files: [a.py], editable: [a.py], prompt: {prompt}{more}}}\n"
ANSWERS = """\
about: recorded answers
answers:
- when: {contains: 'Task: left'}
  tool: submit_patch
  input: {summary: 왼쪽, edits: [{path: a.py, find: 'x = 1', replace: 'x = 2'}]}
- when: {contains: 'Task: right'}
  tool: submit_patch
  input: {summary: 오른쪽, edits: [{path: a.py, find: 'x = 1', replace: 'x = 3'}]}
"""
BOTH = f"  left: {CODER}  right: {CODER}".format(prompt="x", more="")


class Crash(BaseException):
    """The process dies here."""


def _git(folder: Path, *args: str) -> str:
    who = ["-c", "user.name=은지", "-c", "user.email=eunji@example.org"]
    ended = subprocess.run(["git", *who, *args], cwd=folder, check=True, capture_output=True)
    return ended.stdout.decode().strip()


def _repository(project: Project) -> Path:
    (place,) = (project.folder / "home" / "runs").glob("*/repository")
    return place


def _report(project: Project) -> tuple[str, dict[str, object]]:
    (folder,) = (project.folder / "home" / "runs").glob("*/report")
    data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return (folder / "report.md").read_text(encoding="utf-8"), data


def _paid(project: Project) -> int:
    """How many calls the newest run made, as its record says after all."""

    async def count() -> int:
        async with project.opened() as driven:
            return len(await driven.house.stores.runs.calls(driven.session.record.id))

    return asyncio.run(count())


async def _state(driven: Driven) -> RunState:
    record = await driven.house.stores.runs.run(driven.session.record.id)
    assert record
    return record.state


def test_what_a_crash_kept_from_being_published_is_published_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, f"  left: {CODER}".format(prompt="x", more=""), answers=ANSWERS)

    async def crash(self: Finisher) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(Finisher, "_publish", crash)
        with pytest.raises(Crash):
            project.drive()
    assert _paid(project) == 1
    before = sorted((tmp_path / "home" / "runs").iterdir())
    state, states, _, moves = project.drive()
    assert (state, states) == (RunState.DONE, {"left": TaskState.DONE})
    assert sorted((tmp_path / "home" / "runs").iterdir()) == before
    assert moves.count(("left", "running")) == 1
    markdown, data = _report(project)
    assert _git(_repository(project), "show", f"{data['branch']}:a.py") == "x = 2"
    assert data["state"] == "done"
    assert "run 1 done" in markdown


def test_results_that_do_not_merge_stop_the_run_with_everything_kept(tmp_path: Path) -> None:
    project = Project(tmp_path, BOTH, answers=ANSWERS)
    for _ in range(2):  # started again, it says the same and pays for nothing
        with pytest.raises(WorkspaceError) as caught:
            project.drive()
        assert "left and right change the same lines of a.py" in caught.value.message
        assert "`needs:`" in caught.value.next_step
        assert _paid(project) == 2
    markdown, data = _report(project)
    branch, unmerged = str(data["branch"]), data["unmerged"]
    assert unmerged == {"right": f"{branch}+right"}
    assert data["state"] == "stopped"
    assert f"branch `{branch}+right`" in markdown
    assert "left and right change the same lines of a.py" in markdown
    place = _repository(project)
    shown = [_git(place, "show", f"{name}:a.py") for name in (branch, f"{branch}+right")]
    assert shown == ["x = 2", "x = 3"]


def test_a_run_goes_on_to_its_end_when_its_results_were_merged_by_hand(tmp_path: Path) -> None:
    project = Project(tmp_path, BOTH, answers=ANSWERS)
    with pytest.raises(WorkspaceError):
        project.drive()
    _, data = _report(project)
    place, branch, mine = _repository(project), str(data["branch"]), tmp_path / "mine"
    _git(place, "worktree", "add", "--quiet", str(mine), branch)
    _git(mine, "merge", "--quiet", "-X", "theirs", "-m", "손으로", f"{branch}+right")
    assert _paid(project) == 2
    assert project.drive()[0] is RunState.DONE
    assert _report(project)[1]["unmerged"] == {}
    assert _git(place, "show", f"{branch}:a.py") == "x = 3"


def test_a_failed_merge_in_the_middle_fails_the_run_with_a_report(tmp_path: Path) -> None:
    project = Project(
        tmp_path, f"{BOTH}  both: {{action: merge, needs: [left, right]}}\n", answers=ANSWERS
    )
    state, states, reasons, _ = project.drive()
    assert (state, states["both"]) == (RunState.FAILED, TaskState.FAILED)
    assert "change the same lines of a.py" in reasons["both"]
    markdown, data = _report(project)
    assert data["unmerged"] == {"right": f"{data['branch']}+right"}
    assert "run 1 failed" in markdown


def test_a_stop_while_it_is_published_leaves_the_rest_to_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "  one: {run: 'true'}\n")

    async def stop() -> None:
        async with project.opened() as driven:

            async def slow(self: GitWorkspace, results: object) -> None:
                driven.session.engine.stop()
                await asyncio.sleep(60)

            with monkeypatch.context() as patched:
                patched.setattr(GitWorkspace, "publish_all", slow)
                async with asyncio.timeout(30):
                    with pytest.raises(RunStopping):
                        await driven.session.engine.run()
            assert await _state(driven) is RunState.STOPPED

    asyncio.run(stop())
    assert project.drive()[0] is RunState.DONE
    assert _report(project)[1]["branch"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Where the code of a project lies that has `repo: code`."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "a.py").write_text("x = 1\n", encoding="utf-8")
    (folder / ".gitignore").write_text("gen_*.py\n", encoding="utf-8")
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message=첫 커밋")
    return folder


def _on_checkout(tmp_path: Path, tasks: str, answers: str = ANSWERS) -> Project:
    (tmp_path / "code").rename(tmp_path / "repo")
    head = HEAD.replace("{snapshot: code}", "repo")
    return Project(tmp_path, tasks, head=head, answers=answers)


def _worktrees(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "repo/.git/worktrees").glob("*"), *tmp_path.glob("home/runs/*/work/*")]


def test_no_worktree_is_left_of_a_run_that_has_ended(tmp_path: Path, checkout: Path) -> None:
    tasks = f"  left: {CODER}".format(prompt="x", more=", retries: 0, gates: ['false']")
    project = _on_checkout(tmp_path, tasks)
    state, states, _, _ = project.drive()
    assert (state, states) == (RunState.FAILED, {"left": TaskState.FAILED})
    assert _worktrees(tmp_path) == []


def test_what_a_run_left_that_was_given_up_goes_with_the_next_run(
    tmp_path: Path, checkout: Path
) -> None:
    project = _on_checkout(tmp_path, "  slow: {run: sleep 30}\n  quick: {run: 'true'}\n")

    async def stop(driven: Driven) -> None:
        await driven.until(lambda states: states["slow"] is TaskState.RUNNING)
        async with asyncio.timeout(20):
            while not _worktrees(tmp_path):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        driven.session.engine.stop()
        driven.session.engine.stop()

    with pytest.raises(RunStopping):
        project.drive(stop)
    assert _worktrees(tmp_path)

    async def give_up_and_start() -> None:
        async with project.opened() as driven:
            await driven.house.book.give_up(driven.session.record, "cancelled by you")
        async with project.opened() as driven:
            assert driven.session.record.number == 2
            assert _worktrees(tmp_path) == []

    asyncio.run(give_up_and_start())


def test_a_branch_that_is_checked_out_stops_the_run_until_it_is_free(
    tmp_path: Path, checkout: Path
) -> None:
    project = _on_checkout(tmp_path, f"  left: {CODER}".format(prompt="x", more=""))

    async def name() -> str:
        async with project.opened() as driven:
            return f"helios/{driven.session.record.id}"

    branch = asyncio.run(name())
    _git(tmp_path / "repo", "switch", "--quiet", "--create", branch)
    with pytest.raises(WorkspaceError, match="is checked out"):
        project.drive()
    assert "is checked out" in str(_report(project)[1]["remarks"])
    _git(tmp_path / "repo", "switch", "--quiet", "main")
    assert project.drive()[0] is RunState.DONE
    assert _git(tmp_path / "repo", "show", f"{branch}:a.py") == "x = 2"


def test_an_answer_with_an_ignored_file_is_told_so_and_tried_again(
    tmp_path: Path, checkout: Path
) -> None:
    answers = """\
about: recorded answers
answers:
- when: {contains: 'could be no part of the result'}
  tool: submit_patch
  input: {summary: again, edits: [{path: made_x.py, find: '', replace: 'x'}]}
- when: {contains: 'Task:'}
  tool: submit_patch
  input: {summary: first, edits: [{path: gen_x.py, find: '', replace: 'x'}]}
"""
    coder = "{agent: coder, editable: ['*.py'], prompt: x, gates: ['test -f made_x.py']}"
    project = _on_checkout(tmp_path, f"  make: {coder}\n", answers=answers)
    state, _, _, _ = project.drive()
    assert state is RunState.DONE
    branch = _report(project)[1]["branch"]
    assert "made_x.py" in _git(tmp_path / "repo", "ls-tree", "--name-only", str(branch))


def test_a_new_file_overwrites_nothing_that_was_not_shown(tmp_path: Path, checkout: Path) -> None:
    """An empty `editable` allows all: then all that exists is known to the rule."""
    (checkout / "there.md").write_text("있다\n", encoding="utf-8")
    _git(checkout, "add", "--all")
    _git(checkout, "commit", "--quiet", "--message=more")
    answers = """\
about: recorded answers
answers:
- when: {contains: 'Task:'}
  tool: submit_patch
  input: {summary: first, edits: [{path: there.md, find: '', replace: 'x'}]}
"""
    coder = "{agent: coder, files: [a.py], editable: [], prompt: x, retries: 0}"
    project = _on_checkout(tmp_path, f"  make: {coder}\n", answers=answers)
    state, _, reasons, _ = project.drive()
    assert state is RunState.FAILED
    assert "the file exists" in reasons["make"]
