"""A role's question: one request as the role's file and its attempts say it, never asked twice."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helios.agents.outputs import answer_shape
from helios.domain.budget.ledger import EntryState
from helios.domain.ids import request_id
from helios.domain.roles import Output
from helios.errors import BadOutput, BudgetExhausted, ConnectionLost
from helios.ports.models import Message, ModelReply, ModelRequest
from helios.services.execution.runner import load_role_agent
from helios.services.responses import Call
from helios.testing.scripted_model import ScriptedProvider, reply
from tests.services.crashes import Crash, CrashingAt
from tests.services.rooms import TASK, Rooms, in_rooms

pytestmark = pytest.mark.slow

PATCH = {"summary": "나머지", "edits": [{"path": "가.py", "find": "x = 1", "replace": "x = 2"}]}
TURNS = (
    Message("user", "Task: 고쳐\n\n  <b>들여쓰기</b>  \n"),
    Message("assistant", '{"summary": "먼저"}'),
    Message("user", "That was not accepted:\n\nFAILED\n"),
)
REQUEST = ModelRequest(
    model="claude-sonnet-5-5",
    system="You mend code.\n\n한국어로 답한다.",
    messages=TURNS,
    max_tokens=1000,
    timeout_s=77.0,
    labels={"task": TASK},
)


class Hanging(ScriptedProvider):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__([])
        self.sent = asyncio.Event()

    async def call(self, request: ModelRequest) -> ModelReply:
        self.sent.set()
        await asyncio.Event().wait()
        raise AssertionError


def call_of(rooms: Rooms, attempt: int = 1, **budget: Any) -> Call:
    made = rooms.call(rooms.limits(**{"messages": 10, **budget}), attempt)
    return replace(made, request=REQUEST, agent="coder")


async def ask(
    rooms: Rooms, provider: Any, output: Output = "patch", attempt: int = 1, **other: Any
) -> Mapping[str, Any]:
    responses = rooms.responses(provider, **other)
    return await load_role_agent()(responses, call_of(rooms, attempt), answer_shape(output))


def test_the_model_reads_the_role_and_the_attempts_letter_by_letter(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([reply("생각 끝", stop_reason="tool_use", **PATCH)])
        assert await ask(rooms, provider) == PATCH
        (asked,) = provider.asked
        assert asked.tool is not None
        assert replace(asked, tool=None) == REQUEST
        shape = answer_shape("patch").shape
        assert asked.tool.name == "submit_patch"
        assert asked.tool.description.startswith("Submit the change, once.\n\nEvery edit names a")
        assert set(asked.tool.schema["properties"]) == {"summary", "edits"}
        assert asked.tool.schema["required"] == ["summary", "edits"]
        said = asked.tool.schema["$defs"]["EditAnswer"]["properties"]["find"]["description"]
        theirs = shape.model_json_schema()["$defs"]["EditAnswer"]["properties"]["find"]
        assert said == theirs["description"]

    in_rooms(tmp_path, work)


def test_a_review_comes_back_with_what_it_left_out(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        finding = {"path": "가.py", "severity": "error", "note": "틀리다"}
        submitted = {"verdict": "reject", "summary": "안 된다", "findings": [finding]}
        provider = ScriptedProvider([reply("", **submitted)])
        answer = await ask(rooms, provider, "review")
        assert answer == {**submitted, "findings": [{**finding, "line": 0}]}
        assert provider.asked[0].tool is not None
        assert provider.asked[0].tool.name == "submit_review"

    in_rooms(tmp_path, work)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (reply("", summary="s", edits=[]), r"the wrong shape: edits: List should have at least 1"),
        (reply("", summary=1, edits=[{"path": "a"}]), r"summary: .*; edits\.0\.find: Field req"),
        (reply("", stop_reason="max_tokens", s=""), r"shape: summary: Field required"),
        (reply("모르겠다"), r"did not submit anything \(it ended with end_turn\): 모르겠다$"),
        (reply("", stop_reason="max_tokens"), r"\(it ended with max_tokens\): $"),
        (reply("", stop_reason="refusal"), r"\(it ended with refusal\): $"),
        (reply("", stop_reason="pause_turn"), r"\(it ended with pause_turn\): $"),
    ],
)
def test_a_wrong_answer_is_bad_output_and_is_not_asked_for_again(
    tmp_path: Path, answer: ModelReply, problem: str
) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([answer, reply("", **PATCH)])
        with pytest.raises(BadOutput, match=problem) as caught:
            await ask(rooms, provider)
        assert caught.value.billed == "unknown"
        assert len(provider.asked) == 1
        assert await ask(rooms, provider, attempt=2) == PATCH

    in_rooms(tmp_path, work)


def test_what_the_provider_or_the_budget_says_comes_through_unchanged(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        lost = ConnectionLost("끊겼다", billed="unknown")
        with pytest.raises(ConnectionLost) as caught:
            await ask(rooms, ScriptedProvider([lost]))
        assert caught.value is lost
        call = call_of(rooms, 2, messages=1)
        asking = load_role_agent()(
            rooms.responses(ScriptedProvider([])), call, answer_shape("patch")
        )
        with pytest.raises(BudgetExhausted):
            await rooms.while_time_passes(asking)

    in_rooms(tmp_path, work)


@pytest.mark.parametrize(
    ("port", "method", "after", "calls"),
    [
        ("runs", "save_call", True, 1),
        ("ledger", "settle", False, 1),
        ("ledger", "mark_sent", False, 1),
        ("runs", "save_call", False, 2),
    ],
)
def test_after_a_crash_the_kept_reply_is_the_answer(
    tmp_path: Path, port: str, method: str, after: bool, calls: int
) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([reply("", **PATCH)] * calls)
        dying = CrashingAt(getattr(rooms.stores, port), method, after=after)
        with pytest.raises(Crash):
            await ask(rooms, provider, **{port: dying})
        assert await ask(rooms, provider) == PATCH
        assert await ask(rooms, provider) == PATCH
        assert len(provider.asked) == calls
        kept = [call.request for call in await rooms.stores.runs.calls(rooms.run.id)]
        assert kept[-1] in {request_id(rooms.run.id, TASK, 1, 1, resend) for resend in (0, 1)}

    in_rooms(tmp_path, work)


def test_a_question_that_is_cut_off_is_charged_and_ends_as_cancelled(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        provider = Hanging()
        asking = asyncio.ensure_future(ask(rooms, provider))
        await provider.sent.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        entry = await rooms.stores.ledger.entry(request_id(rooms.run.id, TASK, 1, 1, 0))
        assert entry is not None
        assert entry.state is EntryState.CHARGED_ESTIMATE

    in_rooms(tmp_path, work)
