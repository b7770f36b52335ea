"""Usage in transcripts, counted once."""

import json
from pathlib import Path

import pytest

from helios.domain.usage import Usage
from helios.providers.signals.figures import LONGEST_LINE
from helios.providers.signals.transcripts import read_transcripts


def row(message="msg_1", request="req_1", output=5, at="2026-11-21T01:00:00.123Z", **more) -> bytes:
    usage = {"input_tokens": 2, "cache_read_input_tokens": 45_958, "output_tokens": output}
    body = {"id": message, "model": "claude-opus-5-5", "usage": usage, **more.pop("body", {})}
    told = {"type": "assistant", "timestamp": at, "requestId": request, "message": body, **more}
    if request is None:
        del told["requestId"]
    return json.dumps(told, ensure_ascii=False).encode() + b"\n"


def written(folder: Path, *lines: bytes, name: str = "한글/session.jsonl") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(lines))
    return folder


def test_repeated_lines_count_once_with_their_largest_counts(tmp_path: Path) -> None:
    block, final = row(output=5), row(output=90, at="2026-11-21T01:00:09Z")
    other = row("msg_2", "req_2", output=7)
    written(tmp_path, block, final, block, other)
    written(tmp_path, final, other, name="copy/sub/fork.jsonl")
    found = read_transcripts(tmp_path)
    assert [(c.message_id, c.request_id, c.usage) for c in found.calls] == [
        ("msg_1", "req_1", Usage(2, 90, 0, 45_958)),
        ("msg_2", "req_2", Usage(2, 7, 0, 45_958)),
    ]
    assert found.calls[0].at == pytest.approx(1_795_222_800.123)
    assert found.ignored == 0


def test_a_missing_request_id_is_the_same_answer(tmp_path: Path) -> None:
    written(tmp_path, row(request=None, output=3), row(output=9), row("msg_3", None))
    assert [(c.message_id, c.request_id) for c in read_transcripts(tmp_path).calls] == [
        ("msg_1", "req_1"),
        ("msg_3", ""),
    ]
    written(tmp_path, row(request="req_a"), row(request="req_b"))
    assert len(read_transcripts(tmp_path).calls) == 2


def test_other_lines_say_nothing_and_nonsense_is_counted(tmp_path: Path) -> None:
    bad = [
        row(body={"usage": {"input_tokens": -1}}),
        row(body={"usage": {"input_tokens": 1e9}}),
        row(body={"usage": {"output_tokens": "5"}}),
        row(body={"usage": {"output_tokens": True}}),
        row(body={"usage": {"output_tokens": 10**12}}),
        row(body={"usage": None}),
        row(body={"id": 7}),
        row(at="yesterday"),
        b"\xff\xff\n",
        b'{"type": "assistant", "pad": "' + b"x" * (2 * LONGEST_LINE + 7) + b'"}\n',
        row()[:-30] + b"\n",
    ]
    fine = [
        b"\n",
        json.dumps({"type": "user", "message": {"content": "안녕"}}).encode() + b"\n",
        json.dumps({"type": "summary"}).encode() + b"\n",
        row(body={"model": "<synthetic>"}),
        row("msg_9", "req_9")[:-1],
    ]
    written(tmp_path, *bad, *fine)
    found = read_transcripts(tmp_path)
    assert [c.message_id for c in found.calls] == ["msg_9"]
    assert found.ignored == len(bad)


def test_no_folder_is_no_usage(tmp_path: Path) -> None:
    assert read_transcripts(tmp_path / "없음").calls == ()
