"""An unmodified client must not notice: what it sends arrives, and what is answered comes back."""

import json
import queue
import socket
from pathlib import Path

import httpx2
import pytest

from tests.gateway.clients.rig import entry, gateway
from tests.gateway.recorder import MESSAGE, plain, recorder

ODD = (
    '{ "messages" : [ {"content":"안녕\\u0041 \\ud83d\\ude00", "role":"user",'
    ' "x_new": {"b":1, "a":2}} ],\n'
    '\t"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1;"}],'
    '"unknown_field":[1.50, 1e3, null], "max_tokens":   64 ,"model":"claude-haiku-5-5"}\n'
).encode()
ERROR = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'


def post(url: str, body: bytes = ODD, **headers: str) -> httpx2.Response:
    with httpx2.Client(trust_env=False, timeout=20) as client:
        return client.post(f"{url}/v1/messages?beta=true", content=body, headers=headers)


def test_the_body_arrives_byte_for_byte(tmp_path: Path) -> None:
    with (
        recorder(plain()) as upstream,
        gateway(
            tmp_path / "집", [entry("hello", "simulated: hello")], simulator_url=upstream.url
        ) as rig,
    ):
        answer = post(rig.url)
    assert upstream.bodies == [ODD]
    assert upstream.heads[0].startswith(b"POST /v1/messages?beta=true HTTP/1.1")
    assert answer.content == MESSAGE


@pytest.mark.parametrize("style", ["x-api-key", "authorization"])
def test_only_the_credential_is_replaced(tmp_path: Path, style: str) -> None:
    secret = "hel_secret-of-the-client"
    credential = {style: secret if style == "x-api-key" else f"Bearer {secret}"}
    sent = {
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "a-2026,b-2026",
        "x-stainless-lang": "python",
        "x-quite-new": "1",
        "cookie": "of=this-machine",
        "x-helios-task": "private",
    }
    with (
        recorder(plain()) as upstream,
        gateway(
            tmp_path / "집", [entry("hello", "simulated: hello")], simulator_url=upstream.url
        ) as rig,
    ):
        assert post(rig.url, **credential, **sent).status_code == 200
    for name in ("anthropic-version", "anthropic-beta", "x-stainless-lang", "x-quite-new"):
        assert upstream.header(name.encode()) == [sent[name].encode()]
    assert upstream.header(b"x-api-key") == [b"simulated"]
    assert not upstream.header(b"authorization")
    assert not upstream.header(b"cookie")
    assert not upstream.header(b"x-helios-task")
    assert secret.encode() not in upstream.heads[0]


@pytest.mark.parametrize("status", [400, 404, 429, 500, 529])
def test_what_the_provider_refuses_comes_back_as_it_is(tmp_path: Path, status: int) -> None:
    told = (b"request-id: req_1", b"retry-after: 7", b"x-should-retry: false")
    limits = (b"anthropic-ratelimit-requests-remaining: 0", b"anthropic-organization-id: org")
    answering = plain(status, ERROR, *told, *limits)
    with (
        recorder(answering) as upstream,
        gateway(
            tmp_path / "집", [entry("hello", "simulated: hello")], simulator_url=upstream.url
        ) as rig,
    ):
        answer = post(rig.url)
        assert (answer.status_code, answer.content) == (status, ERROR)
        assert answer.headers["request-id"] == "req_1"
        assert answer.headers["retry-after"] == "7"
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert answer.headers["anthropic-organization-id"] == "org"
        assert rig.settled().messages == 0


def test_every_event_is_passed_on_before_the_next_one_comes(tmp_path: Path) -> None:
    went_on: queue.Queue[None] = queue.Queue()
    events = [
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":'
        b'"claude-haiku-5-5","usage":{"input_tokens":3,"output_tokens":1}}}\n\n',
        b'event: ping\ndata: {"type":"ping"}\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
        b'{"type":"text_delta","text":"simulated: \xec\x95\x88\xeb\x85\x95"}}\n\n',
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
        b'"usage":{"output_tokens":4}}\n\n',
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ]

    def stream(connection: socket.socket, _: bytes) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for event in events:
            connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))
            went_on.get(timeout=10)
        connection.sendall(b"0\r\n\r\n")

    body = json.dumps({**json.loads(ODD), "stream": True}).encode()
    with (
        recorder(stream) as upstream,
        gateway(
            tmp_path / "집", [entry("hello", "simulated: hello")], simulator_url=upstream.url
        ) as rig,
    ):
        url = f"{rig.url}/v1/messages"
        with (
            httpx2.Client(trust_env=False, timeout=20) as client,
            client.stream("POST", url, content=body) as answer,
        ):
            came = []
            for chunk in answer.iter_raw():
                came.append(chunk)
                went_on.put(None)
        assert came == events
        assert rig.settled().messages == 1
        assert rig.reported().microusd == 3  # 3 * 0.10 + 4 * 0.50, rounded up


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/", 200),
        ("HEAD", "/api/hello", 200),
        ("GET", "/v1/files", 404),
        ("GET", "/v1/messages", 405),
        ("PUT", "/v1/messages/batches", 405),
        ("POST", "/v1/complete", 404),
        ("POST", "/v1/v1/messages", 404),
    ],
)
def test_other_paths(tmp_path: Path, method: str, path: str, status: int) -> None:
    with gateway(tmp_path / "집", [entry("hello", "simulated: hello")]) as rig:
        answer = httpx2.request(method, rig.url + path, trust_env=False)
        assert answer.status_code == status
        if status != 200:
            told = answer.json()
            kinds = {404: "not_found_error", 405: "invalid_request_error"}
            assert told["type"] == "error"
            assert told["error"]["type"] == kinds[status]
            assert told["request_id"] == answer.headers["request-id"]
            assert ("base URL" in told["error"]["message"]) == path.startswith("/v1/v1/")
            assert ("allow" in answer.headers) == (status == 405)
