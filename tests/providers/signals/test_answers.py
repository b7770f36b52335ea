"""What an answer's headers say comes with the reply, and reaches the book; a simulator's do not."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.providers.test_failures import endpoint
from tests.services.rooms import Rooms, in_rooms

from helios.domain.budget.signal import Signal
from helios.ports.models import Message, ModelReply, ModelRequest
from helios.testing.scripted_model import ScriptedProvider, reply

BODY = json.dumps({
    "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": "네"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 1},
}).encode()  # fmt: skip
HEAD = (
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    f"content-length: {len(BODY)}\r\nconnection: close\r\n"
    "anthropic-ratelimit-unified-5h-utilization: 0.37\r\n"
    "anthropic-ratelimit-unified-5h-reset: 1800018000\r\n\r\n"
).encode()
ASKED = ModelRequest("claude-sonnet-5-5", "s", (Message("user", "안녕"),), 10)


@pytest.mark.parametrize("simulated", [True, False])
def test_headers_become_signals(simulated: bool) -> None:
    async def call() -> ModelReply:
        async with endpoint(HEAD + BODY, simulated=simulated) as provider:
            return await provider.call(ASKED)

    told = asyncio.run(call()).signals
    assert [(s.window, s.used, s.resets_at) for s in told] == (
        [] if simulated else [("five_hour", 0.37, 1_800_018_000.0)]
    )


def test_signals_of_a_reply_are_dated_and_kept(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        said = Signal("five_hour", 0.37, 0.0, "headers", 1_800_018_000.0)
        answered = ModelReply(**{**reply_fields(), "signals": (said,)})
        responses = rooms.responses(ScriptedProvider([answered]))
        call = rooms.call(rooms.limits())
        await responses.ask(call)
        (kept,) = await rooms.stores.budget.latest_signals()
        assert (kept.window, kept.used, kept.at) == ("five_hour", 0.37, rooms.clock.now())
        again = await responses.ask(call)
        assert again.signals == ()

    in_rooms(tmp_path, work)


def reply_fields() -> dict[str, object]:
    plain = reply()
    return {name: getattr(plain, name) for name in ModelReply.__dataclass_fields__}
