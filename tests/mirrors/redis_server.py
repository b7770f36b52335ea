"""A private redis-server that tests start, stop, hang, fill and feed."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

import pytest
from redis import Redis
from redis.exceptions import RedisError

BINARY = shutil.which("redis-server")
NO_REDIS = "redis-server not found: apt-get install redis-server"
PASSWORD = "비밀-pässword/@:?"


class RedisServer:
    """Listens on a socket in a folder of its own, and on a TLS port of this machine if asked."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="helios-redis-"))
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def dump(self) -> Path:
        return self.folder / "dump.rdb"

    def start(self) -> None:
        fixed = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--daemonize", "no"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, *fixed, *self.options], cwd=self.folder, stdout=log, stderr=log
            )
        began = perf_counter()
        while True:
            with contextlib.suppress(RedisError), self.client() as client:
                client.ping()
                return
            if self.process.poll() is not None or perf_counter() - began > 30:
                pytest.fail(f"redis-server did not start:\n{(self.folder / 'log').read_text()}")
            sleep(0.01)

    def client(self) -> Redis:
        words = self.options
        password = words[words.index("--requirepass") + 1] if "--requirepass" in words else None
        return Redis(unix_socket_path=str(self.socket), password=password, protocol=2)

    def run(self, *command: str | bytes | int) -> object:
        with self.client() as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=30)

    def restart(self) -> None:
        self.kill()
        self.start()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        assert self.process
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificates(folder: Path) -> Path:
    """A throw-away authority and, signed by it, the key and certificate of 127.0.0.1."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test")
    openssl("req", *new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n", "utf-8")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", "server.pem", "-extfile", "names")  # fmt: skip
    return folder / "ca.pem"
