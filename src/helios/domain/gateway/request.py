"""What a body of the Messages API asks for, read from the client's own bytes.

Only what bears on money, access and routing is looked at; unknown fields pass. A body that two
parsers could read differently (a key that stands twice, numbers that are none) is refused, because
it could be charged as one model and run as another.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jiter

from helios.domain.gateway.contents import Contents, look_at
from helios.domain.gateway.json_spans import items
from helios.domain.gateway.json_values import is_list, is_object
from helios.errors import RequestRefused

LONGEST_MODEL = 256
MOST_TOKENS = 10_000_000
"""Above every model's window: such a `max_tokens` is a mistake."""
MOST_BRACKETS = 1_000_000
"""More than any context window holds; parsed, each would take 60 bytes and more of memory."""
ROUTED_CHARACTERS = 20_000
_LONG_BODY = 1_000_000
_LONGEST_USER_ID = 1024
# The value "1h", and all ways to write it with escapes.
_HOUR = re.compile(rb'"(?:1|\\u0031)(?:h|\\u0068)"')
_BAD_JSON = "Send one JSON object in UTF-8 in which no key stands twice."


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as far as budget, access and routing are concerned; tokens where counted.

    Attributes:
        max_tokens: 0 asks for a warm cache and no output.
        user_id: `metadata.user_id`, cut off at 1,024 characters.
        hour_cache: something may be written to the one-hour cache.
        unbounded: why the number of bytes does not bound its input; empty when it does.
        needs_count: among the reasons is content that only the provider can count.
        remote_context: the provider adds context it holds (a thread), up to a whole window.
        rounds: how often a server tool may make the model read again; 0 without server tools.
        server_tool_uses: the sum of `max_uses`; None when a server tool names none.
        compaction: the provider may summarise the context first, which is charged beside `usage`.
        images: pictures sent along, which are `image_characters` of the body.
        tool_tokens: the most that tools take which the provider describes and the client runs.
        fallbacks: models the provider may ask when the first declines, each with a `max_tokens` of
            its own or 0; the answer of every one is charged.
        unpriced: what makes its price unknown; "" when nothing does.
        thinking_budget: `thinking.budget_tokens`, which `max_tokens` must exceed; else 0.
        text_of_last_user: the first 20,000 characters of the last user message's text.
        turns: messages in the conversation, of both sides.
    """

    model: str
    max_tokens: int
    stream: bool
    user_id: str = ""
    hour_cache: bool = False
    unbounded: tuple[str, ...] = ()
    needs_count: bool = False
    remote_context: bool = False
    rounds: int = 0
    server_tool_uses: int | None = 0
    compaction: bool = False
    images: int = 0
    image_characters: int = 0
    tool_tokens: int = 0
    fallbacks: tuple[tuple[str, int], ...] = ()
    unpriced: str = ""
    thinking: bool = False
    thinking_budget: int = 0
    has_thinking_blocks: bool = False
    text_of_last_user: str = ""
    turns: int = 0


def read_request(body: bytes, *, counting: bool = False) -> Asked:
    """What a body asks for.

    Args:
        body: as the client sent it.
        counting: it is for count_tokens, where `max_tokens` may be missing.

    Raises:
        RequestRefused: it is no request; the message says why. Nothing was sent.
    """
    data = parse_body(body)
    return asked_of(data, hour_cache=asks_for_an_hour(body), counting=counting)


def parse_body(body: bytes) -> dict[str, Any]:
    """The JSON object in a body, in which no key stands twice at any depth.

    Raises:
        RequestRefused: it is none, or is nested deeper than 200, or has a million brackets.
    """
    if len(body) > _LONG_BODY and body.count(b"{") + body.count(b"[") > MOST_BRACKETS:
        raise _refused("the request body has more than a million brackets", "Send less at once.")
    try:
        data = jiter.from_json(body, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise _refused(f"the request body is not valid JSON: {str(error)[:300]}") from error
    if not is_object(data):
        raise _refused("the request body must be a JSON object")
    return data


def asks_for_an_hour(body: bytes) -> bool:
    """Whether the value "1h" stands anywhere in it, which only the cache's time to live is."""
    plain = b'"1h"' in body
    return plain or (b"\\u00" in body and _HOUR.search(body) is not None)


