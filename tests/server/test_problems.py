"""Whatever goes wrong is told as a problem document, with the place and the cure."""

import http.client
import json

import pytest

from tests.server.faces import BUDGET, Face

HUGE = "9" * 5000


def assert_problem(answer, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["status"], told["code"]) == (status, code)
    assert told["title"]
    assert told["detail"]
    assert told["next_step"]
    return told


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"estimated_messages": -1}, "#/estimated_messages"),
        ({"estimated_messages": 0}, "#/estimated_messages"),
        ({"estimated_messages": 10**30}, "#/estimated_messages"),
        ({"estimated_messages": "3"}, "#/estimated_messages"),
        ({"estimated_messages": 1.5}, "#/estimated_messages"),
        ({"estimated_messages": True}, "#/estimated_messages"),
        ({"estimated_messages": float("nan")}, "#/estimated_messages"),
        ({"wait_s": float("nan")}, "#/wait_s"),
        ({"wait_s": float("inf")}, "#/wait_s"),
        ({"wait_s": 61}, "#/wait_s"),
        ({"priority": 11}, "#/priority"),
        ({"requires_opus": "yes"}, "#/requires_opus"),
        ({"max_tokens": 10**10}, "#/max_tokens"),
        ({"task_id": None}, "#/task_id"),
        ({"task_id": "한" * 201}, "#/task_id"),
        ({"task_id": "a\x00b"}, "#/task_id"),
        ({"task_id": "\ud800"}, "#/task_id"),
        ({"request_id": "두 낱말"}, "#/request_id"),
        ({"account": "a//b"}, "#/account"),
        ({"estimated_message": 3}, "#/estimated_message"),
        ({"a/b~c": 3}, "#/a~1b~0c"),
        ({"\ud800": 3}, "#"),
    ],
)
def test_a_wrong_field_is_pointed_at(face: Face, change: dict, pointer: str) -> None:
    answer = face.raw("request", json.dumps(change).encode())
    told = assert_problem(answer, 422, "invalid-input")
    assert [error["pointer"] for error in told["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"priority": 5', "application/json"),
        (b"\xff\xfe\xfa{}", "application/json"),
        ('{"task_id": "안녕"}'.encode("euc-kr"), "application/json"),
        (f'{{"priority": {HUGE}}}'.encode(), "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"{}", "text/plain"),
        (b"a=b", "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_is_no_json_is_refused(face: Face, content: bytes, kind: str) -> None:
    told = assert_problem(face.raw("request", content, kind), 422, "bad-body")
    assert told["errors"][0]["pointer"] == "#"


def test_a_body_that_is_no_object_or_missing_is_refused(face: Face) -> None:
    for content in (b"[]", b'"x"', b"null", b""):
        told = assert_problem(face.raw("request", content), 422, "invalid-input")
        assert told["errors"][0]["pointer"] == "#"


def test_a_body_too_large_is_refused(face: Face) -> None:
    body = json.dumps({"task_id": "x" * 1_000_000}).encode()
    told = assert_problem(face.raw("request", body), 422, "body-too-large")
    assert told["errors"][0]["pointer"] == "#"

    def chunks():
        yield b'{"task_id": "'
        for _ in range(20):
            yield b"x" * 100_000

    headers = {"Content-Type": "application/json"}
    answer = face.client.post(f"{BUDGET}/request", content=chunks(), headers=headers)
    assert_problem(answer, 422, "body-too-large")


def test_many_wrong_fields_are_counted_and_the_first_are_listed(face: Face) -> None:
    answer = face.post("request", {f"x{n}": 1 for n in range(1000)})
    told = assert_problem(answer, 422, "invalid-input")
    assert "1000 fields" in told["detail"]
    assert "980 of them not listed" in told["detail"]
    assert len(told["errors"]) == 20


def test_an_unknown_model_is_refused_with_those_known(face: Face) -> None:
    told = assert_problem(face.post("request", {"preferred_model": "거북이"}), 422, "unknown-price")
    assert told["errors"][0]["pointer"] == "#/preferred_model"
    assert "claude" in told["next_step"]
    told = assert_problem(face.post("record-usage", {"model": "거북이"}), 422, "unknown-price")
    assert told["errors"][0]["pointer"] == "#/model"


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("summary?by=colour", "by"),
        ("summary?untl=5", "untl"),
        ("history?most=0", "most"),
        ("history?most=1001", "most"),
        ("limits?account=a//b", "account"),
        ("history?limit=%00", "limit"),
        ("history?limit=%FF%FE", None),
    ],
)
def test_a_wrong_query_is_named(face: Face, path: str, parameter: str | None) -> None:
    answer = face.get(path)
    if parameter is None:  # not UTF-8: read as replacement characters, so it names no limit
        assert answer.json()["items"] == []
        return
    told = assert_problem(answer, 422, "invalid-input")
    assert told["errors"][0]["parameter"] == parameter


def test_a_wrong_key_in_the_header_is_named(face: Face) -> None:
    answer = face.post("request", {}, headers={"Idempotency-Key": "two words"})
    told = assert_problem(answer, 422, "invalid-input")
    assert told["errors"][0]["parameter"] == "Idempotency-Key"


def test_unknown_paths_and_methods(face: Face) -> None:
    for path in ("/api", f"{BUDGET}/nothing", "/없는/길"):
        assert_problem(face.client.get(path), 404, "not-found")
    answer = face.client.delete(f"{BUDGET}/status")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET"
    answer = face.client.post(f"{BUDGET}/limits/x", json={})
    assert_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "PUT", "DELETE"}


def test_a_name_pointed_here_by_a_stranger_is_refused(face: Face) -> None:
    answer = face.get("status", headers={"Host": "evil.example"})
    assert_problem(answer, 421, "wrong-host")
    for host in ("localhost:8002", "127.0.0.1", "[::1]:8002", "LOCALHOST"):
        assert face.get("status", headers={"Host": host}).status_code == 200


def test_nonsense_instead_of_http_ends_the_connection_only(face: Face) -> None:
    host, port = face.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.connect()
    connection.sock.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
    assert b"400" in connection.sock.recv(100)
    connection.close()
    assert face.get("status").status_code == 200
