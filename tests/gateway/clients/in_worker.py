"""litellm and claude-agent-sdk, asked by a process of the environment that has them."""

import json
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.gateway.clients.claude_code import environment, work
from tests.gateway.clients.protocol import LONG_TEXT, MODEL, PICTURE, PICTURES, Outcome, To
from tests.installed import PYTHON_CLIENTS

_one_at_a_time = threading.Lock()


@cache
def _worker() -> subprocess.Popen[str]:
    """One for all tests of this process, because importing litellm takes seconds."""
    python = PYTHON_CLIENTS.path()
    with (PYTHON_CLIENTS.folder / "worker.log").open("a") as log:
        return subprocess.Popen(
            [str(python), str(Path(__file__).with_name("worker.py"))],
            env={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
        )


def ask_worker(questions: Sequence[dict[str, Any]]) -> list[Outcome]:
    """The answers to questions that are asked at the same time."""
    worker = _worker()
    assert worker.stdin
    assert worker.stdout
    with _one_at_a_time:
        worker.stdin.write("\t".join(json.dumps(q) for q in questions) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
    return [Outcome(**json.loads(answer)) for answer in line.split("\t")]


def end_worker() -> None:
    """End it, if it was started."""
    if _worker.cache_info().currsize:
        worker = _worker()
        assert worker.stdin
        worker.stdin.close()
        # It answers nothing any more; litellm's own end takes seconds.
        worker.terminate()
        worker.wait(30)
        assert worker.stdout
        worker.stdout.close()
        _worker.cache_clear()


@dataclass(frozen=True)
class InWorker:
    name: str
    by: str
    streams: bool
    together: int = 50

    def ask(self, to: To, text: str) -> Outcome:
        return ask_worker([self.question(to, text)])[0]

    def ask_together(self, to: To, texts: Sequence[str]) -> list[Outcome]:
        return ask_worker([self.question(to, text) for text in texts])

    def ask_much(self, to: To) -> Outcome:
        if self.by == "litellm":
            return ask_worker([self.question(to, "그림들", pictures=PICTURES)])[0]
        return self.ask(to, LONG_TEXT)

    def hang_up(self, to: To, text: str) -> None:
        said = ask_worker([self.question(to, text, hang_up=True)])[0]
        assert said.text, said

    def question(
        self, to: To, text: str, *, hang_up: bool = False, pictures: int = 0
    ) -> dict[str, Any]:
        return {
            "by": self.by,
            "model": MODEL,
            "url": to.url,
            "key": to.key,
            "headers": dict(to.headers),
            "text": text,
            "stream": self.streams,
            "hang_up": hang_up,
            "pictures": pictures,
            "picture": PICTURE if pictures else "",
            "env": environment(to),
            "cwd": str(work(to)),
        }
