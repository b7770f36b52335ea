"""One commit that contains several: found where there is one, else merged without a worktree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from helios.codebase.git import Git
from helios.domain.ids import TaskId
from helios.errors import WorkspaceError


@dataclass(frozen=True, slots=True)
class Collision:
    """A task's result that does not merge with those of other tasks, and the files it is about."""

    task: TaskId
    commit: str
    collides_with: tuple[TaskId, ...]
    files: tuple[str, ...]


async def gather(git: Git, results: Mapping[TaskId, str]) -> tuple[str, tuple[Collision, ...]]:
    """The commit that contains as many results (by task, at least one) as merge with each other.

    What does not merge with those before it is left out and told.
    """
    commits = {task: await git.commit_id(commit) for task, commit in results.items()}
    newest = set((await git.run("merge-base", "--independent", *commits.values())).split())
    tasks: dict[str, TaskId] = {}
    for task, commit in commits.items():
        if commit in newest:
            tasks.setdefault(commit, task)
    first, *others = tasks
    merged, result = [first], first
    collisions: list[Collision] = []
    for commit in others:
        tree, files = await _merge_tree(git, result, commit)
        if files:
            culprits = await _culprits(git, commit, merged)
            names = tuple(tasks[one] for one in culprits)
            collisions.append(Collision(tasks[commit], commit, names, files))
        else:
            result = await _commit_merge(git, tree, result, commit)
            merged.append(commit)
    return result, tuple(collisions)


async def containing_commit(git: Git, commits: Sequence[str]) -> str:
    """The commit that contains all of these (at least one); the same ids give the same id.

    Raises:
        WorkspaceError: two of them change the same lines; names the files and both subjects.
    """
    wanted = list(dict.fromkeys([await git.commit_id(commit) for commit in commits]))
    if len(wanted) == 1:
        return wanted[0]
    newest = set((await git.run("merge-base", "--independent", *wanted)).split())
    first, *others = [commit for commit in wanted if commit in newest]
    merged, result = [first], first
    for commit in others:
        result = await _merge(git, result, commit, merged)
        merged.append(commit)
    return result


async def _merge(git: Git, ours: str, theirs: str, merged: Sequence[str]) -> str:
    tree, conflicts = await _merge_tree(git, ours, theirs)
    if conflicts:
        raise await _conflict(git, theirs, conflicts, merged)
    return await _commit_merge(git, tree, ours, theirs)


async def _commit_merge(git: Git, tree: str, ours: str, theirs: str) -> str:
    subjects = f"{await _subject(git, ours)}\n{await _subject(git, theirs)}"
    message = f"Merge {theirs[:10]} into {ours[:10]}\n\n{subjects}\n"
    return await git.run(
        "commit-tree", tree, "-p", ours, "-p", theirs, stdin=message.encode(errors="replace")
    )


async def _merge_tree(git: Git, ours: str, theirs: str) -> tuple[str, tuple[str, ...]]:
    """The merged tree, and the files that do not merge."""
    ended = await git.attempt(
        "merge-tree", "--write-tree", "--name-only", "-z", "--no-messages", ours, theirs,
        accept=(0, 1),
    )  # fmt: skip
    tree, *rest = ended.out.decode(errors="replace").split("\0")
    return tree.strip(), tuple(dict.fromkeys(path for path in rest if path)) if ended.code else ()


async def _conflict(
    git: Git, theirs: str, conflicts: Sequence[str], merged: Sequence[str]
) -> WorkspaceError:
    names = [await _named(git, one) for one in [*await _culprits(git, theirs, merged), theirs]]
    return WorkspaceError(
        f"these change the same lines of {', '.join(conflicts)}: {' and '.join(names)}",
        next_step="Let one of the tasks need the other (`needs:`), or let them change different "
        "files.",
    )


async def _culprits(git: Git, theirs: str, merged: Sequence[str]) -> Sequence[str]:
    """The commits that one collides with by itself, not the merge they are already part of."""
    return [one for one in merged if (await _merge_tree(git, one, theirs))[1]] or merged


async def _named(git: Git, commit: str) -> str:
    return f"{await _subject(git, commit)!r} ({commit[:10]})"


async def _subject(git: Git, commit: str) -> str:
    subject = await git.run("show", "--no-patch", "--format=%s", commit)
    return subject.encode(errors="surrogateescape").decode(errors="replace")
