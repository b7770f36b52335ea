"""Any pydantic-ai agent on Helios: typed, with tools, budgeted, and paid for once."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ImageUrl

from helios.domain.usage import Usage
from helios.errors import BudgetExhausted, RequestRefused
from helios.ports.models import ModelReply, ToolCall
from helios.services.agent_model import HeliosModel
from helios.testing.scripted_model import ScriptedProvider, reply
from tests.services.crashes import Crash, CrashingAt
from tests.services.rooms import Rooms, in_rooms

pytestmark = pytest.mark.slow


class Verdict(BaseModel):
    """What the agent must answer."""

    approve: bool
    summary: str


def calling(name: str, **arguments: Any) -> ModelReply:
    called = (ToolCall(f"toolu_{name}", name, arguments),)
    usage = Usage(input_tokens=40, output_tokens=60, cache_read_tokens=10)
    return replace(reply("", stop_reason="tool_use"), calls=called, usage=usage)


ANSWERS = [
    calling("read_file", path="가.py"),
    calling("final_result", approve=True, summary="나머지가 맞다"),
]


def make_agent(model: HeliosModel, read: list[str] | None = None) -> Agent[None, Verdict]:
    agent = Agent(model, output_type=Verdict, instructions="한국어로 답한다.", retries=2)

    @agent.tool_plain
    def read_file(path: str) -> str:
        """Read a file."""
        if read is not None:
            read.append(path)
        return f"{path}의 내용"

    return agent


def test_an_agent_calls_its_tools_and_answers_in_its_type(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        provider, read = ScriptedProvider(ANSWERS), list[str]()
        limits = rooms.limits(messages=10)
        model = HeliosModel(rooms.responses(provider), rooms.call(limits))
        done = await make_agent(model, read).run("검토해 줘")
        assert done.output == Verdict(approve=True, summary="나머지가 맞다")
        assert read == ["가.py"]
        first, second = provider.asked
        assert (first.system, first.max_tokens, first.must_call) == (
            "s\n\n한국어로 답한다.",
            1000,
            True,
        )
        assert [tool.name for tool in first.tools] == ["read_file", "final_result"]
        assert [m.text for m in first.messages] == ["고쳐 주세요", "검토해 줘"]
        assert second.messages[-2].calls == ANSWERS[0].calls
        assert second.messages[-1].results[0].text == "가.py의 내용"
        assert second.text_bytes > first.text_bytes
        assert done.usage.requests == 2
        assert (done.usage.input_tokens, done.usage.cache_read_tokens) == (100, 20)
        messages = (await rooms.stores.ledger.balances(limits))[-1]
        assert (messages.spent, messages.held) == (2, 0)

    in_rooms(tmp_path, work)


@pytest.mark.parametrize(
    ("port", "method", "after", "calls"),
    [
        ("runs", "save_call", True, 2),
        ("ledger", "settle", False, 2),
        ("ledger", "mark_sent", False, 2),
        ("runs", "save_call", False, 3),
    ],
)
def test_an_agent_that_crashed_runs_again_and_pays_for_nothing_twice(
    tmp_path: Path, port: str, method: str, after: bool, calls: int
) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([ANSWERS[0], ANSWERS[0], ANSWERS[1]][3 - calls :])
        limits = rooms.limits(messages=10)
        inner = getattr(rooms.stores, port)
        dying = rooms.responses(provider, **{port: CrashingAt(inner, method, after=after)})
        with pytest.raises(Crash):
            await make_agent(HeliosModel(dying, rooms.call(limits))).run("검토")
        again = HeliosModel(rooms.responses(provider), rooms.call(limits))
        done = await make_agent(again).run("검토")
        assert done.output.summary == "나머지가 맞다"
        third = HeliosModel(rooms.responses(provider), rooms.call(limits))
        assert (await make_agent(third).run("검토")).output == done.output
        assert len(provider.asked) == calls

    in_rooms(tmp_path, work)


def test_an_answer_of_the_wrong_shape_is_asked_for_again_as_a_call_of_its_own(
    tmp_path: Path,
) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([calling("final_result", approve="perhaps"), ANSWERS[1]])
        limits = rooms.limits(messages=10)
        model = HeliosModel(rooms.responses(provider), rooms.call(limits))
        done = await make_agent(model).run("검토")
        assert done.output.approve
        assert "summary" in provider.asked[1].messages[-1].results[0].text
        assert (await rooms.stores.ledger.balances(limits))[-1].spent == 2

    in_rooms(tmp_path, work)


def test_an_agent_ends_where_its_budget_does(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([ANSWERS[0]] * 9)
        limits = rooms.limits(messages=2)
        model = HeliosModel(rooms.responses(provider), rooms.call(limits))
        running = make_agent(model).run("검토")
        with pytest.raises(BudgetExhausted, match="this run's messages"):
            await rooms.while_time_passes(running)
        assert len(provider.asked) == 2

    in_rooms(tmp_path, work)


def test_text_is_answered_in_words_and_settings_only_lower_the_bound(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([reply("안녕하세요"), reply("네", stop_reason="max_tokens")])
        model = HeliosModel(rooms.responses(provider), rooms.call(rooms.limits()))
        agent = Agent(model)
        first = await agent.run("안녕", model_settings={"max_tokens": 70})
        await agent.run(["하나", "둘"], message_history=first.all_messages(),
                        model_settings={"max_tokens": 10**9})  # fmt: skip
        assert first.output == "안녕하세요"
        assert [asked.max_tokens for asked in provider.asked] == [70, 1000]
        assert not provider.asked[0].forced
        texts = [message.text for message in provider.asked[1].messages]
        assert texts == ["고쳐 주세요", "안녕", "안녕하세요", "하나\n\n둘"]

    in_rooms(tmp_path, work)


def test_what_cannot_be_sent_on_is_refused_before_anything_is_reserved(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([])
        limits = rooms.limits(messages=5)
        model = HeliosModel(rooms.responses(provider), rooms.call(limits))
        with pytest.raises(RequestRefused, match="not text"):
            await Agent(model).run(["보라", ImageUrl("http://127.0.0.1/x.png")])
        assert provider.asked == []
        assert (await rooms.stores.ledger.balances(limits))[-1].held == 0

    in_rooms(tmp_path, work)


def test_starting_helios_imports_no_pydantic_ai() -> None:
    code = (
        "import sys, helios.cli.main, helios.cli.app, helios.cli.driving;"
        "sys.exit('pydantic_ai' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
