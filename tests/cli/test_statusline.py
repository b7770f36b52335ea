"""The status line: fast, one line whatever comes, and nothing told is lost or taken twice."""

import io
import json
import resource
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from helios.bootstrap.signals import append_signals, drain, taking
from helios.cli.statusline import line_for
from helios.domain.budget.signal import Signal
from helios.testing.clock import MovableClock
from tests.e2e.helios_process import ROOT

NOW = 1_800_000_000.0
RESET = NOW + 7_800
TOLD = {
    "cwd": "/집/사용자",
    "rate_limits": {
        "five_hour": {"used_percentage": 23.9, "resets_at": RESET},
        "seven_day": {"used_percentage": 28.999999999999996, "resets_at": NOW + 300_000},
    },
}
FIVE = Signal("five_hour", 0.24, NOW, "statusline", RESET)
RUN = "from helios.cli.statusline import statusline; raise SystemExit(statusline())"


def shown(told: bytes | str | dict, home: Path, clock: MovableClock | None = None) -> str:
    text = json.dumps(told, ensure_ascii=False) if isinstance(told, dict) else told
    raw = text.encode() if isinstance(text, str) else text
    return line_for(io.BytesIO(raw), home, clock or MovableClock(NOW))


def log(home: Path) -> str:
    return (home / "signals.log").read_text("utf-8")


def test_figures_are_shown_and_kept(tmp_path: Path) -> None:
    home = tmp_path / "집"
    assert shown(TOLD, home) == "5h 23% (2h10m) | 7d 29% (3d11h)"
    assert drain(home).signals == (
        replace(FIVE, used=0.239),
        Signal("seven_day", 0.29, NOW, "statusline", NOW + 300_000),
    )
    assert drain(home).signals == ()
    assert not (home / "signals.log").exists()


def test_without_limits_it_says_so(tmp_path: Path) -> None:
    assert shown({"model": {}}, tmp_path) == "helios: no limits reported yet"
    assert drain(tmp_path).signals == ()


@pytest.mark.parametrize(
    "told",
    [b"", b"\xff\xfe", b'{"rate_limits": {"five_', b"[]", b"[" * 90_000, b"x" * 10_000_000],
    ids=range(6),
)
def test_bad_input_is_a_plain_line_and_a_note(told: bytes, tmp_path: Path) -> None:
    assert shown(told, tmp_path) == "helios: no figures in this update"
    assert log(tmp_path).startswith("2027-01-15T08:00:00+00:00 ")
    assert "no JSON object" in log(tmp_path)


def test_impossible_figures_are_noted_and_the_others_kept(tmp_path: Path) -> None:
    limits = {**TOLD["rate_limits"], "seven_day": {"used_percentage": -1}}
    assert shown({"rate_limits": limits}, tmp_path) == "5h 23% (2h10m)"
    assert "1 figures ignored" in log(tmp_path)
    assert len(drain(tmp_path).signals) == 1


def test_a_home_that_cannot_be_written_does_not_break_the_bar(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("not a folder")
    assert shown(TOLD, home) == "5h 23% (2h10m) | 7d 29% (3d11h) (not kept)"
    assert shown("{", home) == "helios: no figures in this update (not kept)"


def test_redraws_do_not_fill_the_file(tmp_path: Path) -> None:
    clock = MovableClock(NOW)
    for _ in range(200):
        shown(TOLD, tmp_path, clock)
        clock.move(0.5)
    assert len(drain(tmp_path).signals) == 2 * 2


def test_a_half_written_line_is_ignored_and_spoils_no_other(tmp_path: Path) -> None:
    append_signals(tmp_path, [FIVE])
    with (tmp_path / "signals.jsonl").open("ab") as file:
        file.write(b'{"window":"five_hour","used":0.9')
    append_signals(tmp_path, [replace(FIVE, used=0.25)])
    found = drain(tmp_path)
    assert ([s.used for s in found.signals], found.ignored) == ([0.24, 0.25], 1)


def import_that_fails(home: Path, meanwhile: Signal) -> None:
    with taking(home) as found:
        assert found.signals == (FIVE,)
        append_signals(home, [meanwhile])
        raise ZeroDivisionError


def test_an_import_that_fails_is_offered_again_with_what_came_since(tmp_path: Path) -> None:
    append_signals(tmp_path, [FIVE])
    later = replace(FIVE, used=0.5)
    with pytest.raises(ZeroDivisionError):
        import_that_fails(tmp_path, meanwhile=later)
    assert drain(tmp_path).signals == (FIVE, later)
    assert drain(tmp_path).signals == ()


def test_while_somebody_takes_nobody_else_does(tmp_path: Path) -> None:
    append_signals(tmp_path, [FIVE])
    with taking(tmp_path) as found:
        assert found.signals == (FIVE,)
        assert drain(tmp_path).signals == ()


def test_nothing_is_lost_or_taken_twice_under_many_writers_and_takers(tmp_path: Path) -> None:
    taken: list[Signal] = []
    stop = threading.Event()

    def write(writer: int) -> None:
        for number in range(60):
            append_signals(tmp_path, [Signal(f"w{writer}", number / 100, NOW, "statusline")])

    def take() -> None:
        while not stop.is_set():
            taken.extend(drain(tmp_path).signals)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    takers = [threading.Thread(target=take) for _ in range(3)]
    for thread in (*takers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in takers:
        thread.join()
    taken.extend(drain(tmp_path).signals)
    expected = sorted((f"w{w}", n / 100) for w in range(4) for n in range(60))
    assert sorted((s.window, s.used) for s in taken) == expected


def test_signals_that_nobody_takes_do_not_fill_the_disk(tmp_path: Path) -> None:
    (tmp_path / "signals.jsonl").write_bytes(b"\n" * (5 << 20))
    append_signals(tmp_path, [FIVE])
    assert (tmp_path / "signals.jsonl").stat().st_size < 1_000
    assert "nobody took" in log(tmp_path)
    assert drain(tmp_path).signals == (FIVE,)


def process(home: Path, *flags: str, **more) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C"}
    environment |= {"HELIOS_HOME": str(home), "HELIOS_CONFIG": str(home / "none.toml")}
    return subprocess.run(
        [sys.executable, *flags, "-c", RUN], input=json.dumps(TOLD, ensure_ascii=False),
        env=environment | more.pop("env", {}), capture_output=True, text=True, encoding="utf-8",
        check=False, **more,
    )  # fmt: skip


def test_as_a_process_it_prints_one_line_and_loads_nothing_heavy(tmp_path: Path) -> None:
    home = tmp_path / "집"
    result = process(home, "-X", "importtime")
    assert result.returncode == 0
    assert result.stdout.startswith("5h 23%")
    assert result.stdout.count("\n") == 1
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    heavy = {"sqlalchemy", "asyncio", "pydantic", "cyclopts", "rich", "anthropic", "structlog"}
    assert not loaded & heavy
    assert "helios.cli.statusline" in loaded
    assert len(drain(home).signals) == 2


def test_unreadable_settings_do_not_break_the_bar(tmp_path: Path) -> None:
    result = process(tmp_path, env={"HELIOS_NONSENSE": "1"})
    assert (result.returncode, result.stdout) == (0, "helios: settings unreadable\n")
    assert result.stderr == ""


def test_a_full_disk_does_not_break_the_bar(tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    result = process(tmp_path, preexec_fn=small_files)
    assert result.returncode == 0
    assert result.stdout.endswith("(not kept)\n")
    assert result.stderr == ""
