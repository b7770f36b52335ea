"""npm `@anthropic-ai/claude-code`, run as `claude -p`."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gateway.clients.protocol import LONG_TEXT, MODEL, Outcome, To
from tests.installed import CLAUDE_CODE

PATIENCE_S = 60
STREAMED = ("--output-format", "stream-json", "--verbose")


def environment(to: To) -> dict[str, str]:
    """All that it is given: nothing of the machine's own settings, no call but to the gateway."""
    return {
        "PATH": os.environ["PATH"],  # noqa: TID251 - it runs node, git and a shell
        "HOME": str(to.home),
        "ANTHROPIC_BASE_URL": to.url,
        "ANTHROPIC_API_KEY": to.key,
        "ANTHROPIC_CUSTOM_HEADERS": "\n".join(f"{k}: {v}" for k, v in to.headers.items()),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


def work(to: To) -> Path:
    """The folder it works in."""
    folder = to.home / "work"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def started(
    to: To, *options: str, more: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """It, reading its prompt from standard input; killed when the block ends."""
    process = subprocess.Popen(
        [str(CLAUDE_CODE.path()), "-p", "--model", MODEL, *options],
        cwd=work(to),
        env={**environment(to), **(more or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    except BrokenPipeError:
        # It was killed before it had read all.
        return


def run(to: To, text: str, *options: str, more: dict[str, str] | None = None) -> list[Any]:
    """Every JSON line it prints; the last one is its result."""
    shown, complaints = printed(to, text, *options, more=more)
    assert shown, complaints
    return [json.loads(line) for line in shown.splitlines()]


def printed(
    to: To, text: str, *options: str, more: dict[str, str] | None = None
) -> tuple[str, str]:
    """What it prints on standard output and standard error."""
    with started(to, *options, more=more) as process:
        return process.communicate(text, timeout=PATIENCE_S)


def outcome(result: dict[str, Any]) -> Outcome:
    return Outcome(error=result["result"]) if result["is_error"] else Outcome(result["result"])


@dataclass(frozen=True)
class ClaudeCode:
    name: str
    streams: bool = True
    together: int = 3

    def ask(self, to: To, text: str) -> Outcome:
        return outcome(run(to, text, "--output-format", "json")[-1])

    def ask_much(self, to: To) -> Outcome:
        # It makes pictures smaller than that.
        answer, complaint = printed(to, LONG_TEXT)
        return Outcome(answer, complaint)

    def hang_up(self, to: To, text: str) -> None:
        with started(to, *STREAMED, "--include-partial-messages") as process:
            assert process.stdin
            assert process.stdout
            process.stdin.write(text)
            process.stdin.close()
            for line in process.stdout:
                if '"text_delta"' in line:
                    return
        raise AssertionError("it ended before the answer began")
