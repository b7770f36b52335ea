"""Nothing a client does can overrun the budget, and each refusal makes it stop or wait."""

import json
import queue
import socket
import threading
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import httpx2
import pytest

from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever, OpensOnUse
from helios.domain.gateway.key import Policy
from helios.server.gateway import messages
from helios.services.access import Access
from tests.gateway.clients.rig import HOURS_5, Books, Rig, entry, gateway
from tests.gateway.recorder import MESSAGE, plain, recorder

HELLO = [entry("hello", "simulated: hello")]
START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":'
    b'"claude-haiku-5-5","usage":{"input_tokens":3000,"output_tokens":1}}}\n\n'
)


def ask(url: str, *, headers: dict[str, str] | None = None, **fields: Any) -> httpx2.Response:
    body = {
        "model": "claude-haiku-5-5",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "hello"}],
        **fields,
    }
    sent = {"X-Helios-Project": "shop", **(headers or {})}
    with httpx2.Client(trust_env=False, timeout=30) as client:
        return client.post(f"{url}/v1/messages", json=body, headers=sent)


def error_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]


def test_a_spent_budget_is_402(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", HELLO) as rig:
        rig.empty_budget()
        answer = ask(rig.url)
        assert error_of(answer) == (402, "billing_error")
        assert answer.headers["x-should-retry"] == "false"
        assert "retry-after" not in answer.headers
        assert ask(rig.url, headers={"X-Helios-Project": "other"}).status_code == 200
        assert rig.simulator.reading().answers[0].usage.input_tokens > 0
        assert len(rig.simulator.reading().answers) == 1


def test_a_closed_window_is_429_with_its_reset(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", HELLO) as rig:
        rig.close_window()
        answer = ask(rig.url)
        assert error_of(answer) == (429, "rate_limit_error")
        assert answer.headers["x-should-retry"] == "false"
        assert HOURS_5 - 60 < int(answer.headers["retry-after"]) <= HOURS_5 + 1
        assert not rig.simulator.reading().answers


def test_what_never_fits_is_402_although_the_window_resets(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", HELLO, gateway_lower_output="false") as rig:
        rig.limit(Unit.MICROUSD, 100, OpensOnUse(HOURS_5))
        answer = ask(rig.url, max_tokens=60_000)
        assert error_of(answer) == (402, "billing_error")


def test_held_until_the_window_resets(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", HELLO) as rig:
        rig.limit(Unit.MESSAGES, 1, OpensOnUse(2.0))
        assert ask(rig.url).status_code == 200
        began = perf_counter()
        assert ask(rig.url).status_code == 200
        assert perf_counter() - began > 0.5
        assert rig.settled().messages == 2
        assert ask(rig.url, headers={"X-Helios-Hold": "0"}).status_code == 429


def test_a_held_stream_is_pinged_and_then_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "SILENT_S", 0.0)
    monkeypatch.setattr(messages, "PING_S", 0.0)
    with gateway(tmp_path / "집", HELLO) as rig, rig.room_taken():
        freed = threading.Timer(1.0, lambda: rig.do(_free(rig)))
        freed.start()
        answer = ask(rig.url, stream=True)
        freed.join()
    assert answer.status_code == 200
    assert answer.text.startswith('event: ping\ndata: {"type": "ping"}\n\n')
    assert "event: message_start" in answer.text
    assert answer.text.rstrip().endswith('data: {"type":"message_stop"}')


def test_a_held_stream_is_refused_by_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "SILENT_S", 0.0)
    with gateway(tmp_path / "집", HELLO) as rig, rig.room_taken():
        answer = ask(rig.url, stream=True, headers={"X-Helios-Hold": "0.5"})
    assert answer.status_code == 200
    *_, last = answer.text.strip().split("\n\n")
    kind, data = last.split("\n")
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["type"] == "rate_limit_error"


async def _free(rig: Rig) -> None:
    ledger = rig.house.stores.ledger
    entry = await ledger.entry("somebody")
    assert entry
    await ledger.release("somebody", entry.fence)


def test_output_is_lowered_to_what_there_is_room_for(tmp_path: Path) -> None:
    with (
        recorder(plain()) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        rig.limit(Unit.MICROUSD, 4_000, Forever())
        answer = ask(rig.url, max_tokens=128_000)
        assert answer.status_code == 200
        asked = json.loads(upstream.bodies[-1])
        assert 4096 <= asked["max_tokens"] < 8_000
        assert answer.headers["x-helios-max-tokens"] == str(asked["max_tokens"])


def test_output_is_not_lowered_where_the_policy_forbids_it(tmp_path: Path) -> None:
    with recorder(plain()) as upstream:
        settings = {"simulator_url": upstream.url, "gateway_lower_output": "false"}
        with gateway(tmp_path / "집", HELLO, **settings) as rig:
            rig.limit(Unit.MICROUSD, 4_000, Forever())
            assert error_of(ask(rig.url, max_tokens=128_000)) == (402, "billing_error")
            assert not any(b"max_tokens" in body for body in upstream.bodies)


def test_a_client_that_leaves_pays_for_its_answer(tmp_path: Path) -> None:
    left: queue.Queue[None] = queue.Queue()

    def late(connection: socket.socket, body: bytes) -> None:
        left.get(timeout=10)
        plain()(connection, body)

    with (
        recorder(late) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        with (
            pytest.raises(httpx2.ReadTimeout),
            httpx2.Client(trust_env=False, timeout=0.5) as client,
        ):
            client.post(f"{rig.url}/v1/messages", content=_body(stream=False))
        sleep(0.2)
        left.put(None)
        assert rig.settled() == Books(4, 1)  # 10 * 0.10 + 5 * 0.50, rounded up


def _leave(rig: Rig) -> None:
    """Ask, and hang up before the answer comes."""
    with (
        pytest.raises(httpx2.ReadTimeout),
        httpx2.Client(trust_env=False, timeout=0.4) as client,
    ):
        client.post(f"{rig.url}/v1/messages", content=_body(stream=False))


def test_a_client_that_leaves_before_its_turn_pays_nothing(tmp_path: Path) -> None:
    busy = entry("붐빔", "simulated: later", fault=["429"])  # nothing goes for 2 s after it
    with gateway(tmp_path / "집", [busy, *HELLO]) as rig:
        said = [{"role": "user", "content": "붐빔"}]
        assert error_of(ask(rig.url, messages=said)) == (429, "rate_limit_error")
        _leave(rig)
        assert rig.settled() == rig.reported() == rig.billed() == Books(0, 0)
        assert rig._rows("SELECT state FROM ledger_entries") == [("released",)] * 2
        assert ask(rig.url).status_code == 200
        rig.books_equal_meter(messages=1)


def test_a_client_that_leaves_pays_nothing_for_what_never_arrived(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with gateway(tmp_path / "집", HELLO, simulator_url=f"http://127.0.0.1:{port}") as rig:
        _leave(rig)  # between the tries to connect, which take half a second
        assert rig.settled() == rig.reported() == Books(0, 0)


def test_a_stream_that_is_left_is_closed_and_paid_as_far_as_it_came(tmp_path: Path) -> None:
    delta = (
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
        b'{"type":"text_delta","text":"simulated: some words"}}\n\n'
    )

    def stream(connection: socket.socket, body: bytes) -> None:
        asked = json.loads(body)
        if "stream" not in asked:  # a count of what was seen
            text = asked["messages"][0]["content"][0]["text"]
            plain(200, b'{"input_tokens":%d}' % (7 + len(text.split())))(connection, body)
            return
        connection.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )
        connection.sendall(START + delta)
        connection.recv(1)  # until the gateway hangs up

    with (
        recorder(stream) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        url = f"{rig.url}/v1/messages"
        with (
            httpx2.Client(trust_env=False, timeout=20) as client,
            client.stream("POST", url, content=_body(stream=True)) as got,
        ):
            next(got.iter_raw())
        assert rig.settled() == Books(302, 1)  # 3000 * 0.10 + 3 words * 0.50, rounded up
        upstream.gone.get(timeout=5)


def _body(*, stream: bool) -> bytes:
    messages = [{"role": "user", "content": "hello"}]
    fields = {"model": "claude-haiku-5-5", "max_tokens": 100, "messages": messages}
    return json.dumps({**fields, "stream": stream}).encode()


def test_an_upstream_that_cannot_be_reached_costs_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with gateway(tmp_path / "집", HELLO, simulator_url=f"http://127.0.0.1:{port}") as rig:
        assert error_of(ask(rig.url)) == (502, "api_error")
        assert rig.settled() == Books(0, 0)


def test_an_upstream_that_breaks_off_is_charged_the_estimate(tmp_path: Path) -> None:
    def broken(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + MESSAGE[:50])
        connection.shutdown(socket.SHUT_RDWR)

    with (
        recorder(broken) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        assert error_of(ask(rig.url)) == (502, "api_error")
        assert rig.settled().messages == 1
        assert rig.settled().microusd > 500  # its 1,000 tokens of output, and its bytes


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"model": "claude-unheard-of"}, "price"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"speed": "fast"}, "speed"),
        ({"messages": "hello"}, "messages"),
    ],
)
def test_what_cannot_be_priced_is_400(tmp_path: Path, fields: dict[str, Any], word: str) -> None:
    with gateway(tmp_path / "집", HELLO) as rig:
        answer = ask(rig.url, **fields)
        assert error_of(answer) == (400, "invalid_request_error")
        assert word in answer.json()["error"]["message"]
        assert rig.settled() == Books(0, 0)


def _key(rig: Rig, name: str, **more: Any) -> str:
    access = Access(rig.house.stores.keys, rig.house.clock)
    secret, _ = rig.do(access.issue(name, f"keys/{name}", **more))
    sleep(1.1)  # the gateway's picture of the keys is at most a second old
    return str(secret)


def test_keys_models_and_policies(tmp_path: Path) -> None:
    with (
        recorder(plain()) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        cheap = _key(rig, "값싼", models=("claude-haiku-*",))
        advised = _key(rig, "advised", policy=Policy.ADVISE)
        steered = _key(rig, "steered", policy=Policy.ENFORCE)

        def by(key: str, model: str) -> httpx2.Response:
            return ask(rig.url, model=model, headers={"x-api-key": key})

        assert error_of(ask(rig.url)) == (403, "permission_error")
        assert error_of(by("hel_wrong", "claude-haiku-5-5")) == (403, "permission_error")
        assert error_of(by("sk-ant-oat01-mine", "claude-haiku-5-5")) == (403, "permission_error")
        assert error_of(by(cheap, "claude-opus-5-5")) == (403, "permission_error")
        assert not upstream.bodies
        assert by(cheap, "claude-haiku-5-5").status_code == 200

        told = by(advised, "claude-fable-5-2")
        assert "claude-" in told.headers["x-helios-advice"]
        assert json.loads(upstream.bodies[-1])["model"] == "claude-fable-5-2"

        served = by(steered, "claude-fable-5-2")
        model = json.loads(upstream.bodies[-1])["model"]
        assert model != "claude-fable-5-2"
        assert served.headers["x-helios-model"].startswith(model)
        assert rig.settled().messages == 3
        rows = rig._rows("SELECT account, model, asked FROM spends ORDER BY seq")
        assert rows[-1] == ("keys/steered/shop", "claude-haiku-5-5", "claude-fable-5-2")


def test_a_project_may_be_stricter_than_its_key_and_never_milder(tmp_path: Path) -> None:
    with (
        recorder(plain()) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):

        def served(key: str, policy: str) -> str:
            sent = {"x-api-key": key, "X-Helios-Policy": policy}
            assert ask(rig.url, model="claude-fable-5-2", headers=sent).status_code == 200
            return str(json.loads(upstream.bodies[-1])["model"])

        free = _key(rig, "free")
        assert served(free, "off") == served(free, "advise") == "claude-fable-5-2"
        assert served(free, "enforce") != "claude-fable-5-2"
        assert served(_key(rig, "steered", policy=Policy.ENFORCE), "off") != "claude-fable-5-2"
        bad = ask(rig.url, headers={"x-api-key": free, "X-Helios-Policy": "milder"})
        assert error_of(bad) == (400, "invalid_request_error")


def test_what_the_provider_says_of_its_windows_is_heard(tmp_path: Path) -> None:
    used = b"anthropic-ratelimit-unified-5h-utilization: 0.42"
    resets = b"anthropic-ratelimit-unified-5h-reset: 4102444800"
    with recorder(plain(200, MESSAGE, used, resets)) as upstream:
        real = {"provider": "anthropic", "api_key": "sk-test", "base_url": upstream.url}
        with gateway(tmp_path / "집", HELLO, simulator_url="", **real) as rig:
            assert "x-helios-simulated" not in ask(rig.url).headers
            assert rig.settled().messages == 1
            signals = _heard(rig)
            assert [(s.window, s.used) for s in signals] == [("five_hour", 0.42)]
            assert upstream.header(b"x-api-key") == [b"sk-test"]


def _heard(rig: Rig) -> Any:
    deadline = perf_counter() + 5
    while not (signals := rig.do(rig.house.stores.budget.latest_signals())):
        assert perf_counter() < deadline
        sleep(0.02)
    return signals


def test_another_model_gets_no_thoughts_it_cannot_read(tmp_path: Path) -> None:
    thought = {"type": "thinking", "thinking": "생각", "signature": "c2ln"}
    said = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "simulated: hm"}]},
        {"role": "user", "content": "and now?"},
    ]
    with (
        recorder(plain()) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        fields = {"model": "claude-fable-5-2", "messages": said}
        key = _key(rig, "steered", policy=Policy.ENFORCE)
        assert ask(rig.url, headers={"x-api-key": key}, **fields).status_code == 200
        asked = json.loads(upstream.bodies[-1])
        assert asked["model"] != "claude-fable-5-2"
        assert asked["messages"] == [
            said[0],
            {**said[1], "content": said[1]["content"][1:]},
            said[2],
        ]
        key = _key(rig, "free")
        assert ask(rig.url, headers={"x-api-key": key}, **fields).status_code == 200
        assert json.loads(upstream.bodies[-1])["messages"] == said


def test_whose_work_it_is(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", HELLO) as rig:
        ask(rig.url, headers={"X-Helios-Project": "acme/shop", "X-Helios-Task": "fix"})
        sent = {"X-Claude-Code-Session-Id": "session-1", "X-Claude-Code-Agent-Id": "agent-7"}
        ask(rig.url, headers=sent, metadata={"user_id": "u"})
        assert rig.settled().messages == 2
        rows = rig._rows("SELECT account, project, task, agent FROM spends ORDER BY seq")
        assert rows == [
            ("acme/shop", "acme/shop", "fix", "local"),
            ("shop", "shop", "session-1", "agent-7"),
        ]
        named = rig._rows("SELECT message_id FROM spends")
        assert len({name for (name,) in named if name.startswith("msg_sim_")}) == 2
        bad = ask(rig.url, headers={"X-Helios-Project": "../up"})
        assert error_of(bad) == (400, "invalid_request_error")
        assert "x-helios-project" in bad.json()["error"]["message"]
