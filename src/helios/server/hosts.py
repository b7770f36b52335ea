"""Which names the server answers under.

A page on the web may point a name of its own at 127.0.0.1 and so reach what listens there
(DNS rebinding); the Host header gives it away.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from helios.server.problems import make_problem, problem_response

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


class KnownHosts:
    """Answers only requests for a known name, whatever the port."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and (name := _host(scope)) not in self._hosts:
            told = make_problem(
                421,
                "wrong-host",
                f"this server does not answer for {_shown(name)}",
                "Use the address that `helios serve` printed.",
            )
            await problem_response(told)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _shown(name: str) -> str:
    """A name, or nothing of what is none: it may hold the rest of a broken head."""
    return repr(name) if re.fullmatch(r"[a-z0-9.:\[\]-]{1,100}", name) else "that name"


def _host(scope: Scope) -> str:
    value = next((value for key, value in scope["headers"] if key == b"host"), b"")
    host = value.decode("latin-1").lower()
    return host if host.endswith("]") else host.rpartition(":")[0] or host
