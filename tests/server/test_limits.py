"""Ceilings of accounts: set, read, heeded, forgotten."""

import pytest

from tests.server.faces import Face

DAILY = {
    "unit": "messages", "cap": 5, "window": {"kind": "day", "zone": "Asia/Seoul"}, "zoned": True,
    "thresholds": {"throttle": 0.5, "critical": 0.9},
}  # fmt: skip


def put(face: Face, path: str, body: object) -> "object":
    return face.client.put(f"/api/v1/helios/budget/limits/{path}", json=body)


def test_a_ceiling_binds_its_account_and_those_below_at_once(fresh: Face) -> None:
    told = put(fresh, "회사/모바일/하루", DAILY).json()
    assert (told["account"], told["name"]) == ("회사/모바일", "하루")
    assert told["thresholds"]["critical"] == 0.9
    assert fresh.get("limits/회사/모바일/하루").json() == told
    wish = {"estimated_messages": 6, "account": "회사/모바일/가게"}
    refused = fresh.post("request", wish).json()
    assert refused["allocated"] is False
    assert refused["binding"].endswith("회사/모바일/하루/messages")
    assert fresh.post("request", {**wish, "account": "회사"}).json()["allocated"] is True
    listed = fresh.get("limits", params={"account": "회사/모바일"}).json()["items"]
    assert listed == [told]
    assert fresh.get("limits", params={"account": "회사"}).json()["items"] == []


def test_a_ceiling_of_everybody_is_replaced_and_forgotten(fresh: Face) -> None:
    window = {"kind": "anchored", "hours": 168, "anchor": "2026-11-16T00:00:00+09:00"}
    body = {"unit": "microusd", "cap": 10_000_000, "window": window, "strong_only": True}
    first = put(fresh, "weekly", body).json()
    assert (first["account"], first["key"]) == ("", "everybody/weekly/microusd")
    assert first["window"]["anchor"] == 1_794_754_800.0
    tag = fresh.get("limits/weekly").headers["etag"]
    assert fresh.get("limits/weekly", headers={"If-None-Match": tag}).status_code == 304
    put(fresh, "weekly", {**body, "cap": 7})
    assert fresh.get("limits/weekly", headers={"If-None-Match": tag}).json()["cap"] == 7
    assert "everybody/weekly/microusd" in {g["key"].removeprefix("simulated/") for g in
                                  fresh.get("status").json()["gauges"]}  # fmt: skip
    gone = fresh.client.delete("/api/v1/helios/budget/limits/weekly")
    assert (gone.status_code, gone.content) == (204, b"")
    assert fresh.client.delete("/api/v1/helios/budget/limits/weekly").status_code == 404
    told = fresh.get("limits/weekly").json()
    assert told["code"] == "not-found"
    assert told["detail"] == "there is no ceiling weekly of everybody"
    assert "GET limits" in told["next_step"]
    assert "day of 회사" in fresh.get("limits/회사/day").json()["detail"]


@pytest.mark.parametrize(
    "window",
    [
        {"kind": "forever"},
        {"kind": "on-use", "hours": 5},
        {"kind": "anchored", "hours": 24.5, "anchor": 3600},
        {"kind": "month", "zone": "America/Argentina/Buenos_Aires"},
    ],
)
def test_every_window_comes_back_as_it_was_set(face: Face, window: dict[str, object]) -> None:
    told = put(face, "w", {"unit": "tokens", "cap": 0, "window": window}).json()
    assert {key: told["window"][key] for key in window} == window


@pytest.mark.parametrize(
    ("path", "change", "pointer"),
    [
        ("a", {"cap": -1}, "#/cap"),
        ("a", {"cap": 10**16}, "#/cap"),
        ("a", {"cap": 1.5}, "#/cap"),
        ("a", {"unit": "gold"}, "#/unit"),
        ("a", {"window": {"kind": "on-use"}}, "#/window"),
        ("a", {"window": {"kind": "day", "hours": 3}}, "#/window"),
        ("a", {"window": {"kind": "day", "zone": "Mars/Olympus"}}, "#/window/zone"),
        ("a", {"window": {"kind": "day", "zone": "../../etc/passwd"}}, "#/window/zone"),
        ("a", {"thresholds": {"throttle": 0.9, "critical": 0.5}}, "#/thresholds"),
        ("a", {"thresholds": {"yellow": 1.5}}, "#/thresholds/yellow"),
        ("-x", {}, None),
        ("a//b", {}, None),
        ("a/b/c/d/e/f/g/h/i/j", {}, None),
    ],
)
def test_a_wrong_ceiling_is_refused(
    face: Face, path: str, change: dict[str, object], pointer: str | None
) -> None:
    answer = put(face, path, {**DAILY, **change})
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert (error["pointer"], error["parameter"]) == (pointer, None if pointer else "rule")
