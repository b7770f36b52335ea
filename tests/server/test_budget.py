"""The budget's endpoints, in the shapes that callers know."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from helios.testing.clock import MovableClock
from tests.server.faces import Face, serving

FIGURES = {
    "current_window", "budget_health", "usage_percentage", "messages_remaining", "is_throttling",
}  # fmt: skip
METRICS = {
    "messages_per_hour", "cost_efficiency", "opus_usage_percentage", "sonnet_usage_percentage",
}  # fmt: skip
WISH = {
    "task_id": "작업-1",
    "project_id": "프로젝트",
    "agent_type": "coder",
    "preferred_model": "opus",
    "estimated_messages": 3,
    "priority": 5,
    "requires_opus": False,
}


def test_status_has_the_shapes_that_callers_know(face: Face) -> None:
    told = face.get("status").json()
    assert told["status"] in ("normal", "throttle", "critical", "paused")
    assert set(told["budget"]) >= FIGURES
    assert set(told["metrics"]) >= METRICS
    assert told["simulated"] is True
    assert {gauge["source"] for gauge in told["gauges"]} == {"Helios's ledger"}
    assert all(gauge["age_s"] >= 0 for gauge in told["gauges"])
    assert told["age_s"] >= 0
    flat = face.get("metrics").json()
    assert set(flat) >= FIGURES | METRICS
    assert set(face.get("/api/v1/helios/metrics").json()) == set(flat)


def test_allocated_used_and_counted(fresh: Face) -> None:
    answer = fresh.post("request", WISH).json()
    assert answer["allocated"] is True
    assert "opus" in answer["allocated_model"]
    assert answer["decision_reason"].startswith("fits")
    assert answer["lease_until"] > 0
    told = fresh.get("status").json()
    assert (told["budget"]["current_window"]["held"], told["gauges"][1]["held"]) == (3, 3)
    assert told["budget"]["messages_remaining"] == 897
    used = {
        "request_id": answer["request_id"], "model": answer["allocated_model"], "messages": 2,
        "input_tokens": 1000, "output_tokens": 100, "project_id": "프로젝트", "task_id": "작업-1",
        "agent_type": "coder",
    }  # fmt: skip
    booked = fresh.post("record-usage", used).json()
    assert booked["recorded"] is True
    assert booked["cost_usd"] == pytest.approx((1000 * 4 + 100 * 20) / 1e6)
    window = fresh.get("status").json()["budget"]["current_window"]
    assert (window["spent"], window["held"]) == (2, 0)
    told = fresh.get("metrics").json()
    assert told["opus_usage_percentage"] == 100
    assert told["messages"] == 2
    for by, name in (("project", "프로젝트"), ("task", "작업-1"), ("agent", "coder")):
        told = fresh.get("summary", params={"by": by}).json()
        assert [item["name"] for item in told["items"]] == [name]
        assert told["total"]["messages"] == 2
    assert fresh.post("record-usage", used).json()["recorded"] is True
    assert fresh.get("summary").json()["total"]["messages"] == 2
    assert fresh.get("history").json()["items"][0]["spent"] == 2


def test_the_same_request_twice_books_once(fresh: Face) -> None:
    key = {"Idempotency-Key": "한번만".encode().hex()}
    first, again = (fresh.post("request", WISH, headers=key).json() for _ in range(2))
    assert first["request_id"] == again["request_id"] == key["Idempotency-Key"]
    assert first["allocated"] is again["allocated"] is True
    assert first["fence"] == again["fence"]
    assert fresh.get("status").json()["budget"]["current_window"]["held"] == 3
    other = fresh.post("request", {**WISH, "request_id": "other"}, headers=key)
    assert other.status_code == 422
    assert other.json()["errors"][0]["pointer"] == "#/request_id"


def test_given_back_and_free_again(fresh: Face) -> None:
    answer = fresh.post("request", WISH).json()
    given = {"request_id": answer["request_id"], "fence": answer["fence"]}
    assert fresh.post("release", given).json() == {
        "request_id": answer["request_id"], "state": "released",
    }  # fmt: skip
    assert fresh.get("status").json()["budget"]["current_window"]["held"] == 0
    wrong = fresh.post("release", {**given, "request_id": "nobody's"})
    assert wrong.status_code == 409
    assert wrong.json()["code"] == "reservation-lost"


def test_a_refusal_is_an_answer_with_its_reason(fresh: Face) -> None:
    answer = fresh.post("request", {**WISH, "estimated_messages": 901})
    assert answer.status_code == 200
    told = answer.json()
    assert told["allocated"] is False
    assert told["allocated_model"] is None
    assert "five-hour window" in told["decision_reason"]
    assert told["binding"].endswith("five-hour/messages")


def test_a_full_window_gives_the_cheaper_model_and_then_only_the_urgent(fresh: Face) -> None:
    filling = {**WISH, "preferred_model": "sonnet", "estimated_messages": 740}
    assert fresh.post("request", filling).json()["allocated"] is True
    told = fresh.post("request", WISH).json()
    assert told["zone"] == "throttle"
    assert "sonnet" in told["allocated_model"]
    assert fresh.get("status").json()["budget"]["is_throttling"] is True
    assert fresh.get("health").json()["health"] == "red"
    assert fresh.post("request", {**filling, "estimated_messages": 120}).json()["allocated"] is True
    refused = fresh.post("request", {**WISH, "estimated_messages": 1}).json()
    assert refused["allocated"] is False
    assert "priority 8" in refused["decision_reason"]
    urgent = fresh.post("request", {**WISH, "estimated_messages": 1, "priority": 8}).json()
    assert urgent["allocated"] is True


def test_the_brake_holds_at_once_and_ends_by_itself(tmp_path: Path) -> None:
    clock = MovableClock()
    with serving(tmp_path, clock=clock) as face:
        told = face.post("throttle", {"level": "paused", "for": 60, "reason": "점심", "by": "나"})
        assert told.json() == {
            "level": "paused", "set_at": clock.now(), "until": clock.now() + 60,
            "reason": "점심", "by": "나",
        }  # fmt: skip
        refused = face.post("request", WISH).json()
        assert refused["allocated"] is False
        assert "점심" in refused["decision_reason"]
        assert refused["resets_at"] == clock.now() + 60
        assert face.get("status").json()["status"] == "paused"
        clock.move(61)
        assert face.post("request", WISH).json()["allocated"] is True
        assert face.get("status").json()["throttle"]["level"] == "off"
        over = face.post("throttle", {"level": "throttle", "until": clock.now() - 1})
        assert over.status_code == 422
        assert over.json()["errors"][0]["pointer"] == "#/until"
        assert face.post("throttle", {"level": "critical"}).json()["until"] is None
        assert face.post("throttle", {"level": "off"}).json()["level"] == "off"
        assert face.get("status").json()["status"] == "normal"


def test_usage_that_nobody_asked_for_is_booked_in_full(fresh: Face) -> None:
    used = {
        "model": "claude-haiku-5-5",
        "messages": 1000,
        "input_tokens": 5,
        "request_id": "밖".encode().hex(),
    }
    assert fresh.post("record-usage", used).status_code == 200
    window = fresh.get("status").json()["budget"]["current_window"]
    assert window["spent"] == 1000
    assert fresh.get("history").json()["items"][0]["breach"] == 100


def test_times_are_understood_as_seconds_and_as_dates(face: Face) -> None:
    span = {"since": "2026-11-21T09:00:00+09:00", "until": 1_800_000_000}
    told = face.get("summary", params=span).json()
    assert (told["since"], told["until"]) == (1_795_219_200.0, 1_800_000_000.0)
    for since in ("yesterday", "NaN", "inf", "-1", "2026-11-21T09:00:00"):
        wrong = face.get("summary", params={"since": since})
        assert wrong.status_code == 422, since
        assert wrong.json()["errors"][0]["parameter"] == "since"
    assert face.get("summary", params={"since": 5, "until": 4}).status_code == 422


def test_history_says_when_there_is_more(tmp_path: Path) -> None:
    clock = MovableClock()
    with serving(tmp_path, clock=clock) as face:
        for _ in range(3):
            face.post("request", WISH)
            clock.move(6 * 3600)
        told = face.get("history", params={"most": 2}).json()
        assert (len(told["items"]), told["more"]) == (2, True)
        every = face.get("history")
        assert (len(every.json()["items"]), every.json()["more"]) == (3, False)
        tag = every.headers["etag"]
        assert face.get("history", headers={"If-None-Match": tag}).status_code == 304
        face.post("request", WISH)
        assert face.get("history", headers={"If-None-Match": tag}).status_code == 200


def test_waiting_until_others_give_back(fresh: Face) -> None:
    held = fresh.post("request", {"estimated_messages": 900, "priority": 10}).json()
    wish = {"estimated_messages": 1, "priority": 10, "wait_s": 20}
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(fresh.post, "request", wish)
        time.sleep(0.3)
        assert not waiting.done()
        fresh.post("release", {"request_id": held["request_id"], "fence": held["fence"]})
        assert waiting.result().json()["allocated"] is True


def test_who_hangs_up_while_waiting_takes_nothing(fresh: Face) -> None:
    held = fresh.post("request", {"estimated_messages": 900, "priority": 10}).json()
    wish = {"estimated_messages": 1, "priority": 10, "wait_s": 20}
    with pytest.raises(httpx2.ReadTimeout):
        fresh.post("request", wish, timeout=0.3)
    time.sleep(0.2)
    fresh.post("release", {"request_id": held["request_id"], "fence": held["fence"]})
    time.sleep(0.5)
    assert fresh.get("status").json()["budget"]["messages_remaining"] == 900


def test_callers_at_the_same_moment_never_get_more_than_there_is(tmp_path: Path) -> None:
    with serving(tmp_path, plan_messages="60") as face, ThreadPoolExecutor(20) as pool:
        wish = {"priority": 10, "estimated_messages": 1}
        answers = list(pool.map(lambda _: face.post("request", wish).json(), range(90)))
        assert sum(answer["allocated"] for answer in answers) == 60
        assert face.get("status").json()["budget"]["messages_remaining"] == 0


def test_a_ceiling_lowered_below_what_is_spent_refuses_and_breaks_nothing(fresh: Face) -> None:
    limit = "/api/v1/helios/budget/limits/총량"
    body = {"unit": "messages", "cap": 5, "window": {"kind": "forever"}}
    assert fresh.client.put(limit, json=body).status_code == 200
    assert fresh.post("request", {"estimated_messages": 4}).json()["allocated"] is True
    assert fresh.client.put(limit, json={**body, "cap": 2}).status_code == 200
    told = fresh.post("request", {}).json()
    assert (told["allocated"], told["binding"].split("/")[-2]) == (False, "총량")
    assert fresh.client.put(limit, json={**body, "cap": 5}).status_code == 200
    assert fresh.post("request", {}).json()["allocated"] is True


def test_a_caller_cannot_touch_the_requests_of_runs(fresh: Face, tmp_path: Path) -> None:
    import sqlite3

    fresh.post("request", {**WISH, "request_id": "p-1.1/fix/1.1"})
    with sqlite3.connect(tmp_path / "집" / "helios.db") as books:
        names = [name for (name,) in books.execute("select request_id from ledger_entries")]
    assert names == ["api/simulated/p-1.1/fix/1.1"]


def test_the_story_is_the_same_on_either_store(tmp_path: Path, store_url: str) -> None:
    with serving(tmp_path, database=store_url) as face:
        limit = {"unit": "tokens", "cap": 50_000, "window": {"kind": "month", "zone": "Asia/Seoul"}}
        path = "/api/v1/helios/budget/limits/회사/한달"
        assert face.client.put(path, json=limit).json()["account"] == "회사"
        wish = {
            **WISH,
            "estimated_messages": 1,
            "account": "회사",
            "request_id": "하나".encode().hex(),
        }
        answer = face.post("request", wish).json()
        assert answer["allocated"] is True
        assert (
            face.post("request", {**wish, "request_id": "b", "estimated_messages": 2})
            .json()["binding"]
            .endswith("회사/한달/tokens")
        )
        used = {"request_id": answer["request_id"], "model": "strong", "input_tokens": 7,
                "account": "회사", "project_id": "가게"}  # fmt: skip
        assert face.post("record-usage", used).json()["tokens"]["input"] == 7
        sums = face.get("summary", params={"by": "account"}).json()["items"]
        assert [(item["name"], item["messages"]) for item in sums] == [("회사", 1)]
        limit = {"limit": "simulated/account/회사/한달/tokens"}
        assert face.get("history", params=limit).json()["items"][0]["spent"] == 7
        assert face.post("throttle", {"level": "throttle", "for": 9, "reason": "쉬자"}).json()[
            "until"
        ]
        assert face.get("status").json()["throttle"]["reason"] == "쉬자"
        assert face.client.delete(path).status_code == 204
