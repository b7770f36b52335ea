"""The `helios` command: verbs, exit codes, and errors said once, on stderr."""

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter

from helios import __version__

INTERRUPTED = 130
STUCK_S = 2.0
_STUCK = ("dbos-executor", "helios-lock")
"""Threads that ask a database again and again, and would do so for ever when it is gone."""
_NO = ("false", "f", "no", "n", "0")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code.

    0 ok, 1 run failed, 2 usage, 3 file invalid, 4 budget exhausted or paused, 5 waits for a
    person, 6 server unreachable, 7 conflict, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        print(f"helios {__version__}")
        raise SystemExit(0)
    if words == ["statusline"]:
        # Runs several times a second in somebody else's screen: without the table of verbs.
        from helios.cli.statusline import statusline

        raise SystemExit(statusline())
    code = run(words)
    _leave_the_stuck_behind(code)
    raise SystemExit(code)


def run(words: Sequence[str]) -> int:
    """Run a command; its exit code."""
    from cyclopts import CycloptsError

    from helios.cli.app import app
    from helios.cli.terminal import say_error, talk
    from helios.errors import HeliosError, UsageError

    try:
        result = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        from helios.cli.mistakes import explain

        said, helps = explain(error)
        say_error(UsageError(said, next_step=helps), as_json=_wants_json(words))
        return UsageError.exit_code
    except HeliosError as error:
        say_error(error, as_json=_wants_json(words))
        return error.exit_code
    except KeyboardInterrupt:
        talk().print("[yellow]■[/] interrupted; the same command goes on where it was")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0


def _wants_json(words: Sequence[str]) -> bool:
    """By the words alone: a line that cannot be understood is answered in its own form, too."""
    said = (word.lower().partition("=") for word in words)
    return any(name == "--json" and value not in _NO for name, _, value in said)


def _leave_the_stuck_behind(code: int) -> None:
    """End the process at once if threads are left that would keep it from ending."""
    left = [thread for thread in threading.enumerate() if thread.name.startswith(_STUCK)]
    ends = perf_counter() + STUCK_S
    for thread in left:
        thread.join(max(0.0, ends - perf_counter()))
    if any(thread.is_alive() for thread in left):
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
