"""Every stored event as a log line, so that the log tells the whole story of a run."""

import structlog

from helios.ports.events import EventSink, RunEvent

CATEGORY_BY_KIND = {"run": "system", "call": "agent"}
"""Events of other kinds are about tasks."""


def logged(sink: EventSink | None) -> EventSink:
    """A sink that logs each event and hands it on."""

    def take(event: RunEvent) -> None:
        category = CATEGORY_BY_KIND.get(event.kind, "task")
        structlog.get_logger(f"helios.{category}").info(
            event.kind, run=event.run, task=event.task, seq=event.seq, **event.data
        )
        if sink:
            sink(event)

    return take
