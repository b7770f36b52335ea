"""What comes of a run: its branches and its report, and a repository left in order."""

from pathlib import Path

from helios.bootstrap.house import House
from helios.codebase.publishing import Published, Unmerged
from helios.codebase.worktrees import GitWorkspace
from helios.domain.workflow.graph import Graph
from helios.domain.workflow.states import RunState
from helios.errors import HeliosError, WorkspaceError
from helios.ports.runs import RunRecord
from helios.services.reports import Result, make_report
from helios.services.summary import in_state


class Finisher:
    """Publishes a run's result and writes its report; may be asked again at any time."""

    def __init__(
        self, house: House, record: RunRecord, graph: Graph, workspace: GitWorkspace
    ) -> None:
        self._house = house
        self._record = record
        self._graph = graph
        self._workspace = workspace
        self.result = Result()

    async def conclude(self, state: RunState) -> None:
        """Publish, report and clear up before the record says that a run has ended like this.

        Raises:
            WorkspaceError: something of it failed, or the results of a run that is done do not
                merge; the run is not over then.
        """
        problem = await self.publish_as_it_stands()
        if problem is None and state is RunState.DONE and self.result.apart:
            problem = self._not_merged()
        await self.report(RunState.STOPPED if problem else state)
        await self._workspace.tidy()
        if problem:
            raise problem

    async def publish_as_it_stands(self) -> HeliosError | None:
        """Publish what there is so far; what hinders it is also told in the report."""
        try:
            await self._publish()
        except HeliosError as error:
            self.result = Result(remarks=(f"not published: {error.in_full}",))
            return error
        return None

    async def report(self, state: RunState | None = None) -> Path:
        """Write report.md and report.json, of a run in this state; the path of the first."""
        summary = await self._house.summary(self._record)
        shown = in_state(summary, state) if state else summary
        report = await make_report(shown, self._house.stores.runs, self.result)
        return report.write(self._house.run_home(self._record.id) / "report")

    async def publish_and_report(self) -> str:
        """Both, as the `report` action asks for; what came of it in a sentence."""
        await self._publish()
        await self.report()
        branch = self.result.branch
        where = f"; result on branch {branch}" if branch else ""
        return "; ".join((f"report written{where}", *self.result.remarks))

    async def _publish(self) -> None:
        records = {task.id: task for task in await self._house.stores.runs.tasks(self._record.id)}
        results = {task: c for task in self._graph.order if (c := records[task].commit)}
        if results:
            self.result = _as_result(await self._workspace.publish_all(results))

    def _not_merged(self) -> WorkspaceError:
        branches = ", ".join(self.result.apart.values())
        return WorkspaceError(
            "; ".join(self.result.remarks),
            next_step="Let one of the tasks need the other (`needs:`) and start again with `helios "
            f"run --new`; or merge {branches} into {self.result.branch} by hand, then `helios "
            "resume`, which pays for nothing again.",
        )


def _as_result(published: Published) -> Result:
    apart = {one.task: one.branch for one in published.unmerged}
    remarks = [_collision(one, published.branch) for one in published.unmerged]
    if published.instead_of:
        remarks.append(
            f"the branch {published.instead_of} holds commits that are not of this run and was "
            f"left as it is: the result is on {published.branch}"
        )
    return Result(published.branch, apart, tuple(remarks))


def _collision(one: Unmerged, branch: str) -> str:
    others = ", ".join(one.collides_with)
    return (
        f"the tasks {others} and {one.task} change the same lines of {', '.join(one.files)}: "
        f"{branch} is without {one.task}, whose result is the branch {one.branch}"
    )
