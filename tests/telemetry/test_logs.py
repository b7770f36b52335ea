"""The log: a JSON object a line, what people must not see left out, nothing on the terminal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from helios.domain.ids import RunId
from helios.ports.events import RunEvent
from helios.telemetry.event_log import logged
from helios.telemetry.logs import configure_logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "helios.jsonl").read_text("utf-8").splitlines()]


def test_lines_carry_the_facts_and_korean_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(tmp_path, "info", simulated=True)
    structlog.get_logger("helios.task").info("시작", task="고치기")
    (line,) = lines(tmp_path)
    assert (line["event"], line["task"], line["simulated"], line["level"]) == (
        *("시작", "고치기", True, "info"),
    )
    assert "고치기" in (tmp_path / "helios.jsonl").read_text("utf-8")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "said",
    [
        {"api_key": "hunter2-abcdef"},
        {"headers": {"Authorization": "hunter2-abcdef"}},
        {"text": "the key is sk-ant-hunter2-abcdef, keep it"},
        {"text": "the key is hel_-hunter2_" + "a" * 34},
        {"deep": [{"password": "hunter2-abcdef"}]},
    ],
)
def test_secrets_are_left_out(tmp_path: Path, said: dict[str, Any]) -> None:
    configure_logs(tmp_path, "info")
    structlog.get_logger("helios.api").warning("called", **said)
    assert "hunter2" not in (tmp_path / "helios.jsonl").read_text("utf-8")
    assert len(lines(tmp_path)) == 1


def test_the_level_holds(tmp_path: Path) -> None:
    configure_logs(tmp_path, "warning")
    structlog.get_logger("helios.task").info("quiet")
    structlog.get_logger("helios.task").warning("loud")
    assert [line["event"] for line in lines(tmp_path)] == ["loud"]


def test_configuring_again_writes_every_line_once(tmp_path: Path) -> None:
    for _ in range(3):
        configure_logs(tmp_path, "info")
    structlog.get_logger("helios.task").info("once")
    assert len(lines(tmp_path)) == 1


def test_events_are_logged_and_handed_on(tmp_path: Path) -> None:
    configure_logs(tmp_path, "info")
    told: list[RunEvent] = []
    event = RunEvent(RunId("r.1"), "call", 1.0, "fix", {"model": "m", "cost_microusd": 5}, 7)
    logged(told.append)(event)
    logged(None)(event)
    assert told == [event]
    assert [(line["event"], line["run"], line["seq"]) for line in lines(tmp_path)] == [
        ("call", "r.1", 7)
    ] * 2