def asked_of(data: Mapping[str, Any], *, hour_cache: bool, counting: bool = False) -> Asked:
    """What a parsed body, or the `params` of one request of a batch, asks for.

    Raises:
        RequestRefused: model, max_tokens, stream or messages are missing or no such thing.
    """
    messages = data.get("messages")
    if not is_list(messages):
        raise _refused("messages: must be a list", "Send the conversation as a list of messages.")
    found = look_at(data, messages)
    thinking = _thinking(data)
    return Asked(
        model=_model(data),
        max_tokens=_max_tokens(data, needed=not counting),
        stream=_stream(data),
        user_id=_user_id(data),
        hour_cache=hour_cache,
        unbounded=tuple(found.reasons),
        needs_count=found.needs_count,
        remote_context=found.remote_context,
        rounds=found.rounds,
        server_tool_uses=found.server_tool_uses,
        compaction=found.compaction,
        images=found.images,
        image_characters=found.image_characters,
        tool_tokens=found.tool_tokens,
        fallbacks=tuple(found.fallbacks),
        unpriced=_unpriced(data, found),
        thinking=bool(thinking),
        thinking_budget=_budget(thinking),
        has_thinking_blocks=found.thinking_blocks,
        text_of_last_user=_text_of_last_user(messages),
        turns=len(messages),
    )


def spans(body: bytes, keys: Collection[str]) -> Mapping[str, tuple[int, int]]:
    """Where the values of these top-level keys stand in a body that was read before.

    Returns:
        First byte and the byte after the last, of the keys that are there.

    Raises:
        RequestRefused: the body is not a JSON object.
    """
    return {item.key: (item.value, item.end) for item in items(body) if item.key in keys}


def _model(data: Mapping[str, Any]) -> str:
    model = data.get("model")
    if not isinstance(model, str) or not model:
        raise _refused("model: must be a string", "Name the model to ask.")
    if len(model) > LONGEST_MODEL or not model.isprintable():
        raise _refused(
            f"model: must be at most {LONGEST_MODEL} printable characters", "Name the model to ask."
        )
    return model


def _max_tokens(data: Mapping[str, Any], *, needed: bool) -> int:
    asked = data.get("max_tokens")
    if asked is None and not needed:
        return 0
    if not isinstance(asked, int) or isinstance(asked, bool) or not 0 <= asked <= MOST_TOKENS:
        raise _refused(
            f"max_tokens: must be a whole number from 0 to {MOST_TOKENS}",
            "Say how many tokens the answer may have.",
        )
    return asked


def _stream(data: Mapping[str, Any]) -> bool:
    stream = data.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _refused("stream: must be true or false", "Say whether to stream the answer.")
    return bool(stream)


def _user_id(data: Mapping[str, Any]) -> str:
    metadata = data.get("metadata")
    user_id = metadata.get("user_id") if is_object(metadata) else None
    return user_id[:_LONGEST_USER_ID] if isinstance(user_id, str) else ""


def _thinking(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The setting, empty where the model is not to think."""
    setting = data.get("thinking")
    return setting if is_object(setting) and setting.get("type") != "disabled" else {}


def _budget(thinking: Mapping[str, Any]) -> int:
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or isinstance(budget, bool):
        return 0
    return budget if 0 < budget <= MOST_TOKENS else 0


_ORDINARY: Mapping[str, tuple[object, ...]] = {
    "speed": (None, "standard"),
    "inference_geo": (None, "global", "not_available"),
    "service_tier": (None, "auto", "standard_only"),
}


def _unpriced(data: Mapping[str, Any], found: Contents) -> str:
    for name, ordinary in _ORDINARY.items():
        if data.get(name) not in ordinary:
            return f"{name}: {str(data[name])[:80]}"
    return found.unpriced


def _text_of_last_user(messages: list[Any]) -> str:
    for message in reversed(messages):
        if is_object(message) and message.get("role") == "user":
            return _text_of(message.get("content"))
    return ""


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content[:ROUTED_CHARACTERS]
    texts: list[str] = []
    left = ROUTED_CHARACTERS
    for block in content if is_list(content) else ():
        text = block.get("text") if is_object(block) else None
        if isinstance(text, str) and left > 0:
            texts.append(text[:left])
            left -= len(text) + 1
    return "\n".join(texts)


def _refused(message: str, next_step: str = _BAD_JSON) -> RequestRefused:
    return RequestRefused(message, billed="no", next_step=next_step)
