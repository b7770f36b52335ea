"""The repository of one run: a Git worktree a task, and a branch for the result."""

import asyncio
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from helios.codebase.entries import find_entry, forget_below, forget_entry, mend_entries
from helios.codebase.files import read_texts, refused, write_texts
from helios.codebase.folders import discard, make_folder, safe_name, sweep
from helios.codebase.git import Git, find_git
from helios.codebase.merging import containing_commit, gather
from helios.codebase.processes import run_program, uncut, wait_until_idle
from helios.codebase.publishing import Published, Unmerged, is_contained, publish_commit
from helios.codebase.repositories import Repository, RunRefs, Source, open_repository, set_ref
from helios.domain.ids import RunId, TaskId
from helios.domain.workflow.spec import RepoSpec
from helios.errors import WorkspaceError
from helios.ports.clock import Clock

_START, _PUBLISHED = "start.json", "published.json"
_LINK, _SUBMODULE = "120000", "160000"
_NEVER_COMMITTED = (":(exclude,glob)**/__pycache__/**", ":(exclude,glob)**/*.pyc")


class GitWorkspace:
    """`ports.workspace.Workspace` on Git.

    The user's checkout, index, settings and hooks are never touched. What is written to their
    repository: objects, entries under `.git/worktrees`, the branch `helios/<run>`, and refs
    under `refs/helios/<run>/` that keep commits of the run alive. Where the code is no
    checkout, a bare repository at `snapshot_dir` takes its place.

    Every act readies the repository by itself, so a process that takes over a run after a
    crash may begin with any of them.
    """

    def __init__(
        self,
        *,
        run: RunId,
        spec: RepoSpec,
        project_dir: Path,
        home: Path,
        snapshot_dir: Path,
        clock: Clock,
    ) -> None:
        self._refs = RunRefs(run)
        self._home = home.resolve()
        self._source = Source(
            self._refs, spec, project_dir.resolve(), self._home, snapshot_dir.resolve()
        )
        self._clock = clock
        self._ready: Repository | None = None
        self._left_out: dict[str, tuple[str, ...]] = {}
        self._preparing = asyncio.Lock()
        self._sharing = asyncio.Lock()
        self._tasks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know about the code of this run, a sentence each."""
        ready = self._ready.notes if self._ready else ()
        return (*ready, *(note for notes in self._left_out.values() for note in notes))

    @property
    def place(self) -> Path | None:
        """Where the branch is found: the user's checkout or our own repository, once ready."""
        return self._ready.place if self._ready else None

    async def prepare(self) -> str:
        """Make the repository ready; the commit the run starts from, the same at every start.

        Raises:
            WorkspaceError: the project file names no usable repository; says what to do.
        """
        async with self._preparing:
            self._ready = await self._prepare()
            return self._ready.base

    async def base_for(self, commits: Sequence[str]) -> str:
        """The commit that contains all of these: the run's base, the newest, or a merge.

        Raises:
            WorkspaceError: they change the same lines; names the files and the commits.
        """
        repository = await self._repository()
        return await containing_commit(repository.git, commits or [repository.base])

    async def open(self, task: TaskId, base: str) -> Path:
        """A clean worktree of `base` for a task; whatever was there is thrown away."""
        repository = await self._repository()
        folder = self._folder(task)
        async with self._tasks[folder.name]:
            commit = await repository.git.commit_id(base)
            await wait_until_idle(self._guard(task))
            await discard(folder)
            async with self._sharing:
                await uncut(self._add(repository.git, task, commit))
            await self._bound(repository.git, task).run("reset", "--quiet", "--hard")
            return folder

    async def read(self, task: TaskId, patterns: Sequence[str]) -> Mapping[str, str]:
        """The tracked UTF-8 text files of at most 512 KiB that match these globs, by path.

        Globs are those of `fnmatch`: `*` also matches `/`. Links are not followed.
        """
        tracked = [path for path, mode in (await self._tracked(task)).items() if mode != _LINK]
        return await asyncio.to_thread(read_texts, self._folder(task), tracked, patterns)

    async def write(self, task: TaskId, files: Mapping[str, str]) -> None:
        """Write files into a task's worktree, none of which `commit` would leave out.

        Raises:
            PatchRejected: a path is not to be written: it leaves the worktree, enters `.git` or a
                submodule, passes a link, is ignored, or what is there was never given by `read`.
            WorkspaceError: a file cannot be written.
        """
        git = await self._tree(task)
        tracked = await self._tracked(task)
        modules = [f"{path}/" for path, mode in tracked.items() if mode == _SUBMODULE]
        for path in files:
            if path.startswith(tuple(modules)):
                raise refused(path, "it is in a submodule")
            if "__pycache__" in path.split("/") or path.endswith(".pyc"):
                raise refused(path, "Python's compiled files are never committed")
        # Not in a thread: a thread that outlives a cancelled task could write into the next
        # worktree of the same name.
        write_texts(self._folder(task), files, tracked=tracked)
        names = b"\0".join(map(os.fsencode, files))
        ended = await git.attempt("check-ignore", "-z", "--stdin", stdin=names, accept=(0, 1))
        if ended.out:
            path = os.fsdecode(ended.out.split(b"\0")[0])
            raise refused(path, "`.gitignore` names it, so it could be no part of the result")

    async def commit(self, task: TaskId, message: str) -> str:
        """Commit everything in the worktree; the same commit id for the same content.

        Left out: what the repository ignores, Python's compiled files, and folders that are
        Git repositories of their own (told in `notes`). They are removed: afterwards the
        worktree is what a checkout of the commit would be.
        """
        repository = await self._repository()
        async with self._tasks[self._folder(task).name]:
            git = await self._tree(task)
            await wait_until_idle(self._guard(task))
            self._unlock(git)
            paths = [".", *_NEVER_COMMITTED, *(await self._foreign(task, git))]
            await git.run(
                "add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul",
                stdin=b"\0".join(map(os.fsencode, paths)),
            )  # fmt: skip
            commit = await self._commit_index(git, message)
            await self._become(git, commit)
            async with self._sharing:
                await set_ref(repository.git, self._refs.task(safe_name(task)), commit)
            return commit

    async def diff(self, base: str, commit: str) -> str:
        """What changed, as a unified diff."""
        git = (await self._repository()).git
        ended = await git.attempt(
            "diff-tree", "-r", "-p", "-M", "--no-ext-diff", "--no-textconv", "--no-color",
            await git.commit_id(base), await git.commit_id(commit),
        )  # fmt: skip
        return ended.out.decode(errors="replace")

    async def analyse(self, task: TaskId) -> Mapping[str, Any]:
        """Static analysis of a task's worktree; see `codebase.analysis.analyse`.

        In a process of its own: it keeps the loop free, and a file made to break Python's
        parser breaks only that.
        """
        git = await self._tree(task)
        listed = await git.attempt("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        path = os.pathsep.join(entry for entry in sys.path if entry)
        ended = await run_program(
            [sys.executable, "-P", "-W", "ignore", "-m", "helios.codebase.analysis",
             str(self._folder(task))],
            env={"PYTHONPATH": path, "PYTHONUTF8": "1"}, cwd=Path.cwd(), stdin=listed.out,
        )  # fmt: skip
        if ended.code:
            raise WorkspaceError(f"the analysis of task {task!r} failed: {ended.last_words}")
        report: dict[str, Any] = json.loads(ended.out)
        return report

    async def publish(self, commit: str) -> str:
        """Let the run's branch contain a commit; the branch's name.

        It is another name where somebody else's commit is on the branch; see `publish_commit`.

        Raises:
            WorkspaceError: the branch is checked out somewhere, where moving it would do harm.
        """
        git = (await self._repository()).git
        return await self._publish(git, self._refs.branch, await git.commit_id(commit))

    async def publish_all(self, results: Mapping[TaskId, str]) -> Published:
        """Publish the results of tasks (at least one), those they build upon first.

        What does not merge with the results before it gets a branch of its own, unless somebody
        has merged it into the run's branch by hand.

        Raises:
            WorkspaceError: see `publish`.
        """
        git = (await self._repository()).git
        commit, collisions = await gather(git, results)
        branch = await self._publish(git, self._refs.branch, commit)
        unmerged = [
            Unmerged(
                one.task,
                await self._publish(git, self._refs.branch_of(one.task), one.commit),
                one.collides_with,
                one.files,
            )
            for one in collisions
            if not await is_contained(git, one.commit, f"refs/heads/{branch}")
        ]
        wanted = self._refs.branch
        return Published(branch, tuple(unmerged), "" if branch == wanted else wanted)

    async def tidy(self) -> None:
        """Remove all worktrees of this run; its commits stay."""
        await self.tidy_earlier([self._home])

    async def tidy_earlier(self, homes: Iterable[Path]) -> None:
        """Remove the worktrees that runs left which nobody drives any more, by their homes."""
        git = (await self._repository()).git
        for home in homes:
            work = home.resolve() / "work"
            if not work.is_dir():
                continue
            for folder in sorted(work.iterdir()):
                await wait_until_idle(home / "locks" / folder.name)
                await discard(folder)
            async with self._sharing:
                forget_below(git.directory, work)

    async def close(self, task: TaskId) -> None:
        """Remove a task's worktree; its commits stay."""
        git = (await self._repository()).git
        folder = self._folder(task)
        async with self._tasks[folder.name]:
            await wait_until_idle(self._guard(task))
            await discard(folder)
            async with self._sharing:
                forget_entry(git.directory, folder)

    async def _repository(self) -> Repository:
        async with self._preparing:
            if self._ready is None:
                self._ready = await self._prepare()
            return self._ready

    async def _prepare(self) -> Repository:
        work = self._home / "work"
        for folder in (work, self._home / "locks"):
            make_folder(folder)
        await sweep(work)
        guard = self._home / "locks" / ".repository"
        await wait_until_idle(guard)
        git = (await find_git(self._home)).guarded(guard)
        started = self._started()
        repository = await open_repository(git, self._source, started)
        mend_entries(repository.git.directory, self._home.parent)
        if started is None:
            self._record(repository.base)
        async with self._sharing:
            await set_ref(repository.git, self._refs.base, repository.base)
        return repository

    def _started(self) -> str | None:
        record = self._home / _START
        if not record.exists():
            return None
        try:
            return str(json.loads(record.read_text(encoding="utf-8"))["commit"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(
                f"{record} does not say where the run started from: {error!r}",
                next_step="Start a new run.",
            ) from error

    def _record(self, base: str) -> None:
        self._save(_START, {"commit": base, "at": self._clock.now()})

    def _save(self, name: str, data: object) -> None:
        fresh = self._home / f"{name}.new"
        try:
            fresh.write_text(json.dumps(data), encoding="utf-8")
            fresh.replace(self._home / name)
        except OSError as error:
            raise WorkspaceError(
                f"cannot write {self._home / name}: {error.strerror}",
                next_step="Give Helios a home it can write to, with room left.",
            ) from error

    async def _publish(self, git: Git, branch: str, commit: str) -> str:
        """Noted before it is done, so that after a crash the branch is known to be ours."""
        async with self._sharing:
            try:
                ours = json.loads((self._home / _PUBLISHED).read_text(encoding="utf-8"))
            except (FileNotFoundError, ValueError):
                ours = []  # then our branch counts as somebody else's, which loses nothing
            if commit not in ours:
                self._save(_PUBLISHED, [*ours, commit])
            return await publish_commit(git, branch, commit, ours=ours)

    async def _add(self, git: Git, task: TaskId, commit: str) -> None:
        """Make a worktree without files; cut short, it could harm the user's repository."""
        folder = self._folder(task)
        forget_entry(git.directory, folder)
        mend_entries(git.directory, self._home.parent)
        await git.guarded(self._guard(task)).run(
            "worktree", "add", "--detach", "--no-checkout", str(folder), commit
        )

    def _folder(self, task: TaskId) -> Path:
        return self._home / "work" / safe_name(task)

    def _guard(self, task: TaskId) -> Path:
        """Held by every Git that works on a task: one may outlive a process that was killed."""
        return self._home / "locks" / safe_name(task)

    async def _tree(self, task: TaskId) -> Git:
        return self._bound((await self._repository()).git, task)

    def _bound(self, git: Git, task: TaskId) -> Git:
        """Git bound to a task's worktree by our own records, not by the worktree's `.git`."""
        folder = self._folder(task)
        entry = find_entry(git.directory, folder)
        if entry is None or not folder.is_dir():
            raise WorkspaceError(
                f"task {task!r} has no worktree", next_step="It has to be opened first."
            )
        return git.at(entry, folder).guarded(self._guard(task))

    @staticmethod
    def _unlock(git: Git) -> None:
        """Remove the locks that a Git killed in this worktree left."""
        for name in ("index.lock", "HEAD.lock"):
            (git.directory / name).unlink(missing_ok=True)

    async def _tracked(self, task: TaskId) -> dict[str, str]:
        """The mode of each tracked file whose name is valid UTF-8."""
        git = await self._tree(task)
        listed = await git.attempt("ls-files", "-z", "--stage")
        modes: dict[str, str] = {}
        for line in listed.out.split(b"\0")[:-1]:
            head, _, path = line.partition(b"\t")
            try:
                modes[path.decode()] = head.split()[0].decode()
            except UnicodeDecodeError:
                continue  # such a name cannot be told to a model, nor come back from one
        return modes

    async def _foreign(self, task: TaskId, git: Git) -> list[str]:
        """Pathspecs that keep out repositories inside the worktree, submodules among them.

        To Git they are a pointer without content, and looking into them would run what their
        own settings say.
        """
        listed = await git.attempt("ls-files", "-z", "--others", "--exclude-standard")
        names = map(os.fsdecode, listed.out.split(b"\0"))
        nested = [name.rstrip("/") for name in names if name.endswith("/")]
        self._left_out[task] = tuple(
            f"task {task!r}: {name}/ is a Git repository of its own and was not committed"
            for name in nested
        )
        tracked = await self._tracked(task)
        modules = [path for path, mode in tracked.items() if mode == _SUBMODULE]
        return [f":(exclude,literal){name}" for name in (*nested, *modules)]

    @staticmethod
    async def _commit_index(git: Git, message: str) -> str:
        head, before = (await git.run("rev-parse", "HEAD", "HEAD^{tree}")).split()
        tree = await git.run("write-tree")
        if tree == before:
            return head
        text = f"{message.strip()}\n".replace("\0", "").encode(errors="replace")
        commit = await git.run("commit-tree", tree, "-p", head, stdin=text)
        await git.run("update-ref", "--no-deref", "HEAD", commit)
        return commit

    @staticmethod
    async def _become(git: Git, commit: str) -> None:
        """Make the worktree what a checkout of the commit would be: gates judge what is in it."""
        await git.run("clean", "-ffdxq")
        changed = await git.attempt(
            "diff-tree", "-r", "-z", "--no-commit-id", "--name-only", "--no-renames",
            "--diff-filter=AM", "--ignore-submodules", commit,
        )  # fmt: skip
        for name in changed.out.split(b"\0")[:-1]:
            (git.cwd / os.fsdecode(name)).unlink()
        await git.run("checkout-index", "--force", "-z", "--stdin", stdin=changed.out)
