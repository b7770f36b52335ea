"""The command line as a user meets it: words, codes, streams, 80 columns."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.helios_process import EXAMPLE, ROOT, Helios


@pytest.fixture
def helios(tmp_path: Path) -> Helios:
    return Helios(tmp_path / "home")


def project(folder: Path, text: str) -> Path:
    path = folder / "helios.yaml"
    path.write_text(text, encoding="utf-8")
    return path


SMALL = "helios: 1\nname: 작은 일\ngoal: 된다\ntasks:\n  하나:\n    run: echo 안녕\n"


def test_version_is_fast_and_plain(helios: Helios) -> None:
    result = helios.run("--version")
    assert result.code == 0
    assert result.out.startswith("helios 0.")
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "helios", "--version"],
        env=helios.environment, capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    assert "cyclopts" not in loaded
    assert "rich" not in loaded


def test_check_loads_no_store_and_no_engine(helios: Helios, tmp_path: Path) -> None:
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "helios", "check",
         str(project(tmp_path, SMALL))],
        env=helios.environment, capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    for heavy in ("sqlalchemy", "dbos", "anthropic"):
        assert heavy not in loaded


@pytest.mark.parametrize(
    "verb",
    ["init", "check", "plan", "run", "resume", "cancel", "status", "why", "budget", "doctor"],
)
def test_every_verb_has_help(helios: Helios, verb: str) -> None:
    result = helios.run(verb, "--help")
    assert result.code == 0, result.err
    assert f"helios {verb}" in result.out
    assert max(len(line) for line in result.out.splitlines()) <= 80


def test_help_says_what_each_verb_is_for(helios: Helios) -> None:
    shown = helios.run().out
    assert "Why a task waits" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_an_unknown_verb_is_a_usage_error_with_a_suggestion(helios: Helios) -> None:
    result = helios.run("rnu")
    assert result.code == 2
    assert result.out == ""
    assert "run" in result.err


@pytest.mark.slow
def test_init_writes_a_project_that_checks_and_plans(helios: Helios, tmp_path: Path) -> None:
    for language in ("en", "ko"):
        path = tmp_path / language / "helios.yaml"
        assert helios.run("init", str(path), "--language", language).code == 0
        assert helios.run("check", str(path)).code == 0
        assert helios.run("plan", str(path)).code == 0
    again = helios.run("init", str(path))
    assert again.code == 7
    assert "exists already" in again.err


def test_check_says_everything_at_once(helios: Helios, tmp_path: Path) -> None:
    path = project(
        tmp_path,
        "helios: 1\nname: x\ngoal: y\ntasks:\n  a:\n    agnt: coder\n    run: true\n"
        "  b:\n    run: ls\n    needs: [c]\n  c:\n    run: ls\n    needs: b\n",
    )
    result = helios.run("check", str(path))
    assert result.code == 3
    assert result.out == ""
    assert ":6:5" in result.err
    assert 'Did you mean "agent"' in result.err
    assert "b -> c -> b" in result.err or "c -> b -> c" in result.err
    assert "^" in result.err
    as_json = helios.run("check", str(path), "--json")
    assert as_json.code == 3
    assert {p["line"] for p in as_json.data["problems"]} >= {6}


def test_a_missing_file_says_what_to_do(helios: Helios, tmp_path: Path) -> None:
    result = helios.run("check", str(tmp_path / "nothing.yaml"))
    assert result.code == 3
    assert "nothing.yaml" in result.err


def test_plan_that_does_not_fit_exits_4(helios: Helios, tmp_path: Path) -> None:
    text = EXAMPLE.read_text("utf-8").replace("messages: 60", "messages: 3")
    path = project(
        tmp_path, text.replace("snapshot: algorithms", f"snapshot: {EXAMPLE.parent}/algorithms")
    )
    result = helios.run("plan", str(path))
    assert result.code == 4
    assert "does not fit" in result.out
    data = helios.run("plan", str(path), "--json").data
    assert data["fits"] is False
    assert data["messages"]["p50"] >= 14


@pytest.mark.slow
def test_a_run_whose_budget_ends_stops_with_4_and_can_go_on(helios: Helios, tmp_path: Path) -> None:
    text = EXAMPLE.read_text("utf-8").replace("messages: 60", "messages: 6")
    folder = EXAMPLE.parent
    text = text.replace("snapshot: algorithms", f"snapshot: {folder}/algorithms")
    text = text.replace("answers: answers.yaml", f"answers: {folder}/answers.yaml")
    result = helios.run("run", str(project(tmp_path, text)), "--json")
    assert result.code == 4, result.err
    refusal = result.lines[-1]
    assert refusal["error"] == "budget-exhausted"
    assert "this run's messages" in refusal["message"]
    spent = helios.rows("select spent from ledger_balances where limit_key like 'run/%messages'")
    assert spent[0][0] == 6
    raised = project(tmp_path, text.replace("messages: 6", "messages: 60"))
    again = helios.run("run", str(raised), "--json")
    assert again.code == 0, again.err
    assert again.lines[-1]["tasks"] == {"done": 18}
    assert helios.rows("select count(*) from runs") == [(1,)]


@pytest.mark.slow
def test_a_run_goes_on_only_with_the_work_it_began_with(helios: Helios, tmp_path: Path) -> None:
    none_left = Helios(helios.home, sandbox="direct", more={"HELIOS_PLAN_MESSAGES": "1"})
    (tmp_path / "answers.yaml").write_text("answers: [{when: {contains: x}, text: x}]", "utf-8")
    text = SMALL.replace("tasks:", "answers: answers.yaml\ntasks:")
    text += "  둘:\n    agent: coder\n    prompt: x\n    model: strong\n"
    path = project(tmp_path, text)
    stopped = none_left.run("run", str(path), "--no-wait")
    assert stopped.code == 4, stopped.err
    path = project(tmp_path, text.replace("echo 안녕", "echo 잘 가"))
    changed = none_left.run("run", str(path))
    assert changed.code == 7
    assert "helios run --new" in changed.err
    assert none_left.run("resume", str(path), "--no-wait").code == 4
    path = project(tmp_path, SMALL)
    assert none_left.run("run", "--new", str(path)).code == 0


def test_agents_without_anybody_to_answer_are_refused_before_a_run(
    helios: Helios, tmp_path: Path
) -> None:
    path = project(tmp_path, SMALL + "  둘: {agent: coder, prompt: x}\n")
    refused = helios.run("run", str(path))
    assert refused.code == 2
    assert "ANTHROPIC_API_KEY" in refused.err
    assert helios.rows("select count(*) from runs") == [(0,)]


def test_status_and_why_before_any_run(helios: Helios, tmp_path: Path) -> None:
    path = project(tmp_path, SMALL)
    status = helios.run("status", str(path))
    assert status.code == 7
    assert "has not been run" in status.err
    assert helios.run("why", "하나", str(path)).code == 0
    wrong = helios.run("why", "하나요", str(path))
    assert wrong.code == 2
    assert 'Did you mean "하나"?' in wrong.err


@pytest.mark.sandbox
def test_a_korean_project_runs(helios: Helios, tmp_path: Path) -> None:
    path = project(tmp_path, SMALL)
    result = helios.run("run", str(path))
    assert result.code == 0, result.err
    assert "작은 일" in result.out
    assert "안녕" in helios.run("status", str(path)).out


def test_resume_and_cancel_without_a_run_are_conflicts(helios: Helios, tmp_path: Path) -> None:
    path = project(tmp_path, SMALL)
    for verb in ("resume", "cancel"):
        result = helios.run(verb, str(path))
        assert result.code == 7
        assert "no unfinished run" in result.err


def test_settings_are_checked_with_their_source(tmp_path: Path) -> None:
    for more, said in (
        ({"HELIOS_SANDBX": "strict"}, 'Did you mean "sandbox"?'),
        ({"HELIOS_PLAN": "max-clasic"}, "Known plans:"),
        ({"HELIOS_SIMULATOR_SPEED": "fast"}, "environment"),
        ({"HELIOS_DATABASE": "oracle://x"}, "sqlite"),
    ):
        result = Helios(tmp_path / "home", more=more).run("budget")
        assert result.code == 2, (more, result.err)
        assert said in result.err


def test_precedence_is_flag_environment_file_default(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('plan = "api"\nlog_level = "debug"\n', encoding="utf-8")
    helios = Helios(tmp_path / "home", more={"HELIOS_CONFIG": str(config)})
    sources = helios.run("doctor", "--json").data["sources"]
    assert sources["plan"] == str(config)
    assert sources["home"] == "environment"
    assert sources["prices"] == "default"
    flagged = helios.run("budget", "--json", "--budget-plan", "max-classic").data
    assert flagged["plan"] == "max-classic"


def test_doctor_masks_secrets_and_names_cures(tmp_path: Path) -> None:
    secret = "sk-ant-" + "x" * 20
    helios = Helios(tmp_path / "home", more={"ANTHROPIC_API_KEY": secret})
    result = helios.run("doctor")
    assert secret not in result.out + result.err
    assert "(set)" in result.out


def test_json_goes_to_stdout_alone(helios: Helios, tmp_path: Path) -> None:
    path = project(tmp_path, SMALL)
    for words in (["check", str(path)], ["plan", str(path)], ["budget"], ["doctor"]):
        result = helios.run(*words, "--json")
        assert result.data["schema"] == 1
        assert result.err == ""


def test_no_sandbox_is_refused_and_never_replaced(tmp_path: Path) -> None:
    """Without bubblewrap on the PATH a run is refused; `direct` must be said."""
    bare = tmp_path / "bin"
    bare.mkdir()
    for tool in ("git", "sh", "env"):
        found = next(p for p in ("/usr/bin", "/bin") if (Path(p) / tool).exists())
        (bare / tool).symlink_to(Path(found) / tool)
    helios = Helios(tmp_path / "home", more={"PATH": str(bare)})
    path = project(tmp_path, SMALL)
    refused = helios.run("run", str(path))
    assert refused.code == 2, refused.out + refused.err
    assert "--sandbox direct" in refused.err


@pytest.mark.slow
def test_the_live_view_fits_a_terminal_of_80_columns(helios: Helios, tmp_path: Path) -> None:
    path = project(tmp_path, SMALL.replace("echo 안녕", "sleep 1; echo 안녕"))
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "helios", "run", str(path)],
        env={**helios.environment, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24",
             "HELIOS_SANDBOX": "direct"},
        cwd=ROOT, stdout=slave, stderr=slave, stdin=slave,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    until = time.perf_counter() + 30
    while time.perf_counter() < until:
        if not select.select([master], [], [], 0.2)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            shown += os.read(master, 65536)
        except OSError:
            break
    process.wait(10)
    os.close(master)
    text = shown.decode("utf-8", "replace")
    assert process.returncode == 0, text
    assert "simulated" in text
    assert "five-hour window" in text
    assert "running" in text
    assert "1/1 tasks" in text or "0/1 tasks" in text
