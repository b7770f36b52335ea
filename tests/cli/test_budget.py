"""`helios budget` and what it sets, as a user meets it."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from helios.telemetry.system_clock import SystemClock
from tests.cli.test_commands import SMALL, project
from tests.e2e.helios_process import EXAMPLE, Helios


@pytest.fixture
def helios(tmp_path: Path) -> Helios:
    return Helios(tmp_path / "home", sandbox="direct")


def test_a_ceiling_is_set_shown_and_taken_away(helios: Helios) -> None:
    team = helios.run("budget", "set", "cap", "40", "--account", "acme/웹")
    assert team.code == 0, team.err
    set_ = helios.run("budget", "set", "cap", "2.50", "usd", "--per", "day")
    assert set_.code == 0, set_.err
    assert "everybody: at most $2.50 per day (cap)" in set_.err
    limits = {g["key"]: g for g in helios.run("budget", "--json").data["limits"]}
    assert limits["simulated/everybody/cap/microusd"]["cap"] == 2_500_000
    shown = helios.run("budget").out
    assert "cap of everybody $0.00/$2.50" in shown
    assert "cap of acme/웹 0/40" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert helios.run("budget", "unset", "cap").code == 0
    again = helios.run("budget", "unset", "cap")
    assert again.code == 2
    assert "Set: cap of acme/웹." in again.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "a b", "5"], "'a b' must be"),
        (["set", "cap", "5", "--account", "a//b"], "must be"),
        (["set", "cap", "0"], "not possible"),
        (["set", "cap", "nan"], "expected an amount"),
        (["set", "cap", "many"], "many"),
        (["throttle", "critical", "--for", "soon"], "--for 'soon'"),
        (["throttle", "harder"], "harder"),
        (["reserve", "a lot"], "no share"),
        (["reserve", "150%"], "less than 1"),
        (["reserve", "20"], "Did you mean 20%?"),
        (["export", "--days", "-1"], "--days -1"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    helios: Helios, words: list[str], said: str
) -> None:
    refused = helios.run("budget", *words)
    assert refused.code == 2, refused.err
    assert said in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.slow
def test_an_accounts_ceiling_stops_its_projects(helios: Helios, tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_text("answers: [{when: {contains: x}, text: x}]", "utf-8")
    text = SMALL.replace("tasks:", "answers: answers.yaml\nbudget: {account: acme/웹}\ntasks:")
    path = project(tmp_path, text + "  둘: {agent: coder, prompt: x, model: strong}\n")
    assert helios.run("budget", "set", "cap", "0.01", "usd", "--account", "acme").code == 0
    stopped = helios.run("run", str(path), "--no-wait")
    assert stopped.code == 4, stopped.err
    assert "cap of acme" in stopped.err


def test_the_brake_is_shown_and_lifted(helios: Helios) -> None:
    braked = helios.run("budget", "throttle", "critical", "--for", "2h", "--reason", "배포 중")
    assert braked.code == 0, braked.err
    shown = helios.run("budget").out
    assert "critical" in shown
    assert "배포 중" in shown
    assert helios.run("budget", "throttle", "off").code == 0
    assert "brake" not in helios.run("budget").out


def test_a_reserve_is_kept_in_the_users_file(helios: Helios) -> None:
    helios.home.mkdir()
    config = helios.home / "no-config.toml"
    config.write_text('# mine\nlog_level = "debug"\n', encoding="utf-8")
    for share in ("20%", "0.25"):
        assert helios.run("budget", "reserve", share).code == 0
    assert config.read_text("utf-8") == '# mine\nlog_level = "debug"\nhuman_reserve = 0.25\n'
    labels = {g["label"]: g["cap"] for g in helios.run("budget", "--json").data["limits"]}
    assert labels["agents' part of the five-hour window"] == 675


@pytest.mark.slow
def test_spending_is_exported_and_a_formula_is_text(helios: Helios, tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_text(
        "answers: [{when: {contains: x}, tool: submit_patch, input: {summary: s, edits: []}}]",
        "utf-8",
    )
    text = SMALL.replace("name: 작은 일", "name: '=1+1'")
    text = text.replace("tasks:", "answers: answers.yaml\ntasks:")
    path = project(tmp_path, text + "  둘: {agent: coder, prompt: x, retries: 0}\n")
    helios.run("run", str(path))
    for by in ("model", "project", "agent", "task"):
        told = helios.run("budget", "export", "--by", by).out
        (row,) = csv.DictReader(io.StringIO(told))
        assert row["messages"] == "1"
        assert row["name"][:1] != "="
    (row,) = helios.run("budget", "export", "--format", "json").data
    assert row["cost_usd"] > 0
    bad = helios.run("budget", "export", "--to", str(tmp_path / "없는" / "파일.csv"))
    assert bad.code == 2


def test_history_is_told(helios: Helios) -> None:
    assert "no windows yet" in helios.run("budget", "history").out
    assert helios.run("budget", "history", "--json").data["windows"] == []


def test_a_plan_says_when_it_is_done_across_windows(tmp_path: Path) -> None:
    tight = Helios(tmp_path / "home", more={"HELIOS_PLAN_MESSAGES": "5"})
    planned = tight.run("plan", str(EXAMPLE), "--json")
    assert planned.code == 4
    assert planned.data["ends_at"]["windows"]["p50"] >= planned.data["messages"]["p50"] / 5
    shown = tight.run("plan", str(EXAMPLE)).out
    assert "nine times in ten by" in shown
    assert "windows" in shown


def transcript_line(message: str, ago_s: float, output: int = 40) -> str:
    at = datetime.fromtimestamp(SystemClock().now() - ago_s, UTC)
    usage = {"input_tokens": 10, "output_tokens": output}
    body = {"id": message, "model": "claude-opus-5-5", "usage": usage}
    row = {"type": "assistant", "timestamp": at.isoformat(), "requestId": f"req_{message}"}
    return json.dumps({**row, "message": body}) + "\n"


def test_what_claude_code_used_beside_helios_is_booked_once(helios: Helios, tmp_path: Path) -> None:
    folder = tmp_path / "기록" / "project"
    folder.mkdir(parents=True)
    lines = [transcript_line("a", 600), transcript_line("a", 599, 90), transcript_line("b", 60)]
    old = transcript_line("old", 3 * 86_400)
    (folder / "s.jsonl").write_text("".join([*lines, old, "not json\n"]), encoding="utf-8")
    resets_at = SystemClock().now() + 4 * 3600
    told = {"five_hour": {"utilization": 0.42, "resetsAt": resets_at}}
    event = {"type": "rate_limit_event", "rate_limit_info": {"unifiedWindows": told}}
    (tmp_path / "events.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")
    words = ["budget", "learn", str(tmp_path / "events.jsonl"), "--transcripts", str(folder.parent)]
    for booked, known in (("2 new calls", 0), ("0 new calls", 2)):
        learnt = helios.run(*words)
        assert learnt.code == 0, learnt.err
        assert f"{booked} booked, {known} known before; 1 figure" in " ".join(learnt.err.split())
        assert "made no sense" in learnt.err
    real = helios.run("budget", "--real", "--json").data
    window = real["limits"][0]
    assert (real["simulated"], window["spent"]) == (False, 2)
    assert (window["provider"]["used"], window["provider"]["source"]) == (0.42, "cli")
    assert window["cap"] < 900, "what others used of the window is not Helios's to spend"
    assert [row["name"] for row in real["by_project"]] == ["outside Helios"]
    assert helios.run("budget", "--json").data["limits"][0]["spent"] == 0
    shown = helios.run("budget", "--real").out
    assert "the provider says 42% (cli" in shown
    missing = helios.run("budget", "learn", str(tmp_path / "nothing.jsonl"))
    assert missing.code == 2
