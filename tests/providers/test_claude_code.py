"""Claude Code as a program: what is asked of it, and every way it can go wrong.

A script stands in for the binary here; the real one is in test_claude_code_real.py.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helios.domain.usage import Usage
from helios.errors import (
    BadOutput,
    ConnectionLost,
    ModelError,
    ModelTimeout,
    Overloaded,
    RateLimited,
    RequestRefused,
    UsageError,
)
from helios.ports.models import Message, ModelReply, ModelRequest, Tool
from helios.providers.claude_code import ClaudeCodeProvider, open_claude_code
from helios.providers.claude_code.memory import room_for

pytestmark = pytest.mark.slow

STAND_IN = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys, time
here = pathlib.Path(__file__).parent
said = sys.stdin.read()
with (here / "asked.jsonl").open("a") as log:
    log.write(json.dumps({{"argv": sys.argv[1:], "said": said, "cwd": os.getcwd(),
        "pid": os.getpid(), "env": dict(os.environ), "at": time.time()}}) + "\\n")
plan = json.loads((here / "plan.json").read_text())
for line in plan["lines"]:
    print(line, flush=True)
if plan["child"]:
    child = subprocess.Popen(["sleep", "600"])
    (here / "child").write_text(str(child.pid))
time.sleep(plan["sleep"])
sys.stderr.write(plan["err"])
if plan["signal"]:
    os.kill(os.getpid(), plan["signal"])
sys.exit(plan["code"])
"""
USED = {
    "inputTokens": 100,
    "outputTokens": 20,
    "cacheReadInputTokens": 5,
    "cacheCreationInputTokens": 7,
    "costUSD": 0.1,
}
LIMITS = {
    "status": "allowed",
    "resetsAt": 1_800_003_600,
    "rateLimitType": "five_hour",
    "unifiedWindows": {
        "five_hour": {"utilization": 0.24, "resetsAt": 1_800_003_600},
        "seven_day": {"utilization": 0.5, "resetsAt": 1_800_300_000},
    },
}


def said(*blocks: dict[str, Any], name: str = "msg_01") -> dict[str, Any]:
    message = {"id": name, "model": "claude-sonnet-5-5", "role": "assistant", "content": blocks}
    return {"type": "assistant", "message": message}


