"""A stream of server-sent events, cut into events whatever its chunks.

Read as the HTML standard says in "Server-sent events": lines end with LF, CR or CRLF, one byte
order mark may lead, comments and all fields but `event` and `data` are passed over. Unlike a
browser, an event at the very end that no blank line closes is an event too: it came, so it counts.
"""

import re

LARGEST_EVENT = 40_000_000
"""Bytes; a larger event is passed over."""
_BOM = b"\xef\xbb\xbf"
_SKIPPED = [b":"]
"""Stands for the beginning of a line that is passed over."""

# How the API writes its events; anything else takes the way of the lines.
_USUAL = re.compile(rb"event: ([^\r\n]*+)\ndata: ([^\r\n]*+)\n\n")


class EventSplitter:
    """Fed with chunks, it answers with the events that ended in them: name and data.

    `oversize` says that an event was passed over because it was too large.
    """

    def __init__(self, largest: int = LARGEST_EVENT) -> None:
        self.oversize = False
        self._largest = largest
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0
        self._skipping = False
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """The events that end in this chunk."""
        found: list[tuple[bytes, bytes]] = []
        if self._between_events and len(chunk) <= self._largest:
            at = 0
            while event := _USUAL.match(chunk, at):
                found.append((event[1], event[2]))
                at = event.end()
            chunk = chunk[at:]
        if chunk:
            self._feed_lines(chunk, found)
        return found

    def close(self) -> list[tuple[bytes, bytes]]:
        """The event in which the stream ended, if it had begun one. Nothing comes after this."""
        found: list[tuple[bytes, bytes]] = []
        line = b"".join(self._tail)
        self._tail, self._tail_size = [], 0
        if line:
            self._line(line)
        if self._size:
            self._end_event(found)
        return found

    @property
    def _between_events(self) -> bool:
        return not (self._size or self._tail or self._after_cr or self._at_start)

    def _feed_lines(self, chunk: bytes, found: list[tuple[bytes, bytes]]) -> None:
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_plain_ends(chunk)
        last = chunk.rfind(b"\n")
        if last < 0:
            self._keep(chunk)
            return
        ended = chunk[:last]
        if self._tail:
            ended = b"".join((*self._tail, ended))
            self._tail, self._tail_size = [], 0
        for line in ended.split(b"\n"):
            if line:
                self._line(line)
            elif self._size:
                self._end_event(found)
        self._keep(chunk[last + 1 :])

    def _with_plain_ends(self, chunk: bytes) -> bytes:
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, start_of_line: bytes) -> None:
        if not start_of_line:
            return
        if self._skipping:
            self._tail = _SKIPPED
            return
        self._tail.append(start_of_line)
        self._tail_size += len(start_of_line)
        if self._size + self._tail_size > self._largest:
            self._skip()
            self._tail, self._tail_size = _SKIPPED, 0

    def _line(self, line: bytes) -> None:
        too_large = self._size + len(line) > self._largest
        self._size += len(line) + 1
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if self._skipping or too_large:
            self._skip()
        elif line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            self._name = line[6:].removeprefix(b" ")
        elif line == b"data":
            self._data.append(b"")

    def _skip(self) -> None:
        self.oversize = self._skipping = True
        self._data = []
        self._size = max(self._size, 1)

    def _end_event(self, found: list[tuple[bytes, bytes]]) -> None:
        if self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            found.append((self._name, data))
            self._data = []
        self._name = b""
        self._size = 0
        self._skipping = False
