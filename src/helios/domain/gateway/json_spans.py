"""Where values stand in the bytes of a JSON text, so that one can be changed and the rest kept.

Only for texts that were parsed before: what is not JSON may be found out or not.
"""

import re
from dataclasses import dataclass

import jiter

from helios.errors import RequestRefused

_SPACE = re.compile(rb"[ \t\n\r]*+")
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_STRINGS = re.compile(_STRING, re.DOTALL)
_SCALAR = re.compile(rb'[^ \t\n\r,:"{}\[\]]++')
# All up to the next bracket. No part of it may fail after it has begun to match: Python before
# 3.11.5 then goes on from the wrong place (its issue 106052).
_RUN = re.compile(rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+", re.DOTALL)
_OPENING, _CLOSING = b"{[", b"}]"


@dataclass(frozen=True, slots=True)
class Item:
    """A member of an object or an element of an array; offsets in bytes, the end exclusive.

    `start` is where its key begins, or its value where it has none.
    """

    key: str
    start: int
    value: int
    end: int


def items(text: bytes, start: int = 0) -> list[Item]:
    """The members or elements of the object or array that begins at `start`, after white space.

    Raises:
        RequestRefused: there is none, or it does not end.
    """
    at = _skip_space(text, start)
    opening = text[at : at + 1]
    if opening not in (b"{", b"["):
        raise _broken(at)
    found: list[Item] = []
    at = _skip_space(text, at + 1)
    while text[at : at + 1] not in (b"}", b"]"):
        item = _item(text, at, keyed=opening == b"{")
        found.append(item)
        at = _skip_space(text, item.end)
        if text[at : at + 1] == b",":
            at = _skip_space(text, at + 1)
        elif text[at : at + 1] not in (b"}", b"]"):
            raise _broken(at)
    return found


def without(text: bytes, gone: list[tuple[int, int]]) -> bytes:
    """The text without these stretches, which must not overlap."""
    kept: list[bytes] = []
    at = 0
    for start, end in sorted(gone):
        kept.append(text[at:start])
        at = end
    kept.append(text[at:])
    return b"".join(kept)


def stretches(found: list[Item], gone: set[int]) -> list[tuple[int, int]]:
    """What to cut so that the items at these places disappear, each with one comma."""
    cuts: list[tuple[int, int]] = []
    kept_before = False
    for place, item in enumerate(found):
        if place not in gone:
            kept_before = True
        elif kept_before:
            cuts.append((found[place - 1].end, item.end))
        elif place + 1 < len(found):
            cuts.append((item.start, found[place + 1].start))
        else:
            cuts.append((item.start, item.end))
    return cuts


def _item(text: bytes, at: int, *, keyed: bool) -> Item:
    key, start = "", at
    if keyed:
        match = _STRINGS.match(text, at)
        if match is None:
            raise _broken(at)
        key = _unquoted(match.group(), at)
        at = _skip_space(text, match.end())
        if text[at : at + 1] != b":":
            raise _broken(at)
        at = _skip_space(text, at + 1)
    return Item(key, start, at, _end_of_value(text, at))


def _end_of_value(text: bytes, start: int) -> int:
    first = text[start : start + 1]
    if first in (b"{", b"["):
        return _end_of_nest(text, start)
    match = _STRINGS.match(text, start) if first == b'"' else _SCALAR.match(text, start)
    if match is None:
        raise _broken(start)
    return match.end()


def _end_of_nest(text: bytes, start: int) -> int:
    depth, at = 1, start + 1
    while True:
        match = _RUN.match(text, at)
        at = match.end() if match else at
        bracket = text[at : at + 1]
        if not bracket or bracket == b'"':
            raise _broken(at)
        at += 1
        depth += 1 if bracket in _OPENING else -1
        if depth == 0:
            return at


def _skip_space(text: bytes, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _unquoted(quoted: bytes, at: int) -> str:
    try:
        return str(jiter.from_json(quoted))
    except ValueError as error:
        raise _broken(at) from error


def _broken(at: int) -> RequestRefused:
    return RequestRefused(
        f"the request body is not valid JSON at byte {at}",
        billed="no",
        next_step="Send a JSON object.",
    )
