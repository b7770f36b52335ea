"""What happened beside Helios on the same plan: read from Claude Code's own files when asked to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from helios.bootstrap.house import House
from helios.errors import UnknownPrice, UsageError
from helios.providers.signals.cli_events import parse_event_line
from helios.providers.signals.figures import Parsed
from helios.providers.signals.transcripts import Transcripts, read_transcripts
from helios.services.allocations import Report

OUTSIDE = "outside Helios"
WINDOW_S = 5 * 3600.0


@dataclass(frozen=True, slots=True)
class Learnt:
    """Calls booked, figures of the provider kept, and lines that made no sense."""

    calls: int
    figures: int
    ignored: int


async def learn(house: House, transcripts: Path, events: Sequence[Path]) -> Learnt:
    """Book what Claude Code's transcripts tell of the open window, and keep the provider's figures.

    The window is the five hours the provider's figures speak of, else the last five. Everything is
    booked once, however often it is read.

    Args:
        house: whose books; always the real ones, never the simulated.
        transcripts: a folder such as `~/.claude/projects`.
        events: files of Claude Code's stream-json output.

    Raises:
        UsageError: an events file cannot be read.
    """
    found = await asyncio.to_thread(read_transcripts, transcripts)
    told = Parsed()
    for path in events:
        told += await asyncio.to_thread(_read_events, path, house.clock.now())
    for signal in told.signals:
        await house.stores.budget.save_signal(signal)
    booked, unpriced = await _book(house, found)
    return Learnt(booked, len(told.signals), found.ignored + told.ignored + unpriced)


async def _book(house: House, found: Transcripts) -> tuple[int, int]:
    desk = await house.desk(simulated=False)
    now = await house.stores.ledger.now()
    since = now - WINDOW_S
    for signal in await house.stores.budget.latest_signals():
        if signal.window == "five_hour" and (signal.resets_at or 0.0) > now:
            since = (signal.resets_at or now) - WINDOW_S
    booked = unpriced = 0
    for call in found.calls:
        if not since <= call.at <= now:
            continue
        name = f"outside/{call.message_id}/{call.request_id}"
        report = Report(
            name, call.model, call.usage, project=OUTSIDE, agent="claude-code", at=call.at
        )
        try:
            await desk.allocator.record(report)
        except UnknownPrice:
            unpriced += 1
        else:
            booked += 1
    return booked, unpriced


def _read_events(path: Path, at: float) -> Parsed:
    try:
        with path.open("rb") as file:
            return sum((parse_event_line(line, at) for line in file), Parsed())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", next_step="Name a readable file.") from error
