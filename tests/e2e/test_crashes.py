"""kill -9 at random moments: finished work stays, the books balance, the end is the same."""

import json
import random
import signal
import subprocess
import time
from collections import Counter

import pytest

from tests.e2e.helios_process import EXAMPLE, Helios, assert_books_balance

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

MOMENTS = 10
RUNS = 5


@pytest.fixture(scope="module")
def undisturbed_tree(tmp_path_factory: pytest.TempPathFactory) -> str:
    helios = Helios(tmp_path_factory.mktemp("undisturbed"))
    assert helios.run("run", str(EXAMPLE)).code == 0
    return result_tree(helios)


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_killed_run_goes_on_to_the_same_end(
    helios: Helios, undisturbed_tree: str, seed: int
) -> None:
    slow = Helios(helios.home, speed=0.5)
    draw = random.Random(seed)
    kills = 0
    while kills < MOMENTS // RUNS:
        process = slow.start("run", str(EXAMPLE))
        time.sleep(draw.uniform(0.8, 4.0))
        if process.poll() is not None:
            process.communicate()
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    assert kills, "the run was over before the first kill: the test proved nothing"
    result = helios.run("run", str(EXAMPLE), "--json")
    assert result.code == 0, result.err + result.out[-2000:]
    assert result.lines[-1]["tasks"] == {"done": 18}
    assert_nothing_done_twice(helios)
    assert_books_balance(helios)
    assert not helios.rows("select 1 from ledger_entries where state in ('held', 'sent')")
    assert result_tree(helios) == undisturbed_tree


def test_ctrl_c_stops_cleanly_and_says_how_to_resume(helios: Helios) -> None:
    slow = Helios(helios.home, speed=1.0)
    process = slow.start("run", str(EXAMPLE))
    wait_for_work(slow)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, out + err
    assert "helios resume" in err
    assert "Traceback" not in err
    assert helios.rows("select state from runs") == [("stopped",)]
    assert not helios.rows("select 1 from ledger_entries where state in ('held', 'sent')")
    resumed = helios.run("resume", str(EXAMPLE), "--json")
    assert resumed.code == 0, resumed.err
    assert_nothing_done_twice(helios)
    assert_books_balance(helios)


def test_a_second_run_of_the_same_project_is_refused(helios: Helios) -> None:
    slow = Helios(helios.home, speed=1.0)
    process = slow.start("run", str(EXAMPLE))
    try:
        wait_for_work(slow)
        second = helios.run("run", str(EXAMPLE))
        assert second.code == 7
        assert "already being run by process" in second.err
        assert str(process.pid) in second.err
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_cancel_ends_a_run_that_is_being_driven(helios: Helios) -> None:
    slow = Helios(helios.home, speed=2.0)
    process = slow.start("run", str(EXAMPLE), "--json")
    wait_for_work(slow)
    cancelled = helios.run("cancel", str(EXAMPLE), "--json")
    assert cancelled.data["state"] == "cancelling"
    process.communicate(timeout=20)
    assert process.returncode == 1
    states = {state for (state,) in helios.rows("select state from tasks")}
    assert states <= {"cancelled", "done"}
    assert helios.rows("select state from runs") == [("cancelled",)]
    assert_books_balance(helios)


def wait_for_work(helios: Helios) -> None:
    """Until the run has made its first model call."""
    until = time.perf_counter() + 30
    while time.perf_counter() < until:
        if helios.meter():
            return
        time.sleep(0.05)
    raise AssertionError("the run made no model call")


def assert_nothing_done_twice(helios: Helios) -> None:
    events = helios.rows("select task, data from run_events where kind = 'task'")
    done = [task for task, data in events if json.loads(data)["state"] == "done"]
    assert len(done) == 18
    assert not [task for task, count in Counter(done).items() if count > 1]


def result_tree(helios: Helios) -> str:
    """The id of the tree of files the run ended with."""
    repository = next(helios.home.glob("runs/*/repository"))
    branch = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname)", "refs/heads/helios"],
        cwd=repository, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    return subprocess.run(
        ["git", "rev-parse", f"{branch}^{{tree}}"],
        cwd=repository, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
