"""Drives a run in this process: screen or JSON lines, Ctrl-C, the summary at the end."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from helios.bootstrap.house import open_house, surroundings
from helios.bootstrap.mirroring import mirrored
from helios.bootstrap.project import read_project
from helios.bootstrap.session import Session, open_session
from helios.cli.live import LiveView
from helios.cli.summary_view import show_summary
from helios.cli.terminal import next_command, out, print_line, say_error, talk
from helios.config import Settings
from helios.domain.workflow.states import RunState, TaskState
from helios.engine.lock import project_lock
from helios.errors import HeliosError, RunStopping
from helios.ports.events import RunEvent
from helios.services.reports import summary_to_json
from helios.services.run_book import Wish

INTERRUPTED = 130
EXIT_BY_STATE = {RunState.DONE: 0, RunState.FAILED: 1, RunState.CANCELLED: 1}


async def drive(file: Path, settings: Settings, *, wish: Wish, as_json: bool, wait: bool) -> int:
    """Run to the end or to a stop; the exit code."""
    loaded = read_project(file)
    sink = EventRelay(as_json=as_json)
    with project_lock(settings.home / "locks", loaded.id, str(file)):
        async with open_house(settings, sink=sink) as house:
            record = await house.book.pick(
                loaded.id, str(loaded.path), loaded.spec, surroundings(settings), wish
            )
            async with (
                open_session(house, record, loaded.spec) as session,
                mirrored(house) as mirroring,
            ):
                sink.changed = mirroring.changed if mirroring else None
                view = LiveView(session.desk.progress, session.project, as_json=as_json)
                sink.listener = view
                ended = await _until_end(session, view, wait=wait)
                await session.finish.publish()
                report = await session.finish.report()
            summary = await house.summary(record)
            if as_json:
                print_line({"event": "summary", **summary_to_json(summary, session.finish.branch)})
            else:
                show_summary(out(), summary, session.finish.branch, report)
            unhappy = next((t.id for t in summary.tasks if t.state is TaskState.FAILED), "TASK")
    return _farewell(ended, file, unhappy, as_json=as_json)


async def _until_end(
    session: Session, view: LiveView, *, wait: bool
) -> RunState | HeliosError | None:
    """The final state, the error that stopped it, or None when a person did."""
    with stopping_on_signals(session.engine.stop):
        async with view.shown():
            try:
                return await session.engine.run(wait_for_budget=wait)
            except RunStopping:
                return None
            except HeliosError as error:
                return error


def _farewell(
    ended: RunState | HeliosError | None, file: Path, unhappy: str, *, as_json: bool
) -> int:
    """Say what is likely wanted next; the exit code."""
    named = "" if str(file) == "helios.yaml" else f" {file}"
    resume = f"helios resume{named}"
    if isinstance(ended, RunState):
        if not as_json:
            next_command(
                f"helios status{named}"
                if ended is RunState.DONE
                else f"helios why {unhappy}{named}"
            )
        return EXIT_BY_STATE[ended]
    if isinstance(ended, HeliosError):
        say_error(ended, as_json=as_json)
        if not as_json:
            next_command(resume)
        return ended.exit_code
    if not as_json:
        talk().print("[yellow]■[/] stopped; everything finished is kept, nothing was lost")
        next_command(resume)
    return INTERRUPTED


@contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask for a clean stop; a second one does not wait."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


class EventRelay:
    """Hands stored events on: to stdout as JSON lines, and to the live view."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.listener: LiveView | None = None
        self.changed: Callable[[], None] | None = None

    def __call__(self, event: RunEvent) -> None:
        """Take one event; called from a store's thread after its commit."""
        if self._as_json:
            print_line(
                {
                    "event": event.kind,
                    "seq": event.seq,
                    "run": event.run,
                    "task": event.task,
                    "at": event.at,
                    **event.data,
                }
            )
        if self.listener:
            self.listener.note(event)
        if self.changed:
            self.changed()
