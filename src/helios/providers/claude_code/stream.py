"""What Claude Code's stream-json says: the answer, its usage, the windows, or what went wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from helios.domain.budget.signal import Signal
from helios.domain.usage import Usage
from helios.errors import BadOutput, ConnectionLost, ModelError, RequestRefused
from helios.ports.models import ModelReply
from helios.providers.claude_code.command import ANSWER_TOOL
from helios.providers.claude_code.process import Ended
from helios.providers.signals.cli_events import parse_event_line
from helios.providers.signals.figures import json_object, members
from helios.providers.statuses import status_error

SYNTHETIC = "<synthetic>"
"""The model of a message that the program wrote itself."""
LIMIT_REACHED = "error_max_budget_usd"
"""How every answered request ends, because of the ceiling it is given."""
UNPARSED = "__unparsedToolInput"
"""What stands in place of arguments that are not whole."""
_CURES: Mapping[int, str] = {
    400: "Read the reason; the request itself must change.",
    401: "Log in: run `claude` and type /login.",
    403: "Log in with an account that may use this model: run `claude` and type /login.",
    404: "Check the model's name after claude-code:.",
}
_USED = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_write_tokens": "cacheCreationInputTokens",
    "cache_read_tokens": "cacheReadInputTokens",
}


@dataclass(slots=True)
class _Heard:
    """The lines of a process, sorted."""

    blocks: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    result: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: str = ""
    model: str = ""
    simulated: bool = False
    signals: tuple[Signal, ...] = ()
    any: bool = False


def read_reply(ended: Ended, at: float) -> ModelReply:
    """The reply in what a process printed.

    Args:
        ended: the process.
        at: when it ended, for the figures of the windows.

    Raises:
        ModelError: there is none; `billed` is "no" where nothing was counted and the reason proves
            it.
    """
    heard = _hear(ended.out, at)
    usage = _usage(heard.result)
    answered = heard.result.get("subtype") == LIMIT_REACHED or not heard.result.get("is_error")
    if not (heard.result and answered and heard.model and usage.total_tokens):
        raise _failure(heard, ended, usage)
    called = next((b for b in heard.blocks if b.get("name") == ANSWER_TOOL), None)
    return ModelReply(
        model=heard.model,
        text="".join(str(b.get("text", "")) for b in heard.blocks if b.get("type") == "text"),
        tool_input=_tool_input(called) if called else None,
        # The program leaves the reason out where a tool was called.
        stop_reason=str(heard.result.get("stop_reason") or ("tool_use" if called else "")),
        usage=usage,
        simulated=heard.simulated,
        signals=heard.signals,
    )


def _tool_input(called: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """None where the answer was cut off in the middle of it."""
    given = called.get("input")
    return given if isinstance(given, dict) and UNPARSED not in given else None


def _hear(out: bytes, at: float) -> _Heard:
    heard = _Heard()
    for line in out.splitlines():
        heard.signals += parse_event_line(line, at).signals
        event = json_object(line) or {}
        heard.any = heard.any or "type" in event
        if event.get("type") == "result":
            heard.result = event
        elif event.get("type") == "assistant":
            _listen(heard, event)
    return heard


def _listen(heard: _Heard, event: Mapping[str, Any]) -> None:
    message = members(event.get("message"))
    if message.get("model") == SYNTHETIC:
        heard.error = str(event.get("error") or "unknown")
        return
    content = message.get("content")
    heard.blocks += [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []
    heard.model = str(message.get("model") or "")
    heard.simulated = str(message.get("id", "")).startswith("msg_sim_")


def _usage(result: Mapping[str, Any]) -> Usage:
    """Everything the process used; `usage` itself is empty where its ceiling ended it."""
    return sum((_used(part) for part in _models(result)), Usage())


def _models(result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for part in members(result.get("modelUsage")).values():
        yield members(part)


def _used(part: Mapping[str, Any]) -> Usage:
    counts = {ours: part.get(theirs, 0) for ours, theirs in _USED.items()}
    if not all(type(count) is int and count >= 0 for count in counts.values()):
        raise BadOutput("claude-code: the result's usage makes no sense", billed="unknown")
    return Usage(**counts)


def _failure(heard: _Heard, ended: Ended, usage: Usage) -> ModelError:
    status = heard.result.get("api_error_status")
    said = str(heard.result.get("result") or _last_words(ended))
    message = f"claude-code: {said}"
    wait_s = _wait_s(heard)
    if usage.total_tokens or heard.model:
        return BadOutput(message, billed="unknown")
    if type(status) is int and status >= 400:
        return status_error(status, message, wait_s, _CURES)
    match heard.error:
        case "authentication_failed" | "oauth_org_not_allowed":
            return RequestRefused(message, billed="no", next_step=_CURES[401])
        case "rate_limit":
            return status_error(429, message, wait_s, _CURES)
    if "ConnectionRefused" in said:
        return ConnectionLost(message, billed="no", next_step="Check the network.")
    if ended.code > 0 and not heard.any and ended.err:
        return RequestRefused(
            message, billed="no", next_step="Update Claude Code: run `claude update`."
        )
    return ConnectionLost(message, billed="unknown")


def _wait_s(heard: _Heard) -> float | None:
    """Until the window that refused resets, where the program told of it."""
    full = [s for s in heard.signals if s.status == "rejected" and s.resets_at]
    waits = [(s.resets_at or s.at) - s.at for s in full]
    return max((max(0.0, wait) for wait in waits), default=None)


def _last_words(ended: Ended) -> str:
    how = f"killed by signal {-ended.code}" if ended.code < 0 else f"exit code {ended.code}"
    words = ended.err.decode("utf-8", "replace").strip()[-500:]
    return f"it ended without an answer ({how}){': ' if words else ''}{words}"
