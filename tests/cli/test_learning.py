"""`helios budget learn`: what Claude Code used beside Helios, and nothing that Helios passed on."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from helios.bootstrap.house import House, open_house
from helios.bootstrap.learning import Learnt, learn
from helios.config import Settings
from helios.domain.budget.spend import Spend
from helios.domain.usage import Usage
from helios.providers.signals.transcripts import TranscriptCall

MODEL = "claude-opus-5-5"
TOOK = Usage(12, 340, 812, 23_738)


def spend(message: str, at: float) -> Spend:
    own = Spend("gw_1", at, MODEL, "frontier", TOOK, 100, simulated=False, source="gateway")
    return replace(own, message_id=message)


def call(at: float, message: str = "msg_1", usage: Usage = TOOK) -> TranscriptCall:
    return TranscriptCall(message, f"req_{message}", at, MODEL, usage)


def line_of(call: TranscriptCall) -> str:
    usage = {
        "input_tokens": call.usage.input_tokens,
        "output_tokens": call.usage.output_tokens,
        "cache_creation_input_tokens": call.usage.cache_write_tokens,
        "cache_read_input_tokens": call.usage.cache_read_tokens,
    }
    body = {"id": call.message_id, "model": call.model, "usage": usage}
    at = datetime.fromtimestamp(call.at, UTC).isoformat()
    row = {"type": "assistant", "timestamp": at, "requestId": call.request_id, "message": body}
    return json.dumps(row) + "\n"


def test_what_was_passed_on_or_simulated_is_not_booked_and_a_second_reading_books_nothing(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "기록"
    folder.mkdir()

    async def work(house: House) -> tuple[Learnt, Learnt]:
        now = house.clock.now()
        await house.stores.budget.save_spend(spend("msg_1", now - 500))
        calls = [
            call(now - 520),
            call(now - 400, "msg_outside", Usage(7, 8, 0, 0)),
            call(now - 300, "msg_sim_1", Usage(9, 9, 0, 0)),
            call(now - 5, "msg_just_now", Usage(3, 3, 0, 0)),
        ]
        (folder / "s.jsonl").write_text("".join(map(line_of, calls)), encoding="utf-8")
        first = await learn(house, folder, ())
        second = await learn(house, folder, ())
        totals = await house.stores.budget.totals("project", 0.0, now + 1, simulated=False)
        assert {total.name: total.messages for total in totals} == {"": 1, "outside Helios": 1}
        return first, second

    async def opened() -> tuple[Learnt, Learnt]:
        async with open_house(Settings(home=tmp_path / "집")) as house:
            return await work(house)

    first, second = asyncio.run(opened())
    assert (first.calls, first.known) == (1, 1)
    assert (second.calls, second.known) == (0, 2)
