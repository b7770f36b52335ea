"""What a command printed, bounded: the head and the tail."""

HEAD_SHARE = 0.5


class BoundedOutput:
    """Keeps at most `limit` bytes, however many are added."""

    def __init__(self, limit: int) -> None:
        self._limit = max(0, limit)
        self._head_limit = int(self._limit * HEAD_SHARE)
        self._tail_limit = self._limit - self._head_limit
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    @property
    def full(self) -> bool:
        """Whether more was added than is kept."""
        return self.total > self._limit

    def add(self, data: bytes) -> None:
        """Take what came next."""
        self.total += len(data)
        room = self._head_limit - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._tail_limit:
            self._shorten_tail()

    def text(self) -> str:
        """All of it, or the head, a line that says what is missing, and the tail.

        Bytes that are not UTF-8 become U+FFFD; a character cut in two by the bound is left out.
        """
        if not self.full:
            return bytes(self._head + self._tail).decode(errors="replace")
        self._shorten_tail()
        head = _without_broken_end(bytes(self._head))
        tail = _without_broken_start(bytes(self._tail))
        missing = self.total - len(head) - len(tail)
        return (
            f"{head.decode(errors='replace')}\n[... {missing} bytes left out ...]\n"
            f"{tail.decode(errors='replace')}"
        )

    def _shorten_tail(self) -> None:
        del self._tail[: max(0, len(self._tail) - self._tail_limit)]


def _is_continuation(byte: int) -> bool:
    return byte & 0b1100_0000 == 0b1000_0000


def _without_broken_start(data: bytes) -> bytes:
    start = 0
    while start < min(3, len(data)) and _is_continuation(data[start]):
        start += 1
    return data[start:]


def _without_broken_end(data: bytes) -> bytes:
    """Drop a last character whose bytes are not all there."""
    for length in range(1, min(4, len(data)) + 1):
        lead = data[-length]
        if _is_continuation(lead):
            continue
        needed = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
        return data[:-length] if needed > length else data
    return data
