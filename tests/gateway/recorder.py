"""An upstream that keeps the bytes it gets and answers what a test tells it to."""

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = Callable[[socket.socket, bytes], None]

MESSAGE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-5-5","content":'
    b'[{"type":"text","text":"simulated: ok"}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage":{"input_tokens":10,"output_tokens":5}}'
)


@dataclass
class Recorder:
    """Answers every request on a connection by `answer`, and keeps what came."""

    url: str
    answer: Answer
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    gone: queue.Queue[None] = field(default_factory=queue.Queue)

    def header(self, name: bytes, at: int = -1) -> list[bytes]:
        """The values of a header of a request that came."""
        lines = self.heads[at].split(b"\r\n")[1:]
        pairs = [line.partition(b":") for line in lines if line]
        return [value.strip() for key, _, value in pairs if key.lower() == name]

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._exchange(connection)
        self.gone.put(None)

    def _exchange(self, connection: socket.socket) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                if not (more := connection.recv(65536)):
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            while len(data) < length:
                data += connection.recv(65536)
            self.heads.append(head)
            self.bodies.append(data[:length])
            body, data = data[:length], data[length:]
            self.answer(connection, body)


def plain(status: int = 200, body: bytes = MESSAGE, *headers: bytes) -> Answer:
    """A whole answer."""

    def give(connection: socket.socket, _: bytes) -> None:
        told = b"".join(header + b"\r\n" for header in headers)
        head = b"HTTP/1.1 %d Told\r\ncontent-type: application/json\r\n%s" % (status, told)
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)

    return give


@contextmanager
def recorder(answer: Answer) -> Iterator[Recorder]:
    """Listens on 127.0.0.1 until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        upstream = Recorder(f"http://127.0.0.1:{listener.getsockname()[1]}", answer)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(
                        target=upstream._serve, args=(connection,), daemon=True
                    ).start()

        threading.Thread(target=accept, daemon=True).start()
        yield upstream
        listener.shutdown(socket.SHUT_RDWR)
