"""Claude Code at work: tools, a subagent, a session that goes on; and whom it calls."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.clients.claude_code import STREAMED, outcome, run, work
from tests.gateway.clients.conftest import needed
from tests.gateway.clients.protocol import Outcome
from tests.gateway.clients.rig import entry, gateway
from tests.installed import CLAUDE_CODE

pytestmark = pytest.mark.slow

DONE = "다 했습니다"
SAID = f"[simulated] {DONE}"


@pytest.fixture(autouse=True)
def _claude_code() -> None:
    needed(CLAUDE_CODE)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "집"


def test_it_writes_a_file_and_runs_a_command(home: Path) -> None:
    file = home / "쓴 것.txt"
    script = [
        entry("파일을 써", turn=1, tool="Write", input={"file_path": str(file), "content": "안녕"}),
        entry(
            "파일을 써", turn=2, tool="Bash",
            input={"command": f"wc -c '{file}' > '{home}/counted'", "description": "count"},
        ),
        entry("", DONE),
    ]  # fmt: skip
    with gateway(home, script) as rig:
        to = rig.to()
        lines = run(to, "파일을 써 주세요", *STREAMED, "--add-dir", str(home),
                    "--allowedTools", "Write", "Bash")  # fmt: skip
        assert outcome(lines[-1]) == Outcome(SAID)
        assert file.read_text("utf-8") == "안녕"
        assert (home / "counted").read_text().startswith("6 ")
        assert _tools(lines) == ["Write", "Bash"]
        rig.books_equal_meter(messages=3)


def test_a_tool_that_is_not_allowed_is_not_run(home: Path) -> None:
    file = home / "no"
    script = [
        entry("파일을 써", turn=1, tool="Write", input={"file_path": str(file), "content": "x"}),
        entry("", DONE),
    ]
    with gateway(home, script) as rig:
        result = run(rig.to(), "파일을 써 주세요", "--output-format", "json")[-1]
        assert [denied["tool_name"] for denied in result["permission_denials"]] == ["Write"]
        assert not file.exists()
        rig.books_equal_meter(messages=2)


def test_a_subagent_is_booked_by_its_own_name(home: Path) -> None:
    asked = {"description": "d", "prompt": "하위 작업", "subagent_type": "general-purpose"}
    script = [
        entry("하위 작업", "끝났습니다"),
        entry("나눠서", turn=1, tool="Agent", input=asked),
        entry("", DONE),
    ]
    with gateway(home, script) as rig:
        lines = run(rig.to(), "나눠서 해 주세요", *STREAMED)
        assert lines[-1]["is_error"] is False
        agents = [seen.headers.get("x-claude-code-agent-id") for seen in rig.asked]
        assert [bool(agent) for agent in agents] == [False, True, False]
        assert len({seen.headers["x-claude-code-session-id"] for seen in rig.asked}) == 1
        rig.books_equal_meter(messages=3)
        booked = set(rig.authors())
        assert {agent for _, agent in booked} >= {agents[1]}
        assert {task for task, _ in booked} == {lines[-1]["session_id"]}


def test_a_session_goes_on(home: Path) -> None:
    with gateway(home, [entry("기억", turn=1, text="기억했습니다"), entry("기억", DONE)]) as rig:
        to = rig.to()
        first = run(to, "사과를 기억하세요", "--output-format", "json")[-1]
        session = first["session_id"]
        second = run(to, "무엇을?", "--output-format", "json", "--resume", session)[-1]
        assert outcome(second) == Outcome(SAID)
        assert second["session_id"] == session
        rig.books_equal_meter(messages=2)


def test_it_tells_what_it_used_as_the_meter_does(home: Path) -> None:
    """Tokens agree; its dollars are its own list's, so Helios's ledger is the truth."""
    with gateway(home, [entry("", DONE)]) as rig:
        usage = run(rig.to(), "인사", *STREAMED)[-1]["usage"]
        billed = rig.simulator.reading().answers[0].usage
        assert usage["input_tokens"] == billed.input_tokens
        assert usage["output_tokens"] == billed.output_tokens
        assert usage["cache_creation_input_tokens"] == billed.cache_write_tokens
        rig.books_equal_meter(messages=1)


def test_it_says_that_it_was_refused_and_ends_with_an_error(home: Path) -> None:
    with gateway(home, [entry("", DONE)]) as rig:
        rig.empty_budget()
        result = run(rig.to(), "인사", *STREAMED)[-1]
        assert (result["is_error"], result["api_error_status"]) == (True, 402)


def test_a_bearer_token_is_as_good_as_a_key(home: Path) -> None:
    with gateway(home, [entry("", DONE)]) as rig:
        to = rig.to()
        more = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_AUTH_TOKEN": to.key}
        assert outcome(run(to, "인사", *STREAMED, more=more)[-1]) == Outcome(SAID)
        assert rig.asked[0].headers["authorization"] == f"Bearer {to.key}"
        assert "x-api-key" not in rig.asked[0].headers
        rig.books_equal_meter(messages=1)


def test_it_calls_nobody_else(home: Path) -> None:
    with gateway(home, [entry("", DONE)]) as rig, proxy() as (url, called):
        to = rig.to()
        more = {"HTTPS_PROXY": url, "HTTP_PROXY": url, "NO_PROXY": "127.0.0.1"}
        assert outcome(run(to, "인사", *STREAMED, more=more)[-1]) == Outcome(SAID)
        assert called == []
        chatty = more | {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "", "DISABLE_TELEMETRY": ""}
        run(to, "인사", *STREAMED, more=chatty)
        assert called, "the proxy sees nothing, so it proves nothing"
        assert (work(to).parent / ".claude").is_dir()


@contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that lets nothing through and notes who was asked for."""
    called: list[bytes] = []

    def listen() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                called.append(connection.recv(200).split(b"\r\n")[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", called
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _tools(lines: list[Any]) -> list[str]:
    said = [line["message"]["content"] for line in lines if line["type"] == "assistant"]
    return [block["name"] for blocks in said for block in blocks if block["type"] == "tool_use"]
