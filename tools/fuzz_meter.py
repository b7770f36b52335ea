"""Feed the gateway's readers of bytes with what atheris makes up, for some seconds.

Not part of the tests: `pip install atheris`, then `python tools/fuzz_meter.py --seconds 120`. Ends
with an error and keeps the input in a file when something raised or when two ways of cutting the
same stream told two things.
"""

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

SEED = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"x","usage":'
    b'{"input_tokens":3,"output_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":2}}}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"hi"}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":9}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)
BODY = (
    b'{"model":"m","max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"thinking"},'
    b'{"type":"image","source":{"type":"base64","data":"A"}}]}],"tools":[{"type":"web_search_1"}]}'
)


def main() -> None:
    """Run until the time is over or something is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["helios.domain.gateway"]):
        sse = importlib.import_module("helios.domain.gateway.sse")
        usage = importlib.import_module("helios.domain.gateway.usage")
        request = importlib.import_module("helios.domain.gateway.request")
        rewrite = importlib.import_module("helios.domain.gateway.rewrite")

    def one(data: bytes) -> None:
        kind, step, rest = data[:1], (data[1:2] or b"\1")[0] or 1, data[2:]
        if kind == b"b":
            _check_body(request, rewrite, rest)
        elif kind == b"a":
            usage.read_answer(rest)
        else:
            _check_stream(sse, rest, step)

    with tempfile.TemporaryDirectory() as folder:
        for name, seed in (("s", b"s\7" + SEED), ("b", b"b\1" + BODY), ("a", b"a\1" + BODY)):
            Path(folder, name).write_bytes(seed)
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", folder], one)
        atheris.Fuzz()


def _check_stream(sse: Any, stream: bytes, step: int) -> None:
    told = [_told(sse, [stream])]
    told.append(_told(sse, [stream[at : at + step] for at in range(0, len(stream), step)]))
    if told[0] != told[1]:
        raise AssertionError(f"cut in {step}: {told[1]}, in one: {told[0]}")
    if sum(len(seen.text) for seen in told[0][1]) > len(stream):
        raise AssertionError("more was seen than came")


def _told(sse: Any, chunks: list[bytes]) -> Any:
    meter = sse.Meter(largest_event=1500, most_seen=1000)
    for chunk in chunks:
        meter.feed(chunk)
    return meter.close(), meter.seen(), meter.seen_truncated


def _check_body(request: Any, rewrite: Any, body: bytes) -> None:
    errors = importlib.import_module("helios.errors")
    try:
        request.read_request(body)
    except errors.RequestRefused:
        return
    whole = json.loads(body)
    for changed, field, value in (
        (rewrite.with_model(body, "n"), "model", "n"),
        (rewrite.with_max_tokens(body, 7), "max_tokens", 7),
    ):
        if json.loads(changed) != {**whole, field: value}:
            raise AssertionError(f"{field} was not all that changed")
    json.loads(rewrite.without_thinking(body, takes_thinking=False, takes_effort=False))


if __name__ == "__main__":
    main()
