"""What a wrong command line, setting or environment is told."""

import socket
from pathlib import Path

import pytest

from helios.cli.main import run
from helios.cli.summary_view import _short
from helios.cli.terminal import clock_time
from helios.config import load_settings
from helios.errors import UsageError
from tests.cli.test_commands import SMALL, project
from tests.e2e.helios_process import Helios


@pytest.mark.parametrize(
    ("words", "said", "cure"),
    [
        (["budget", "sett"], "`helios budget` has no command 'sett'", "Did you mean set"),
        (["keys", "lst"], "lst", "`helios keys --help`"),
        (["keys", "create"], "`helios keys create` needs NAME", "`helios keys create --help`"),
        (["keys", "revoke", "a", "b"], "takes no 'b'", "`helios keys revoke --help`"),
        (["budget", "set", "cap", "-5usd"], "'-5usd' is not possible", "budget set --help"),
        (["budget", "export", "--foo", "3"], "--foo", "`helios budget export --help`"),
        (["rnu"], "rnu", "`helios --help`"),
    ],
)
def test_a_wrong_command_line_is_told_the_commands_own_help(
    words: list[str], said: str, cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert cure in told.err
    assert "Token" not in told.err


def test_with_json_it_is_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["budget", "sett", "--json"]) == 2
    assert '"error": "usage"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "said", "cure"),
    [
        ("HELIOS_GATEWAY_HOLD", "1m", "must be a number", "Seconds, such as 60."),
        ("HELIOS_GATEWAY_HOLD", "nan", "must be a number", "Seconds"),
        ("HELIOS_GATEWAY_HOLD", "-1", "not be negative", "Seconds"),
        ("HELIOS_HUMAN_RESERVE", "20", "less than 1", "Such as 0.2, which is 20%."),
        ("HELIOS_PLAN_MESSAGES", "viele", "must be a whole number", "Such as 900."),
        ("HELIOS_PLAN_ONLY", "maybe", "true or false", "docs/settings.md"),
    ],
)
def test_a_wrong_setting_says_what_it_may_be(
    name: str, value: str, said: str, cure: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        load_settings({}, {name: value, "HELIOS_CONFIG": str(tmp_path / "none.toml")})
    assert "convert" not in raised.value.message
    assert cure in raised.value.next_step


def test_a_clock_time_says_the_day_when_it_is_not_this_one() -> None:
    noon = 1_800_000_000.0
    assert len(clock_time(noon + 3600, noon)) == 5
    assert len(clock_time(noon - 3600, noon)) == 5
    for away in (86_400, 3 * 86_400, -86_400):
        assert clock_time(noon + away, noon).startswith("2027-01-")
    assert clock_time(None, noon) == "never"


def test_a_report_is_named_as_it_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, report = tmp_path / "here", tmp_path / "home" / "runs" / "r" / "report.md"
    here.mkdir()
    report.parent.mkdir(parents=True)
    report.touch()
    for folder in (here, tmp_path, report.parent):
        monkeypatch.chdir(folder)
        assert Path(_short(report)).exists()
    assert _short(report) == "report.md"


def test_a_brake_for_days_says_the_day(tmp_path: Path) -> None:
    helios = Helios(tmp_path / "home")
    set_ = helios.run("budget", "throttle", "critical", "--for", "3d")
    until = set_.err.split("until ")[1].strip()
    assert len(until) == len("2027-01-31 14:05")
    assert f"until {until}" in helios.run("budget").out


def test_plan_says_that_run_will_refuse(tmp_path: Path) -> None:
    helios = Helios(tmp_path / "home")
    path = project(tmp_path, SMALL + "  둘: {agent: coder, prompt: x}\n")
    planned = helios.run("plan", str(path))
    assert planned.code == 0, planned.err
    assert "`helios run` will refuse" in planned.err
    assert "next:" not in planned.err
    path.write_text(SMALL, encoding="utf-8")
    assert "next: helios run" in helios.run("plan", str(path)).err


def test_a_taken_port_is_a_conflict(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = Helios(tmp_path / "home").run("simulate-provider", "--port", port)
    assert refused.code == 7, refused.err
    assert "another port" in refused.err


def test_help_says_what_there_is(tmp_path: Path) -> None:
    helios = Helios(tmp_path / "home")
    assert "gateway" in next(line for line in helios.run().out.splitlines() if " serve " in line)
    assert "A first try" in helios.run("--help").out
    for words in (["budget"], ["budget", "set"], ["keys", "create"], ["run"]):
        assert "A first try" not in helios.run(*words, "--help").out
    assert "claude-code" in helios.run("run", "--help").out


def test_an_empty_export_has_the_same_columns_and_a_document(tmp_path: Path) -> None:
    helios = Helios(tmp_path / "home")
    heads = helios.run("budget", "export").out.strip().split(",")
    assert heads[:3] == ["name", "messages", "input_tokens"]
    assert heads[-1] == "cost_usd"
    document = helios.run("budget", "export", "--json").data
    assert (document["schema"], document["by"], document["rows"]) == (1, "model", [])
