"""The app over real HTTP: uvicorn in a thread, a real database under it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from helios.bootstrap.house import open_house
from helios.config import load_settings
from helios.ports.clock import Clock
from helios.server.app import create_app
from helios.server.hosts import LOOPBACK, KnownHosts
from helios.server.serving import listen

BUDGET = "/api/v1/helios/budget"


@dataclass(frozen=True)
class Face:
    url: str
    client: httpx2.Client

    def get(self, path: str, **more: Any) -> httpx2.Response:
        return self.client.get(_full(path), **more)

    def post(self, path: str, body: Any, **more: Any) -> httpx2.Response:
        return self.client.post(_full(path), json=body, **more)

    def raw(self, path: str, content: bytes, kind: str = "application/json") -> httpx2.Response:
        return self.client.post(_full(path), content=content, headers={"Content-Type": kind})


def _full(path: str) -> str:
    return path if path.startswith("/") else f"{BUDGET}/{path}"


@contextmanager
def serving(
    home: Path, *, clock: Clock | None = None, database: str | None = None, **settings: str
) -> Iterator[Face]:
    """A server on a free port until the block ends; simulated unless the settings say otherwise."""
    flags = {"home": str(home), "database": database, "provider": "simulator", **settings}
    started: list[Any] = []
    is_up = threading.Event()

    async def run() -> None:
        async with open_house(load_settings(flags, environment={}), clock=clock) as house:
            app = KnownHosts(create_app(await house.desk()), hosts=LOOPBACK)
            with listen("127.0.0.1", 0) as listener:
                config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
                server = uvicorn.Server(config)
                started.extend((server, listener.getsockname()[1]))
                is_up.set()
                await server.serve(sockets=[listener])

    def live() -> None:
        try:
            asyncio.run(run())
        finally:
            is_up.set()

    thread = threading.Thread(target=live)
    thread.start()
    is_up.wait(30)
    server, port = started
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx2.Client(base_url=url, timeout=30, trust_env=False) as client:
            yield Face(url, client)
    finally:
        server.should_exit = True
        thread.join(30)
