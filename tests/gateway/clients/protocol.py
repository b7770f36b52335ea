"""What every client can be asked to do, whatever its own interface."""

import base64
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

MODEL = "claude-haiku-5-5"
PICTURE = base64.b64encode(bytes(3_750_000)).decode()
"""Five million letters, the most that the API takes in one picture."""
PICTURES = 4
LONG_TEXT = "word " * 4_000_000
PROJECT = "shop"


@dataclass(frozen=True)
class To:
    """Where a client sends its requests. `home` is a folder of its own, empty at first."""

    url: str
    key: str
    home: Path
    headers: Mapping[str, str] = field(default_factory=lambda: {"X-Helios-Project": PROJECT})


@dataclass(frozen=True)
class Outcome:
    """What the user of a client gets: an answer's text, or what the client shows or raises."""

    text: str = ""
    error: str = ""


class Client(Protocol):
    """One real client, called in one of its ways."""

    name: str
    streams: bool
    together: int
    """How many of it run at a time in the test of concurrency."""

    def ask(self, to: To, text: str) -> Outcome:
        """Ask once."""
        ...

    def hang_up(self, to: To, text: str) -> None:
        """Ask, and hang up as soon as the first words of the answer are there."""
        ...

    def ask_much(self, to: To) -> Outcome:
        """Ask with a body of 20 MB: pictures, where the client takes any."""
        ...


def ask_together(client: Client, to: To, texts: Sequence[str]) -> list[Outcome]:
    """Ask all at the same time."""
    if isinstance(client, AsksTogether):
        return client.ask_together(to, texts)
    with ThreadPoolExecutor(len(texts)) as pool:
        return list(pool.map(lambda text: client.ask(to, text), texts))


@runtime_checkable
class AsksTogether(Protocol):
    """A client with a way of its own to ask many at a time."""

    def ask_together(self, to: To, texts: Sequence[str]) -> list[Outcome]:
        """Ask all at the same time."""
        ...
