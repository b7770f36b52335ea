"""Where an upstream is and what opens it; what a client may ask of it is a path, nothing more."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from helios.domain.gateway.key import SUBSCRIPTION_PAGE, SUBSCRIPTION_PREFIX
from helios.errors import RequestRefused, UsageError

CredentialStyle = Literal["x-api-key", "bearer"]

_PRINTABLE = re.compile(r"[!-~]+")
# Printable ASCII without # and \\. One slash first, so that no host can follow.
_TARGET = re.compile(r"/(?!/)[!\x22\x24-\x5b\x5d-\x7e]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DECODINGS = 4


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One upstream as it is configured.

    Args:
        base_url: http or https, a host, perhaps a port and a path.
        key: sent to this endpoint and shown nowhere; None sends no credential.
        name: what people call it.
        style: the header that carries the key, `x-api-key` or `Authorization: Bearer`.
        simulated: the answers come from the simulator.
        allow_clear: the key may cross a network without TLS.

    Raises:
        UsageError: the address or the key cannot be what they are given as.
    """

    base_url: str
    key: str | None = field(default=None, repr=False)
    name: str = "anthropic"
    style: CredentialStyle = "x-api-key"
    simulated: bool = False
    allow_clear: bool = False

    def __post_init__(self) -> None:
        if self.key is not None and not _PRINTABLE.fullmatch(self.key):
            raise UsageError(
                f"{self.name}: the key is empty or has characters that no key has",
                next_step="Give the key alone, as the provider's console shows it.",
            )
        refuse_subscription(self.key or "")
        parts = self._parts()
        if parts.scheme == "http" and not (self.allow_clear or _loopback(parts.hostname or "")):
            raise UsageError(
                f"{self.name}: {self.base_url} would send the key without encryption",
                next_step="Write https://, or allow clear text for this upstream.",
            )

    @property
    def tls(self) -> bool:
        """Whether it is reached over TLS."""
        return self._parts().scheme == "https"

    @property
    def host(self) -> str:
        """The name or address, without brackets."""
        return self._parts().hostname or ""

    @property
    def port(self) -> int:
        """The port that is meant."""
        return self._parts().port or (443 if self.tls else 80)

    @property
    def local(self) -> bool:
        """Whether it is on this machine, where no proxy belongs in between."""
        return self.simulated or _loopback(self.host)

    @property
    def authority(self) -> str:
        """The value of the host header."""
        return self._parts().netloc

    def credential(self) -> tuple[tuple[bytes, bytes], ...]:
        """The header that opens it; none without a key."""
        if self.key is None:
            return ()
        if self.style == "bearer":
            return ((b"authorization", b"Bearer " + self.key.encode("ascii")),)
        return ((b"x-api-key", self.key.encode("ascii")),)

    @property
    def path(self) -> str:
        """What goes before every target, without a slash at its end."""
        return self._parts().path.rstrip("/")

    def _parts(self) -> SplitResult:
        problem = UsageError(
            f"{self.name}: {self.base_url!r} is not the address of an upstream",
            next_step="Write it like https://api.anthropic.com: no user, no query, no fragment.",
        )
        if not _PRINTABLE.fullmatch(self.base_url) or re.search(r"[\\?#@]", self.base_url):
            raise problem
        try:
            parts = urlsplit(self.base_url)
            usable = parts.port != 0
        except ValueError:
            raise problem from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or not usable:
            raise problem
        if _leaves(parts.path):
            raise problem
        return parts


def refuse_subscription(key: str) -> None:
    """Refuse the token of a subscription as Helios's own key.

    Raises:
        UsageError: it is one, which Helios passes on to nobody.
    """
    if key.strip().startswith(SUBSCRIPTION_PREFIX):
        raise UsageError(
            "the API key is the token of a Claude subscription, which Helios never uses or keeps",
            next_step="Set ANTHROPIC_API_KEY to a key of the provider's console, or unset it and "
            f"choose the provider claude-code: {SUBSCRIPTION_PAGE} says what is allowed.",
        )


def checked_target(name: str, asked: str) -> str:
    """A target that can only be a path, perhaps with a query, below an upstream's base.

    Raises:
        RequestRefused: it could mean another host or leave the base; nothing was sent.
    """
    if not _TARGET.fullmatch(asked) or _leaves(asked):
        raise RequestRefused(
            f"{name}: the target {asked[:80]!r} is not a path on this upstream",
            billed="no",
            next_step="Ask a path that begins with one slash and has no .. and no host.",
        )
    return asked


def _loopback(host: str) -> bool:
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _leaves(target: str) -> bool:
    """Whether a server that decodes the path, perhaps twice, could leave the base by it."""
    path = target.partition("?")[0]
    for _ in range(_DECODINGS):
        if "%" not in path:
            break
        path = unquote(path, errors="replace")
    else:
        return True
    if _CONTROL.search(path):
        return True
    return any(part in {".", ".."} for part in re.split(r"[/\\]", path))
