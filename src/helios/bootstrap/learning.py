"""What happened beside Helios on the same plan: read from Claude Code's own files when asked to."""

import asyncio
import math
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
SIMULATED = "msg_sim_"
"""What the simulator's messages are called by."""
SETTLING_S = 60.0
"""A call so young may be on its way through the gateway, which books it at its end."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """Calls newly booked, figures of the provider kept, and lines that made no sense.

    `known` are calls of the window that were in the books before, their own or the gateway's.
    """

    calls: int
    figures: int
    ignored: int
    known: int = 0


async def learn(house: House, transcripts: Path, events: Sequence[Path]) -> Learnt:
    """Book what Claude Code's transcripts tell of the open window, and keep the provider's figures.

    The window is the five hours the provider's figures speak of, else the last five. Everything is
    booked once, however often it is read, the last minute at the next reading. What the gateway
    passed on is booked already, and what the simulator answered was used of no window.

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
    return await _book(house, found, told)


async def _book(house: House, found: Transcripts, told: Parsed) -> Learnt:
    since, now = await _window(house)
    desk = await house.desk(simulated=False)
    in_window = [
        call
        for call in found.calls
        if since <= call.at <= now - SETTLING_S and not call.message_id.startswith(SIMULATED)
    ]
    own = await house.stores.budget.answers(since - SETTLING_S, math.inf, simulated=False)
    booked = unpriced = 0
    for call in in_window:
        if call.message_id in own:
            continue
        name = f"outside/{call.message_id}/{call.request_id}"
        is_new = await house.stores.ledger.entry(name) is None
        report = Report(
            name, call.model, call.usage, project=OUTSIDE, agent="claude-code", at=call.at
        )
        try:
            await desk.allocator.record(report)
        except UnknownPrice:
            unpriced += 1
        else:
            booked += is_new
    return Learnt(
        calls=booked,
        figures=len(told.signals),
        ignored=found.ignored + told.ignored + unpriced,
        known=len(in_window) - booked - unpriced,
    )


async def _window(house: House) -> tuple[float, float]:
    now = await house.stores.ledger.now()
    since = now - WINDOW_S
    for signal in await house.stores.budget.latest_signals():
        if signal.window == "five_hour" and (signal.resets_at or 0.0) > now:
            since = (signal.resets_at or now) - WINDOW_S
    return since, now


def _read_events(path: Path, at: float) -> Parsed:
    try:
        with path.open("rb") as file:
            return sum((parse_event_line(line, at) for line in file), Parsed())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", next_step="Name a readable file.") from error