def ended(stop: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    usual = {"subtype": "error_max_budget_usd", "is_error": True, "stop_reason": stop}
    return {"type": "result", **usual, "modelUsage": {"claude-sonnet-5-5": USED}, **more}


def refused(text: str, status: int | None = None, error: str = "unknown") -> list[dict[str, Any]]:
    message = {"id": "x", "model": "<synthetic>", "content": [{"type": "text", "text": text}]}
    result = {"subtype": "success", "is_error": True, "api_error_status": status, "result": text}
    return [
        {"type": "system", "subtype": "init"},
        {"type": "assistant", "message": message, "error": error},
        {"type": "result", **result, "modelUsage": {}},
    ]


class StandIn:
    """A program that does as it is told."""

    def __init__(self, folder: Path, clock: Any) -> None:
        self.folder = folder
        self.clock = clock
        self.program = folder / "claude"
        self.program.write_text(STAND_IN, encoding="utf-8")
        self.program.chmod(0o755)

    def will(self, *lines: Any, **plan: Any) -> None:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        usual = {"lines": texts, "sleep": 0, "err": "", "signal": 0, "code": 1, "child": False}
        (self.folder / "plan.json").write_text(json.dumps({**usual, **plan}))

    def provider(self, most: int = 4) -> ClaudeCodeProvider:
        return ClaudeCodeProvider(self.program, self.folder / "empty", most, self.clock)

    def call(self, request: ModelRequest) -> ModelReply:
        async def scenario() -> ModelReply:
            provider = self.provider()
            try:
                return await provider.call(request)
            finally:
                await provider.close()

        return asyncio.run(scenario())

    def fail(self, request: ModelRequest) -> ModelError:
        with pytest.raises(ModelError) as caught:
            self.call(request)
        return caught.value

    def asked(self) -> list[dict[str, Any]]:
        log = (self.folder / "asked.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in log.splitlines()]


@pytest.fixture
def claude(tmp_path: Path, clock: Any) -> StandIn:
    return StandIn(tmp_path, clock)


def plain(**given: Any) -> ModelRequest:
    usual = {"system": "너는 고친다", "messages": (Message("user", "안녕"),), "max_tokens": 321}
    return ModelRequest(**{"model": "claude-sonnet-5-5", "timeout_s": 20.0, **usual, **given})


def test_an_answer_its_usage_and_the_windows_are_read(claude: StandIn) -> None:
    event = {"type": "rate_limit_event", "rate_limit_info": LIMITS}
    thinking = {"type": "thinking", "thinking": "hm"}
    first, second = {"type": "text", "text": "안녕"}, {"type": "text", "text": "하세요"}
    claude.will(event, said(thinking), said(first, second), ended(), "half a li")
    reply = claude.call(plain())
    assert (reply.text, reply.stop_reason, reply.model) == (
        "안녕하세요",
        "end_turn",
        "claude-sonnet-5-5",
    )
    assert reply.usage == Usage(100, 20, cache_write_tokens=7, cache_read_tokens=5)
    assert {s.window: s.used for s in reply.signals} == {"five_hour": 0.24, "seven_day": 0.5}
    assert {s.source for s in reply.signals} == {"cli"}
    assert not reply.simulated


def test_it_is_asked_for_one_bounded_request_without_touching_its_surroundings(
    claude: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"ANTHROPIC_API_KEY": "the user's own", "CLAUDE_CODE_OAUTH_TOKEN": "theirs, too"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    claude.will(said({"type": "text", "text": "x"}, name="msg_sim_1"), ended())
    assert claude.call(plain()).simulated
    (asked,) = claude.asked()
    show = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    plain_child = json.loads(subprocess.run(show, capture_output=True, check=True).stdout)
    ours = ("ANTHROPIC", "CLAUDE", "HOME", "PATH")
    assert _own(asked["env"], ours) == _own(plain_child, ours)
    assert given.items() <= asked["env"].items()
    argv = asked["argv"]
    value = {argv[n]: argv[n + 1] for n in range(len(argv) - 1)}
    limits = json.loads(value["--settings"])["env"]
    assert limits["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "321"
    assert limits["CLAUDE_CODE_MAX_RETRIES"] == "0"
    assert not [name for name in limits if "KEY" in name or name.endswith("TOKEN")]
    assert (value["--model"], value["--tools"]) == ("claude-sonnet-5-5", "")
    assert float(value["--max-budget-usd"]) < 0.00001
    assert value["--system-prompt"] == "너는 고친다"
    assert json.loads(asked["said"])["message"]["content"] == "안녕"
    assert list(Path(asked["cwd"]).iterdir()) == []


def _own(env: dict[str, str], begin: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(begin)}


def test_a_tool_is_asked_for_by_its_schema(claude: StandIn, patch_tool: Tool) -> None:
    block = {"type": "tool_use", "name": "StructuredOutput", "input": {"summary": "나머지"}}
    claude.will(said(block), ended(None))
    turns = (Message("user", "고쳐"), Message("assistant", "{}"), Message("user", "틀렸다"))
    reply = claude.call(plain(tool=patch_tool, messages=turns))
    assert (reply.tool_input, reply.stop_reason) == ({"summary": "나머지"}, "tool_use")
    argv = claude.asked()[0]["argv"]
    assert json.loads(argv[argv.index("--json-schema") + 1]) == patch_tool.schema
    told = json.loads(claude.asked()[0]["said"])["message"]["content"]
    assert told.index("고쳐") < told.index("You answered") < told.index("틀렸다")


def test_an_answer_that_was_cut_says_so(claude: StandIn, patch_tool: Tool) -> None:
    torn = {"__unparsedToolInput": {"raw": '{"sum', "len": 5}}
    claude.will(
        said({"type": "tool_use", "name": "StructuredOutput", "input": torn}), ended("max_tokens")
    )
    reply = claude.call(plain(tool=patch_tool))
    assert (reply.stop_reason, reply.tool_input) == ("max_tokens", None)


@pytest.mark.parametrize(
    ("lines", "error", "billed", "cure"),
    [
        (refused("API Error: 429 no", 429, "rate_limit"), RateLimited, "no", ""),
        (refused("You've hit your limit", None, "rate_limit"), RateLimited, "no", ""),
        (refused("API Error: 529 no", 529), Overloaded, "no", ""),
        (refused("API Error: 500 no", 500), Overloaded, "unknown", ""),
        (refused("API Error: 400 no", 400), RequestRefused, "no", "reason"),
        (refused("Invalid key", 401), RequestRefused, "no", "/login"),
        (refused("Not logged in", None, "authentication_failed"), RequestRefused, "no", "/login"),
        (refused("Unable to connect (ConnectionRefused)"), ConnectionLost, "no", "network"),
        (refused("Unable to connect (ECONNRESET)"), ConnectionLost, "unknown", ""),
        ([said({"type": "text", "text": "half"})], BadOutput, "unknown", ""),
        ([{"type": "system"}], ConnectionLost, "unknown", ""),
        ([said({"type": "text", "text": "x"}), ended(modelUsage={})], BadOutput, "unknown", ""),
        (
            [said({"type": "text", "text": "x"}), ended(modelUsage={"m": {"inputTokens": -1}})],
            BadOutput,
            "unknown",
            "",
        ),
        (
            ["not JSON", "[1]", '{"type": "result", "is_error": false}'],
            ConnectionLost,
            "unknown",
            "",
        ),
        (
            [said({"type": "text", "text": "x"}), ended(subtype="error_during_execution")],
            BadOutput,
            "unknown",
            "",
        ),
    ],
)
def test_what_goes_wrong_is_told_and_only_proofs_are_free(
    claude: StandIn, lines: list[Any], error: type[ModelError], billed: str, cure: str
) -> None:
    claude.will(*lines)
    found = claude.fail(plain())
    assert (type(found), found.billed) == (error, billed)
    assert cure in found.next_step


def test_a_closed_window_says_when_it_opens(claude: StandIn) -> None:
    windows = {"five_hour": {"utilization": 1, "resetsAt": 1_800_003_600}}
    limits = {**LIMITS, "status": "rejected", "unifiedWindows": windows}
    event = {"type": "rate_limit_event", "rate_limit_info": limits}
    claude.will(event, *refused("You've hit your limit", 429, "rate_limit"))
    assert claude.fail(plain()).retry_after_s == 3600.0, "the clock of the tests stands at 1.8e9"


@pytest.mark.parametrize(
    ("plan", "error", "billed"),
    [
        ({"code": 1, "err": "error: unknown option '--safe-mode'"}, RequestRefused, "no"),
        ({"code": 0}, ConnectionLost, "unknown"),
        ({"code": 3}, ConnectionLost, "unknown"),
        ({"signal": 9, "err": "x"}, ConnectionLost, "unknown"),
    ],
)
def test_a_program_that_says_nothing_was_not_billed_only_if_it_refused_its_arguments(
    claude: StandIn, plan: dict[str, Any], error: type[ModelError], billed: str
) -> None:
    claude.will(**plan)
    found = claude.fail(plain())
    assert (type(found), found.billed) == (error, billed)
    if plan.get("signal"):
        assert "signal 9" in found.message


def gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether a process has ended or is only waited for by its parent."""
    for _ in range(int(within_s / 0.02)):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def appears(path: Path) -> None:
    for _ in range(1000):
        if path.exists() and path.read_text():
            return
        time.sleep(0.02)


def test_a_hang_ends_at_the_timeout_with_everything_it_started(claude: StandIn) -> None:
    claude.will(sleep=600, child=True)
    found = claude.fail(plain(timeout_s=3.0))
    assert (type(found), found.billed) == (ModelTimeout, "unknown")
    assert gone(claude.asked()[0]["pid"])
    assert gone(int((claude.folder / "child").read_text()))


def test_cancelling_ends_the_program(claude: StandIn) -> None:
    claude.will(sleep=600, child=True)

    async def scenario() -> None:
        provider = claude.provider()
        call = asyncio.create_task(provider.call(plain()))
        await asyncio.to_thread(appears, claude.folder / "child")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await provider.close()

    asyncio.run(scenario())
    assert gone(claude.asked()[0]["pid"])
    assert gone(int((claude.folder / "child").read_text()))


def test_no_more_run_at_a_time_than_memory_allows_and_waiting_costs_nothing(
    claude: StandIn,
) -> None:
    claude.will(sleep=600, child=True)

    async def scenario() -> None:
        provider = claude.provider(most=1)
        holder = asyncio.create_task(provider.call(plain()))
        await asyncio.to_thread(appears, claude.folder / "child")
        with pytest.raises(ModelTimeout) as caught:
            await provider.call(plain(timeout_s=0.2))
        assert caught.value.billed == "no"
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
        claude.will(said({"type": "text", "text": "now"}), ended())
        assert (await provider.call(plain())).text == "now"
        await provider.close()

    asyncio.run(scenario())
    assert len(claude.asked()) == 2


@pytest.mark.parametrize(("kib", "most"), [(24 << 20, 59), (1 << 20, 2), (100_000, 1), (0, 1)])
def test_the_room_is_half_of_the_free_memory(tmp_path: Path, kib: int, most: int) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: 99 kB\nMemAvailable:   {kib} kB\n")
    assert room_for(meminfo) == most
    assert room_for(tmp_path / "absent") == 1


@pytest.mark.parametrize(
    "given",
    [
        {"system": "x" * 200_000},
        {"tools": (Tool("a", "", {}), Tool("b", "", {})), "must_call": True},
        {"tools": (Tool("a", "", {}),)},
    ],
)
def test_what_it_cannot_do_is_refused_before_it_starts(
    claude: StandIn, given: dict[str, Any]
) -> None:
    claude.will()
    found = claude.fail(plain(**given))
    assert (type(found), found.billed) == (RequestRefused, "no")
    assert not (claude.folder / "asked.jsonl").exists()


def test_a_missing_binary_says_how_to_get_it(tmp_path: Path, clock: Any) -> None:
    with pytest.raises(UsageError, match="'no-claude-here'") as caught:
        open_claude_code("no-claude-here", tmp_path, clock, print)
    assert "npm install -g @anthropic-ai/claude-code" in caught.value.next_step


def test_a_binary_that_vanishes_costs_nothing(claude: StandIn) -> None:
    claude.program.unlink()
    assert claude.fail(plain()).billed == "no"


def test_the_notice_is_told_once_and_says_the_terms(claude: StandIn) -> None:
    claude.will(said({"type": "text", "text": "x"}), ended())
    told: list[str] = []

    async def scenario(tell: Callable[[str], None]) -> None:
        folder = claude.folder / "empty"
        provider = open_claude_code(str(claude.program), folder, claude.clock, tell)
        await provider.call(plain())
        await provider.call(plain())
        await provider.close()

    asyncio.run(scenario(told.append))
    (notice,) = told
    for word in ("your own, unmodified", "one person", "this machine", "pooling", "no token"):
        assert word in notice
