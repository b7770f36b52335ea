"""Processes that start in milliseconds, from a server that has imported everything already."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import psutil

PATIENCE_S = 60.0


class Child:
    """One process, with the other end of its pipe."""

    def __init__(self, context: Any, act: Callable[[Any, Connection], None], job: Any) -> None:
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=act, args=(job, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def hear(self) -> Any:
        """What it says next.

        Raises:
            EOFError: it ended without a word.
        """
        assert self._pipe.poll(PATIENCE_S), "the process says nothing"
        return self._pipe.recv()

    def say(self, word: str) -> None:
        self._pipe.send(word)

    def kill(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        self.join()

    def join(self) -> int:
        """The exit code; minus the signal that ended it."""
        self._process.join(PATIENCE_S)
        code = self._process.exitcode
        assert code is not None, "the process does not end"
        return int(code)

    def wait_until_stopped(self) -> None:
        process = psutil.Process(self._process.pid)
        while process.status() != psutil.STATUS_STOPPED:
            assert process.is_running()

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        self._pipe.close()
        self._process.close()


class Forks:
    """Starts children, and ends those that still run."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.proof.children"])
        self._children: list[Child] = []

    def start(self, act: Callable[[Any, Connection], None], job: Any) -> Child:
        self._children.append(Child(self._context, act, job))
        return self._children[-1]

    def close(self) -> None:
        for child in self._children:
            child.close()
        self._children.clear()
