"""The prompt cache, by real prefix match.

A prefix is everything up to a block that carries `cache_control`, in the order tools, system,
messages. It is found again when tools, system and messages are equal up to there, for the same
organisation (the credential) and model; up to twenty blocks before a breakpoint are looked at. It
lives for five minutes or an hour, anew with every reading, and is there as soon as the answer that
wrote it begins.
Source: platform.claude.com/docs/en/build-with-claude/prompt-caching.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from helios.domain.pricing import Tier
from helios.domain.usage import Usage
from helios.providers.model_facts import tier_of
from helios.providers.simulator.tokens import (
    REQUEST_OVERHEAD,
    TOOL_OVERHEAD,
    count_block,
    count_tool,
)

LIFETIMES_S: Mapping[str, float] = {"5m": 300.0, "1h": 3600.0}
SHORTEST_TOKENS = 1_024
SHORTEST_ECONOMY_TOKENS = 4_096
"""A shorter prefix is not cached; of the economy tier's models not even this one."""
_LOOKED_BACK = 20
_KEPT = 20_000

_Key = tuple[str, str, bytes]


@dataclass(frozen=True, slots=True)
class Place:
    """The end of a block: the tokens up to there, and the hash of all that came before."""

    tokens: int
    digest: bytes
    lifetime_s: float | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request that asks for the cache, block by block; `tokens` are those of the whole."""

    places: tuple[Place, ...]
    tokens: int

    @property
    def breakpoints(self) -> int:
        """How many blocks carry `cache_control`."""
        return sum(place.lifetime_s is not None for place in self.places)


@dataclass(frozen=True, slots=True)
class CachePlan:
    """What the cache does for a request: the input by kinds, and what to keep once it begins."""

    usage: Usage
    keep: Mapping[_Key, float] = field(default_factory=dict[_Key, float])


def prompt_of(body: Mapping[str, Any]) -> Prompt | None:
    """A request's prompt; None when it does not ask for the cache."""
    overall = body.get("cache_control")
    if not overall and not _is_marked(body):
        return None
    blocks = list(_blocks(body))
    places: list[Place] = []
    digest, tokens = b"", TOOL_OVERHEAD if body.get("tools") else 0
    for index, (part, counted, block) in enumerate(blocks):
        control = block.get("cache_control")
        if overall and index == len(blocks) - 1:
            control = control or overall
        plain = {key: value for key, value in block.items() if key != "cache_control"}
        text = json.dumps([part, plain], ensure_ascii=False, sort_keys=True)
        digest = hashlib.sha256(digest + text.encode()).digest()
        tokens += counted
        places.append(Place(tokens, digest, _lifetime_s(control)))
    return Prompt(tuple(places), tokens + REQUEST_OVERHEAD)


class PromptCache:
    """Remembers prefixes of all organisations."""

    def __init__(self) -> None:
        self._ends: dict[_Key, tuple[float, float]] = {}

    def look(self, organisation: str, model: str, prompt: Prompt, now: float) -> CachePlan:
        """What is read and what is written at this moment (seconds since 1970, UTC)."""
        shortest = SHORTEST_ECONOMY_TOKENS if tier_of(model) is Tier.ECONOMY else SHORTEST_TOKENS
        places = prompt.places
        breaks = [
            index
            for index, place in enumerate(places)
            if place.lifetime_s is not None and place.tokens >= shortest
        ]
        keys = [(organisation, model, place.digest) for place in places]
        hit = self._longest(breaks, keys, now)
        fresh = [index for index in breaks if index > hit]
        keep = {keys[index]: places[index].lifetime_s or 0.0 for index in fresh}
        for index in {hit, *breaks} - {-1, *fresh}:
            if self._lives(keys[index], now):
                keep[keys[index]] = self._ends[keys[index]][1]
        read = places[hit].tokens if hit >= 0 else 0
        hours = [index for index in fresh if places[index].lifetime_s == LIFETIMES_S["1h"]]
        written_1h = places[hours[-1]].tokens - read if hours else 0
        written = places[fresh[-1]].tokens - read if fresh else 0
        usage = Usage(
            input_tokens=prompt.tokens - read - written,
            cache_write_tokens=written,
            cache_read_tokens=read,
            cache_write_1h_tokens=written_1h,
        )
        return CachePlan(usage, keep)

    def keep(self, plan: CachePlan, now: float) -> None:
        """The answer begins: what was written is there, what was read lives on."""
        for key, lifetime_s in plan.keep.items():
            self._ends[key] = (now + lifetime_s, lifetime_s)
        if len(self._ends) > _KEPT:
            self._ends = {key: end for key, end in self._ends.items() if end[0] > now}

    def _longest(self, breaks: list[int], keys: list[_Key], now: float) -> int:
        """The last place that is cached; -1 when none is."""
        for index in reversed(breaks):
            for place in range(index, max(-1, index - _LOOKED_BACK - 1), -1):
                if self._lives(keys[place], now):
                    return place
        return -1

    def _lives(self, key: _Key, now: float) -> bool:
        return key in self._ends and self._ends[key][0] > now


def _is_marked(body: Mapping[str, Any]) -> bool:
    contents = [body.get("system"), *(message["content"] for message in body["messages"])]
    lists = [body.get("tools"), *contents]
    return any(
        "cache_control" in block for part in lists if isinstance(part, list) for block in part
    )


def _blocks(body: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Every block with the part it belongs to and its tokens, in the order of the cache."""
    for tool in body.get("tools") or ():
        yield "tools", count_tool(tool), tool
    for block in _as_blocks(body.get("system") or ""):
        yield "system", count_block(block), block
    for message in body["messages"]:
        for block in _as_blocks(message["content"]):
            yield message["role"], count_block(block), block


def _as_blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _lifetime_s(control: object) -> float | None:
    if not isinstance(control, Mapping):
        return None
    return LIFETIMES_S.get(str(control.get("ttl") or "5m"), LIFETIMES_S["5m"])
