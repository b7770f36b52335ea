"""What happened beside Helios on the same plan: read from Claude Code's own files when asked to."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from helios.bootstrap.house import House
from helios.domain.budget.spend import Spend
from helios.errors import UnknownPrice, UsageError
from helios.providers.signals.cli_events import parse_event_line
from helios.providers.signals.figures import Parsed
from helios.providers.signals.transcripts import (
    TranscriptCall,
    Transcripts,
    read_transcripts,
)
from helios.services.allocations import Report

OUTSIDE = "outside Helios"
WINDOW_S = 5 * 3600.0
SIMULATED = "msg_sim_"
"""What the simulator's messages are called by."""
LONGEST_CALL_S = 3600.0
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
    forwarded = await house.stores.budget.forwarded(since, now, simulated=False)
    outside = beside(in_window, forwarded)
    booked = unpriced = 0
    for call in outside:
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


def beside(
    calls: Iterable[TranscriptCall], forwarded: Iterable[Spend]
) -> tuple[TranscriptCall, ...]:
    """The calls that did not go through the gateway, each of whose calls explains one at most.

    The gateway keeps no name that a transcript has. What it keeps of a call is in the transcript as
    well: the model, the tokens of each kind that went in, and no fewer that came out, because
    some versions note the output before it is complete.
    """
    left = list(forwarded)
    outside: list[TranscriptCall] = []
    for call in calls:
        own = next((spend for spend in left if _is_same(call, spend)), None)
        if own is None:
            outside.append(call)
        else:
            left.remove(own)
    return tuple(outside)


def _is_same(call: TranscriptCall, spend: Spend) -> bool:
    one, other = call.usage, spend.usage
    return (
        call.model == spend.model
        and one.input_tokens == other.input_tokens
        and one.cache_write_tokens == other.cache_write_tokens
        and one.cache_read_tokens == other.cache_read_tokens
        and one.output_tokens <= other.output_tokens
        and -SETTLING_S <= spend.at - call.at <= LONGEST_CALL_S
    )


def _read_events(path: Path, at: float) -> Parsed:
    try:
        with path.open("rb") as file:
            return sum((parse_event_line(line, at) for line in file), Parsed())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", next_step="Name a readable file.") from error
