"""Usage in the transcripts Claude Code keeps: `~/.claude/projects/**/*.jsonl`.

A transcript is no ledger: one answer fills several lines (one for each block of content, more while
it streams), all with the same `message.id` and `requestId`, the later ones with larger counts; a
resumed or forked session copies lines into another file. So usage is counted once for each message
id and request id, the largest count of each kind. Some versions leave `requestId` out on some lines
of an answer: those belong to the answer of the same message id. Rows of the model `<synthetic>`
were never sent. Transcripts carry no utilization, so they make no signals: they tell what was spent
on this machine outside Helios.
Sources: github.com/ClaudeCodeUsage/ClaudeCodeUsage issue 92 (23,516 rows, 9,632 identities, counts
only grow); github.com/junhoyeo/tokscale pull 563 and github.com/xiufengsun/TokenTracker pull 65
(missing requestId); github.com/AgentWorkforce/relayhistory issue 211 (`<synthetic>`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from helios.domain.usage import Usage
from helios.providers.signals.figures import count, json_object, lines_of, members, moment

MOST_TOKENS = 20_000_000
"""Of one kind in one answer; ten times the largest prompt there is."""


@dataclass(frozen=True, slots=True)
class TranscriptCall:
    """One answered call, at the time of its first line (UTC seconds)."""

    message_id: str
    request_id: str
    at: float
    model: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Transcripts:
    """All calls, the oldest first, and how many lines or files could not be read."""

    calls: tuple[TranscriptCall, ...]
    ignored: int


def read_transcripts(folder: Path) -> Transcripts:
    """Everything under a folder such as `~/.claude/projects`; none when there is no such folder."""
    found: list[TranscriptCall] = []
    ignored = 0
    for path in sorted(folder.glob("**/*.jsonl")):
        try:
            with path.open("rb") as file:
                for line in lines_of(file):
                    call = _call(line) if line else None
                    if call is None:
                        ignored += 1
                    elif call.message_id:
                        found.append(call)
        except OSError:
            ignored += 1
    return Transcripts(merge_calls(found), ignored)


def merge_calls(lines: Iterable[TranscriptCall]) -> tuple[TranscriptCall, ...]:
    """One call for each message id and request id, the oldest first."""
    by_message: dict[str, dict[str, TranscriptCall]] = {}
    for line in lines:
        requests = by_message.setdefault(line.message_id, {})
        known = requests.get(line.request_id)
        requests[line.request_id] = _merged(known, line) if known else line
    for requests in by_message.values():
        nameless = requests.get("")
        if nameless and len(requests) > 1:
            del requests[""]
            request = min(requests)
            requests[request] = _merged(requests[request], nameless)
    calls = (call for requests in by_message.values() for call in requests.values())
    return tuple(sorted(calls, key=lambda call: (call.at, call.message_id, call.request_id)))


def _merged(one: TranscriptCall, other: TranscriptCall) -> TranscriptCall:
    a, b = one.usage, other.usage
    largest = Usage(
        max(a.input_tokens, b.input_tokens),
        max(a.output_tokens, b.output_tokens),
        max(a.cache_write_tokens, b.cache_write_tokens),
        max(a.cache_read_tokens, b.cache_read_tokens),
    )
    return replace(one, at=min(one.at, other.at), usage=largest)


_NOTHING = TranscriptCall("", "", 0.0, "", Usage())
"""A line in order that reports no usage."""


def _call(line: bytes) -> TranscriptCall | None:
    """The call a line reports, `_NOTHING` for another kind of line, None for nonsense."""
    row = json_object(line)
    if row is None:
        return None
    message = members(row.get("message"))
    if row.get("type") != "assistant" or "usage" not in message:
        return _NOTHING
    model, message_id = message.get("model"), message.get("id")
    if model == "<synthetic>":
        return _NOTHING
    at, usage = moment(row.get("timestamp")), _usage(message["usage"])
    if at is None or usage is None or not _word(model) or not _word(message_id):
        return None
    request_id = row.get("requestId")
    known_request = request_id if _word(request_id) else ""
    return TranscriptCall(str(message_id), str(known_request), at, str(model), usage)


def _word(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    counts = [
        count(value.get(kind), MOST_TOKENS)
        for kind in (
            "input_tokens",
            "output_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
        )
    ]
    whole = [tokens for tokens in counts if tokens is not None]
    return Usage(*whole) if len(whole) == len(counts) else None
