"""What a contained command sees of the file system."""

from dataclasses import dataclass
from pathlib import Path

from helios.ports.sandbox import SandboxLimits
from helios.sandboxes.interpreter import SYSTEM_DIRECTORIES, Interpreter
from helios.sandboxes.starting import REAPER

# Constant, so that outputs do not name the host's paths and can be compared between runs.
WORK = Path("/sandbox")
REAPER_PATH = "/run/reaper.py"
# Inside, /tmp is nobody else's: a file system in memory that ends with the command.
HOME = "/tmp"  # noqa: S108
# Seen as an ordinary user, whoever the service is.
USER_ID = 1000

# Files of the host that programs need and that tell nothing about it.
ETC_SHOWN = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types",
    "os-release", "protocols", "services",
)  # fmt: skip
ETC_MADE = {
    "/etc/passwd": f"sandbox:x:{USER_ID}:{USER_ID}:sandbox:{HOME}:/bin/sh\n",
    "/etc/group": f"sandbox:x:{USER_ID}:\n",
    "/etc/hosts": "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
# Read-only /proc still lets the owner of these files read them, and root is their owner.
PROC_MASKED = ("kcore", "keys", "key-users", "kmsg", "kpagecount", "kpageflags", "timer_list")

HOME_BYTES = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that exists only in the sandbox: where, and the descriptor that holds its text."""

    path: str
    fd: int


def scratch_bytes(limits: SandboxLimits) -> int:
    """The size of /tmp and of /dev/shm, which live in memory no limit of a process counts."""
    return min(limits.file_bytes, limits.memory_bytes // 4)


def file_system(
    workdir: Path, interpreter: Interpreter, limits: SandboxLimits, made: list[MadeFile]
) -> list[str]:
    """The options of bubblewrap that build it; later ones lie above earlier ones."""
    return [
        *_system(),
        *_etc(made),
        *_kernel(scratch_bytes(limits)),
        *_scratch(scratch_bytes(limits)),
        *_interpreter(interpreter),
        *("--ro-bind", str(REAPER), REAPER_PATH),
        *_work(workdir, interpreter),
        *("--remount-ro", "/"),
    ]


def _system() -> list[str]:
    options: list[str] = []
    for directory in SYSTEM_DIRECTORIES:
        if directory.is_symlink():
            options += ["--symlink", str(directory.readlink()), str(directory)]
        elif directory.is_dir():
            options += ["--ro-bind", str(directory), str(directory)]
    return options


def _etc(made: list[MadeFile]) -> list[str]:
    options: list[str] = []
    for name in ETC_SHOWN:
        options += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for file in made:
        options += ["--perms", "0444", "--file", str(file.fd), file.path]
    return options


def _kernel(size: int) -> list[str]:
    # Where the service is root, it owns the files in /proc/sys: only a read-only /proc keeps it
    # from writing there, capabilities do not count.
    options = ["--proc", "/proc"]
    for name in PROC_MASKED:
        if Path("/proc", name).exists():
            options += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    return [
        *options,
        *("--remount-ro", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
        *_tmpfs("/dev/shm", size),  # noqa: S108
    ]


def _scratch(size: int) -> list[str]:
    return [*_tmpfs(HOME, size), *_tmpfs("/home", HOME_BYTES)]


def _tmpfs(path: str, size: int) -> list[str]:
    return ["--perms", "1777", "--size", str(size), "--tmpfs", path]


def _interpreter(interpreter: Interpreter) -> list[str]:
    options: list[str] = []
    for root in interpreter.roots:
        options += ["--ro-bind", str(root), str(root)]
    for link, target in interpreter.links:
        options += ["--symlink", str(target), str(link)]
    return options


def _work(workdir: Path, interpreter: Interpreter) -> list[str]:
    options = ["--bind", str(workdir), str(WORK), "--chdir", str(WORK)]
    for kept in _kept_from_writing(workdir, interpreter):
        options += ["--ro-bind", str(kept), str(WORK / kept.relative_to(workdir))]
    return options


def _kept_from_writing(workdir: Path, interpreter: Interpreter) -> list[Path]:
    """Inside the work directory, but the host acts on them: Git's data and our interpreter.

    Whoever may write `.git` can name a hook there that the host's next Git command runs.
    """
    inside = [root for root in interpreter.roots if root.is_relative_to(workdir)]
    git = workdir / ".git"
    # Behind a link lies whatever a former command wanted to be shown.
    if git.exists() and not git.is_symlink():
        inside.append(git)
    return inside
