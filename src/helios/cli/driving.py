"""Drives a run in this process: screen or JSON lines, Ctrl-C, the summary at the end."""

import asyncio
import os
import signal
import sys
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
from helios.errors import HeliosError, RunStopping
from helios.ports.events import RunEvent
from helios.services.reports import summary_to_json
from helios.services.run_book import Wish

INTERRUPTED = 130
NOBODY_READS = 141
"""What a shell says of a program that SIGPIPE ended."""
EXIT_BY_STATE = {RunState.DONE: 0, RunState.FAILED: 1, RunState.CANCELLED: 1}


async def drive(file: Path, settings: Settings, *, wish: Wish, as_json: bool, wait: bool) -> int:
    """Run to the end or to a stop; the exit code."""
    loaded = read_project(file)
    sink = EventRelay(as_json=as_json)
    async with (
        open_house(settings, sink=sink) as house,
        house.locks.hold(loaded.id, str(file)) as hold,
    ):
        record = await house.book.pick(
            loaded.id, str(loaded.path), loaded.spec, surroundings(settings), wish
        )
        async with (
            open_session(house, record, loaded.spec, hold) as session,
            mirrored(house) as mirroring,
        ):
            sink.changed = mirroring.changed if mirroring else None
            view = LiveView(session.desk.progress, session.project, as_json=as_json)
            sink.listener = view
            sink.on_deaf = session.engine.stop
            ended = await _until_end(session, view, wait=wait)
            finish = session.finish
            if not isinstance(ended, RunState):
                await finish.publish_as_it_stands()
            report = await finish.report()
        summary = await house.summary(record)
        if as_json:
            print_line({"event": "summary", **summary_to_json(summary, finish.result)})
        else:
            show_summary(out(), summary, finish.result, report)
        unhappy = next((t.id for t in summary.tasks if t.state is TaskState.FAILED), "TASK")
    code = _farewell(ended, file, unhappy, as_json=as_json)
    return NOBODY_READS if sink.is_deaf and ended is None else code


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


def _nothing() -> None:
    """Nobody has to be told."""


class EventRelay:
    """Hands stored events on: to stdout as JSON lines, and to the live view.

    Whoever read the lines may go (`| head`): `on_deaf` is called then, once.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.is_deaf = False
        self.on_deaf: Callable[[], None] = _nothing
        self.listener: LiveView | None = None
        self.changed: Callable[[], None] | None = None

    def __call__(self, event: RunEvent) -> None:
        """Take one event; called after its commit."""
        try:
            self._tell(event)
        except BrokenPipeError:
            if not self.is_deaf:
                self.is_deaf = True
                # Nothing that is printed from now on, nor at the end, fails once more.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                self.on_deaf()

    def _tell(self, event: RunEvent) -> None:
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
