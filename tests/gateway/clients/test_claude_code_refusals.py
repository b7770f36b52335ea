"""What Claude Code does on each refusal: why the gateway refuses as it does.

Against a bare server, because the gateway sends few of these.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gateway.clients.claude_code import STREAMED, started
from tests.gateway.clients.conftest import needed
from tests.gateway.clients.protocol import To
from tests.gateway.recorder import plain, recorder
from tests.installed import CLAUDE_CODE

pytestmark = pytest.mark.slow

ALONE = b"x-should-retry: false"
TRIES = 10


@dataclass(frozen=True)
class Stops:
    """It shows this after one request."""

    shown: str


@dataclass(frozen=True)
class Retries:
    """It asks again ten times, the first time after so many seconds."""

    after_s: tuple[float, float] = (0.4, 0.8)


CASES = [
    pytest.param(400, (), Stops("API Error: 400 까닭"), id="400"),
    pytest.param(401, (), Retries(), id="401"),
    pytest.param(402, (), Stops("API Error: 402 까닭"), id="402"),
    pytest.param(403, (), Stops("Failed to authenticate. API Error: 403 까닭"), id="403"),
    pytest.param(429, (), Retries(), id="429"),
    pytest.param(429, (b"retry-after: 60",), Retries((60, 60)), id="429-in-a-minute"),
    pytest.param(429, (b"retry-after: 3600",), Stops("rejected (429) · 까닭"), id="429-in-an-hour"),
    pytest.param(429, (ALONE,), Stops("rejected (429) · 까닭"), id="429-alone"),
    pytest.param(500, (ALONE,), Stops("API Error: 500 까닭"), id="500-alone"),
    pytest.param(529, (ALONE,), Retries(), id="529-alone"),
]


@pytest.mark.parametrize(("status", "headers", "does"), CASES)
def test_a_refusal(
    status: int, headers: tuple[bytes, ...], does: Stops | Retries, tmp_path: Path
) -> None:
    needed(CLAUDE_CODE)
    # It looks at the kind of the error too: one that is overloaded it asks again whatever it says.
    kind = "overloaded_error" if status == 529 else "api_error"
    body = json.dumps({"type": "error", "error": {"type": kind, "message": "까닭"}}).encode()
    with (
        recorder(plain(status, body, *headers)) as server,
        started(To(server.url, "k", tmp_path), *STREAMED) as process,
    ):
        assert process.stdin
        assert process.stdout
        process.stdin.write("인사")
        process.stdin.close()
        events = (json.loads(line) for line in process.stdout)
        event = next(e for e in events if e.get("subtype") == "api_retry" or e["type"] == "result")
        asked = [head for head in server.heads if head.startswith(b"POST")]
    assert len(asked) == 1
    if isinstance(does, Stops):
        assert does.shown in event["result"]
    else:
        least, most = does.after_s
        assert event["max_retries"] == TRIES
        assert least <= event["retry_delay_ms"] / 1000 <= most
