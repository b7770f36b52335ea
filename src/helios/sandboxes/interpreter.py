"""Where our Python lies, so that commands find it under the names they use."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helios.errors import SandboxUnavailable

# Always visible and never writable; where /bin and its like are links into /usr, they stay links.
SYSTEM_DIRECTORIES = tuple(
    Path(name) for name in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
)
SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What must be visible for `executable` to run.

    `roots` are directories (by every name they are called), `links` are symbolic links outside
    of them through which the executable is reached, with the file they lead to.
    """

    executable: Path
    roots: tuple[Path, ...]
    links: tuple[tuple[Path, Path], ...] = ()


def search_path() -> str:
    """PATH for commands: our interpreter's directory first, so that `python` is ours."""
    return os.pathsep.join((str(Path(sys.executable).parent), *SYSTEM_PATH))


def our_interpreter() -> Interpreter:
    """The interpreter that runs this.

    Raises:
        SandboxUnavailable: its prefix is a home directory or holds one, and cannot be shown.
    """
    return locate(Path(sys.executable), (Path(sys.prefix), Path(sys.base_prefix)))


def locate(executable: Path, prefixes: tuple[Path, ...]) -> Interpreter:
    """What `executable`, installed in `prefixes`, needs beside the system's own directories."""
    named = dict.fromkeys(root for prefix in prefixes for root in (prefix, prefix.resolve()))
    roots = tuple(root for root in named if not _is_below(root, SYSTEM_DIRECTORIES))
    for root in roots:
        _refuse_home(root)
    visible = (*roots, *SYSTEM_DIRECTORIES)
    target = executable.resolve()
    links = tuple((hop, target) for hop in _hops(executable) if not _is_below(hop, visible))
    return Interpreter(executable, roots, links)


def _is_below(path: Path, directories: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(directory) for directory in directories)


def _hops(executable: Path) -> Iterator[Path]:
    """The executable and what its symbolic links lead to, one after the other."""
    hop = executable
    yield hop
    while hop.is_symlink():
        hop = Path(os.path.normpath(hop.parent / hop.readlink()))
        yield hop


def _refuse_home(root: Path) -> None:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 Path.home raises where there is none
    if home.is_relative_to(root):
        raise SandboxUnavailable(
            f"The Python installation {root} is or holds the home directory {home}, "
            "which a sandbox must not see.",
            next_step="Install helios into a virtual environment of its own.",
        )
