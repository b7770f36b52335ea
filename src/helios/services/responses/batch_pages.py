"""Pages of the provider's list of batches, without what a key may not see.

A client asks on after `last_id` (backwards: before `first_id`) while `has_more` is true, and the
official SDK takes a page without entries for the end. So pages on which all is foreign are passed
over, and a page that is handed out names its own first and last entry: who goes on from there
passes over foreign ones once more, but misses nothing, gets further with every page, and is not
told of foreign names.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from helios.errors import ModelError

LARGEST = 1000
"""The most entries the provider gives at once."""
_PAGING = ("limit", "before_id", "after_id")


@dataclass(frozen=True, slots=True)
class Page:
    """A page as the provider gave it; `target` is what it was asked by."""

    target: str
    told: Mapping[str, Any]
    ids: tuple[str, ...]

    @property
    def backwards(self) -> bool:
        """Whether it goes towards the newest."""
        return bool(dict(parse_qsl(_query(self.target))).get("before_id"))

    @property
    def next_target(self) -> str:
        """Where as many as possible of those that follow are asked for; "" at the end."""
        end = self.told.get("first_id" if self.backwards else "last_id")
        if not (self.told.get("has_more") and isinstance(end, str) and end):
            return ""
        path = self.target.partition("?")[0]
        asked = [pair for pair in parse_qsl(_query(self.target)) if pair[0] not in _PAGING]
        from_there = ("before_id" if self.backwards else "after_id", end)
        return f"{path}?{urlencode([*asked, ('limit', LARGEST), from_there])}"

    def shown(self, own: Collection[str], most: int) -> bytes:
        """The page with those entries alone, and not more of them than fit on one.

        An empty page that is not the last keeps the provider's ends: nothing else leads on.
        """
        kept = [entry for entry in self.told["data"] if str(entry["id"]) in own]
        data = kept[-most:] if self.backwards else kept[:most]
        more = len(kept) > len(data) or bool(self.next_target)
        ends = {"first_id": None, "last_id": None}
        if data:
            ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
        elif more:
            ends = {name: self.told.get(name) for name in ends}
        told = {**self.told, "data": data, "has_more": more, **ends}
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass")


def read_page(target: str, body: bytes) -> Page:
    """The page in an answer.

    Raises:
        ModelError: it is none, so nobody can tell whose what it says is.
    """
    try:
        told = json.loads(body)
        ids = tuple(str(entry["id"]) for entry in told["data"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError("the upstream's list of batches is not readable", billed="no") from error
    return Page(target, told, ids)


def _query(target: str) -> str:
    return target.partition("?")[2]
