"""The road to an upstream: TLS, and proxies of the surroundings."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from tests.providers.asking import KEY, ask, moving, upstream, whole
from tests.providers.raw_server import OK, Peer, raw_server

from helios.errors import ConnectionLost, ModelError, UsageError
from helios.providers.endpoint import Endpoint
from helios.providers.upstream import HttpUpstream
from helios.testing.clock import MovableClock


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost that nobody vouches for, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key", "-out", tmp_path / "cert",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return tmp_path


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert", certificate / "key")
    return context


def test_over_tls_a_certificate_is_checked_before_the_key_is_sent(certificate: Path) -> None:
    async def run() -> ModelError:
        async with raw_server(tls=serving(certificate)) as server:
            url = server.url.replace("http://127.0.0.1", "https://localhost")
            trusting = ssl.create_default_context(cafile=str(certificate / "cert"))
            there = upstream(server, base_url=url, tls=trusting)
            for _ in range(2):
                assert await whole(await there.send(ask(body=b"a" * 3_000_000))) == b"ok"
            assert (server.connections, len(server.requests)) == (1, 2)
            await there.close()

            clock = MovableClock()
            wary = HttpUpstream(Endpoint(url, KEY), clock)
            with pytest.raises(ConnectionLost) as caught:
                await moving(clock, asyncio.create_task(wary.send(ask())))
            await wary.close()
            assert len(server.requests) == 2
            return caught.value

    error = asyncio.run(run())
    assert error.billed == "no"
    assert "CERTIFICATE_VERIFY_FAILED" in error.message


def test_a_server_that_speaks_no_tls_is_unreachable() -> None:
    async def run() -> None:
        async def talk(peer: Peer) -> None:
            await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with raw_server(talk) as server:
            clock = MovableClock()
            url = server.url.replace("http://", "https://")
            there = HttpUpstream(Endpoint(url, KEY), clock, tls=ssl.create_default_context())

            # The server waits for a head that a handshake never has; hang up on it.
            work = asyncio.create_task(there.send(ask()))
            await asyncio.sleep(0.05)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            assert server.requests == []
            await there.close()

    asyncio.run(run())


def test_a_proxy_of_the_surroundings_is_used_but_not_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        async def forwarding(peer: Peer) -> None:
            tunnel = proxy.requests[-1].startswith(b"CONNECT")
            await peer.send(b"HTTP/1.1 403 no\r\n\r\n" if tunnel else OK)

        async with raw_server() as server, raw_server(forwarding) as proxy:
            for name in ("http_proxy", "https_proxy", "all_proxy"):
                monkeypatch.setenv(name, proxy.url.replace("//", "//user:pass@"))
            monkeypatch.delenv("no_proxy", raising=False)
            near = upstream(server)
            assert await whole(await near.send(ask())) == b"ok"
            await near.close()
            assert proxy.connections == 0

            far = upstream(server, base_url="http://api.example/base", allow_clear=True)
            assert await whole(await far.send(ask())) == b"ok"
            await far.close()
            lines = proxy.requests[0].split(b"\r\n")
            assert lines[0] == b"POST http://api.example:80/base/v1/messages HTTP/1.1"
            assert any(line.lower().startswith(b"proxy-authorization: basic ") for line in lines)
            assert b"host: api.example" in lines

            hidden = HttpUpstream(Endpoint("https://api.example", KEY), MovableClock())
            with pytest.raises(ConnectionLost) as caught:
                await hidden.send(ask())
            assert proxy.requests[1].startswith(b"CONNECT api.example:443 HTTP/1.1\r\n")
            assert KEY.encode() not in proxy.requests[1]
            assert caught.value.billed == "no"
            await hidden.close()

    asyncio.run(run())


def test_no_proxy_and_a_broken_proxy_address_are_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for address in ("gopher://nowhere:1", "socks5://u:secret@nowhere:1", "http://:x:"):
        monkeypatch.setenv("https_proxy", address)
        with pytest.raises(UsageError) as caught:
            HttpUpstream(Endpoint("https://api.example", KEY), MovableClock())
        assert "NO_PROXY" in caught.value.next_step
        assert "secret" not in caught.value.message
    monkeypatch.setenv("no_proxy", "api.example")
    HttpUpstream(Endpoint("https://api.example", KEY), MovableClock())
