"""What may be configured as an upstream, and what a client may ask of it."""

import posixpath
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.errors import RequestRefused, UsageError
from helios.providers.endpoint import Endpoint, checked_target

HOSTILE = (
    "http://evil/v1", "//evil/v1", "///evil", "@evil", ":80@evil/", ".evil/", "",
    "v1/messages", "?x",
    "/..", "/v1/../../other", "/v1/./x", "/v1/%2e%2e/x", "/v1/..%2fx", "/v1/%252e%252e/x",
    "/v1/.%2e",
    "/\\evil", "/v1\\..\\x", "/v1/..%5cx", "/v1 HTTP/1.1\r\nhost: evil", "/v1\n", "/v1\t", "/v1 x",
    "/한국", "/v1#x", "/v1%00", "/v1/%0d%0ahost:%20evil", "\x00", "/v1\x7f", "*",
    "/" + "%25" * 9 + "2e",
)  # fmt: skip


@pytest.mark.parametrize("target", HOSTILE)
def test_a_target_is_a_path_or_it_is_refused(target: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        checked_target("here", target)
    assert caught.value.billed == "no"


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v1/messages?beta=true",
        "/v1/models/a%2Fb",
        "/v1//x",
        "/x?u=http://other/../y",
        "/a..b/.c",
    ],
)
def test_a_usual_target_stays_as_it_is(target: str) -> None:
    assert checked_target("here", target) == target


@given(st.text(alphabet=st.sampled_from("/\\.@:%25feE?#a \r\n한"), max_size=12))
def test_no_target_reaches_another_host_or_leaves_the_base(target: str) -> None:
    try:
        checked = checked_target("here", target)
    except RequestRefused:
        return
    base = "https://api.example/base"
    path = checked.partition("?")[0]
    for read in (path, unquote(path), unquote(unquote(path))):
        for written in (read, read.replace("\\", "/")):
            joined = urlsplit(urljoin(base, base + written))
            assert joined.netloc == "api.example"
            assert posixpath.normpath(joined.path).startswith("/base")


@pytest.mark.parametrize(
    "url",
    [
        "api.example", "ftp://api.example", "https://", "https:///v1", "https://u:p@api.example",
        "https://api.example?x=1", "https://api.example#x", "https://api.example:x",
        "https://api.example:99999", "https://api.example:0", "https://한국.example",
        "https://api.example/a b", "https://api.example\\@evil", "https://api.example/../x", "",
        "https://api.example\n", "http://api.example", "http://10.0.0.1", "http://127.0.0.1.evil",
        "http://localhost.evil",
    ],
)  # fmt: skip
def test_an_address_that_is_none_or_would_send_the_key_in_clear_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Endpoint(url, key="sk-secret")
    assert caught.value.next_step
    assert "sk-secret" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "more", "host", "port", "path"),
    [
        ("https://api.anthropic.com", {}, "api.anthropic.com", 443, ""),
        ("https://proxy.example:8443/anthropic/", {}, "proxy.example", 8443, "/anthropic"),
        ("http://localhost:8003", {}, "localhost", 8003, ""),
        ("http://127.0.0.1", {}, "127.0.0.1", 80, ""),
        ("http://[::1]:9/x", {}, "::1", 9, "/x"),
        ("http://ollama.lan:11434", {"allow_clear": True}, "ollama.lan", 11434, ""),
    ],
)
def test_a_usual_address_is_read(url: str, more: Any, host: str, port: int, path: str) -> None:
    endpoint = Endpoint(url, key="k", **more)
    assert (endpoint.host, endpoint.port, endpoint.path) == (host, port, path)


@pytest.mark.parametrize("key", ["", " ", "sk 1", "sk\r\nx-evil: 1", "열쇠"])
def test_a_key_that_cannot_be_one_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        Endpoint("https://api.example", key=key)
    assert "evil" not in caught.value.message


def test_the_token_of_a_subscription_opens_nothing() -> None:
    with pytest.raises(UsageError, match="token of a Claude subscription") as caught:
        Endpoint("https://api.anthropic.com", "sk-ant-oat01-abc")
    assert "oat01" not in caught.value.message + caught.value.next_step


def test_without_a_key_no_credential_is_sent() -> None:
    assert Endpoint("http://localhost", None).credential() == ()
