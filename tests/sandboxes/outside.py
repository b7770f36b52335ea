"""The host around a sandbox, prepared so that it notices."""

import ctypes
import os
import pty
import select
import socket
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

IPC_CREAT, IPC_RMID = 0o1000, 0
SEEN_S = 0.1


class Listener:
    """A socket that remembers whether somebody came; answers whoever sends a datagram."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._came = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._sock.getsockname()[1])

    def seen(self) -> bool:
        return self._came.wait(SEEN_S)

    def close(self) -> None:
        self._sock.close()
        self._thread.join()

    def _listen(self) -> None:
        while self._sock.fileno() >= 0:
            try:
                if not select.select([self._sock], [], [], 0.02)[0]:
                    continue
                if self._sock.type == socket.SOCK_DGRAM:
                    _, sender = self._sock.recvfrom(100)
                    self._sock.sendto(b"answer", sender)
                else:
                    self._sock.accept()[0].close()
            except (OSError, ValueError):
                return
            self._came.set()


class Outside:
    """Secrets, listeners, a victim, and a work directory that is a Git worktree."""

    def __init__(self, tmp_path: Path) -> None:
        self._stack = ExitStack()
        self.directory = tmp_path
        self.workdir = tmp_path / "작업 폴더"
        self.workdir.mkdir()
        self.target = tmp_path / "written-by-escape"
        self.token = f"token-{os.getpid()}-{id(self)}"
        self._make_files()
        self._make_listeners()
        self._make_victim()
        self._make_shared_memory()
        self._controller, terminal = pty.openpty()
        self._terminal = terminal
        self._stack.callback(os.close, self._controller)
        self._stack.callback(os.close, terminal)

    def __enter__(self) -> "Outside":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def values(self) -> dict[str, object]:
        """What an attacker is told, to spare it the search."""
        home = Path("~").expanduser()
        shown = {
            path.relative_to(home).parts[0]
            for path in (Path(sys.prefix), Path(sys.base_prefix))
            if path.is_relative_to(home)
        }
        return {
            "tcp_port": self.tcp.port,
            "udp_port": self.udp.port,
            "abstract_name": self.token,
            "unix_path": str(self.unix_path),
            "secret_path": str(self.secret),
            "target": str(self.target),
            "git_directory": str(self.repository),
            "home": str(home),
            "home_names": sorted(set(os.listdir(home)) - shown) if home.is_dir() else [],
            "token": self.token,
            "argument": self.token[::-1],
            "victim": self.victim.pid,
            "shm_key": self.shm_key,
            "shm_name": self.token,
            "terminal_path": os.ttyname(self._terminal),
        }

    def target_exists(self) -> bool:
        return self.target.exists()

    def git_changed(self) -> bool:
        git = self.workdir / ".git"
        return not git.is_file() or git.read_text() != self.git_text

    def set_user_id_left(self) -> bool:
        return any(
            path.lstat().st_mode & stat.S_ISUID for path in self.workdir.iterdir() if path.is_file()
        )

    def victim_is_dead(self) -> bool:
        try:
            self.victim.wait(SEEN_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def was_typed(self) -> bool:
        """A keystroke put into a terminal comes back as an echo."""
        return bool(select.select([self._controller], [], [], SEEN_S)[0])

    def _make_files(self) -> None:
        self.secret = self.directory / "secret.txt"
        self.secret.write_text("비밀")
        self.repository = self.directory / "repository" / ".git"
        self.repository.mkdir(parents=True)
        (self.repository / "config").write_text("[remote]\n")
        self.git_text = f"gitdir: {self.repository}/worktrees/work\n"
        (self.workdir / ".git").write_text(self.git_text)
        (self.workdir / "link-to-secret").symlink_to(self.secret)
        (self.workdir / "link-to-outside").symlink_to(self.directory)

    def _make_listeners(self) -> None:
        # Unix socket paths are short: the directory of a test may not be.
        self.unix_path = Path("/tmp", f"{self.token}.sock")
        self._stack.callback(self.unix_path.unlink)
        self.tcp = self._listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self.udp = self._listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self.abstract = self._listen(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.token)
        self.unix = self._listen(socket.AF_UNIX, socket.SOCK_STREAM, str(self.unix_path))

    def _listen(self, family: int, kind: int, address: tuple[str, int] | str) -> Listener:
        sock = socket.socket(family, kind)
        sock.bind(address)
        if kind == socket.SOCK_STREAM:
            sock.listen()
        listener = Listener(sock)
        self._stack.callback(listener.close)
        return listener

    def _make_victim(self) -> None:
        self.victim = subprocess.Popen(
            ["/bin/sh", "-c", "read line", self.token[::-1]],
            stdin=subprocess.PIPE,
            env={"TOKEN": self.token},
        )
        self._stack.enter_context(self.victim)
        self._stack.callback(self.victim.kill)

    def _make_shared_memory(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.shm_key = os.getpid() * 1000 + id(self) % 1000
        segment = libc.shmget(self.shm_key, 4096, IPC_CREAT | 0o600)
        assert segment != -1
        self._stack.callback(libc.shmctl, segment, IPC_RMID, None)
        shared = Path("/dev/shm", self.token)
        shared.write_text("비밀")
        self._stack.callback(shared.unlink)
