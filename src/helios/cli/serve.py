"""serve: the HTTP face."""

import os
import sys
import threading
from contextlib import suppress
from typing import Annotated

from cyclopts import Parameter

from helios.cli.options import AsJson, SettingFlags, go_fast
from helios.cli.terminal import print_line, say_error, talk
from helios.errors import StoreError

Port = Annotated[int, Parameter(help="Where to listen; 0 takes a free port and prints it.")]


def serve(
    *,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Port = 8002,
    insecure_no_auth: Annotated[
        bool,
        Parameter(negative="", help="Listen on an address that others reach; nobody is asked."),
    ] = False,
    json: AsJson = False,
    flags: SettingFlags | None = None,
) -> int:
    """Serve the gateway and the HTTP API until Ctrl-C; reference at /docs and /redoc."""
    settings = (flags or SettingFlags()).settings()
    from helios.bootstrap.house import open_house
    from helios.bootstrap.mirroring import mirrored
    from helios.bootstrap.providers import GATEWAY_CLOSED, checked_provider
    from helios.server.serving import END_S
    from helios.server.serving import serve as serve_house

    at_the_latest = threading.Timer(END_S, _end_anyway, kwargs={"as_json": json})
    at_the_latest.daemon = True
    provider = checked_provider(settings)

    def ready(url: str, simulated: bool) -> None:
        closed = not (simulated or settings.api_key)
        if json:
            told = {"schema": 1, "url": url, "simulated": simulated, "gateway": not closed}
            print_line({**told, "because": GATEWAY_CLOSED} if closed else told)
            return
        print(url, flush=True)
        talk().print(f"[green]●[/] serving; reference at {url}/docs; Ctrl-C ends it")
        if not closed:
            talk().print(f"  Anthropic clients: export ANTHROPIC_BASE_URL={url}")
        if simulated:
            talk().print("[yellow]■[/] simulated: clients get echoes; set ANTHROPIC_API_KEY")
        if closed:
            talk().print(f"[yellow]■[/] the HTTP API runs on {provider}; {GATEWAY_CLOSED}")

    async def work() -> None:
        async with open_house(settings) as house, mirrored(house):
            await serve_house(
                house,
                host=host,
                port=port,
                no_auth=insecure_no_auth,
                ready=ready,
                ending=at_the_latest.start,
            )

    try:
        go_fast(work())
    finally:
        at_the_latest.cancel()
    talk().print("[yellow]■[/] ended")
    return 0


def _end_anyway(*, as_json: bool) -> None:
    """End a process that something keeps: a thread that waits for a database cannot be ended."""
    import structlog

    error = StoreError(
        "ended at once: it took too long, most likely because the database does not answer",
        next_step="Start Helios again once it does: what is open is charged when its lease ends.",
    )
    structlog.get_logger("helios.api").error("ended", because=error.in_full)
    with suppress(OSError, ValueError):
        say_error(error, as_json=as_json)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(error.exit_code)
