"""Which API is spoken: how a request is read and how an answer looks."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from helios.providers.simulator import replies
from helios.providers.simulator.replies import Frame, Reply
from helios.providers.simulator.requests import ApiError, Asked, read_request


class Dialect(Protocol):
    """One API's form; `MESSAGES` and `chat.CHAT` are the two there are."""

    def read(self, raw: bytes) -> Asked:
        """A request from its body (ApiError when it is none)."""
        ...

    def whole(self, reply: Reply) -> Mapping[str, Any]:
        """An answer in one piece."""
        ...

    def frames(self, reply: Reply, asked: Asked) -> Iterator[Frame]:
        """An answer as a stream."""
        ...

    def error(self, error: ApiError, request_id: str) -> Mapping[str, Any]:
        """The body of an error."""
        ...

    def error_event(self, error: ApiError) -> bytes:
        """An error in the middle of a stream."""
        ...


class _Messages:
    """The Messages API."""

    def read(self, raw: bytes) -> Asked:
        return read_request(raw)

    def whole(self, reply: Reply) -> Mapping[str, Any]:
        return replies.message(reply)

    def frames(self, reply: Reply, asked: Asked) -> Iterator[Frame]:  # noqa: ARG002
        return replies.frames(reply)

    def error(self, error: ApiError, request_id: str) -> Mapping[str, Any]:
        said = {"type": error.kind, "message": error.message}
        return {"type": "error", "error": said, "request_id": request_id}

    def error_event(self, error: ApiError) -> bytes:
        said = {"type": error.kind, "message": error.message}
        return replies.event_bytes("error", {"error": said})


MESSAGES: Dialect = _Messages()
