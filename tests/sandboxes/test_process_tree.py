"""Measuring a tree from outside."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from helios.sandboxes import process_tree
from helios.sandboxes.process_tree import measure
from tests.sandboxes.host import wait_for

TREE = """
import subprocess, sys, threading, time
child = subprocess.Popen(["sleep", "30"])
for _ in range(3): threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
data = bytearray(60 << 20)
print("ready", flush=True)
sys.stdin.read()
child.kill()
child.wait()
"""


@pytest.fixture(params=["kernel lists children", "kernel does not"])
def root(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A shell over a program with four threads and a child."""
    if request.param == "kernel does not":
        monkeypatch.setattr(process_tree, "_kernel_lists_children", lambda: False)
    shell = subprocess.Popen(
        ["sh", "-c", '"$0" -c "$1"; true', sys.executable, TREE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"ready\n"
        yield shell.pid


def test_everything_below_counts_and_the_root_does_not(root: int) -> None:
    assert wait_for(lambda: measure(root, tasks_at_most=99, memory_at_most=2**40).tasks == 5)
    usage = measure(root, tasks_at_most=99, memory_at_most=2**40)
    assert 60 << 20 < usage.memory_bytes < 120 << 20
    assert usage.cpu_s > 0


def test_exact_memory_where_the_sum_is_too_much(root: int) -> None:
    usage = measure(root, tasks_at_most=99, memory_at_most=0)
    assert 60 << 20 < usage.memory_bytes < 120 << 20


def test_looks_no_further_than_it_must(root: int) -> None:
    assert measure(root, tasks_at_most=1, memory_at_most=2**40).tasks in (4, 5)


def test_a_tree_that_is_gone_takes_nothing() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    usage = measure(ended.pid, tasks_at_most=9, memory_at_most=0)
    assert (usage.tasks, usage.memory_bytes) == (0, 0)
    assert measure(os.getpid(), tasks_at_most=99, memory_at_most=2**40).cpu_s > 0
