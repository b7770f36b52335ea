"""JSON texts as any client may write them, and bodies of the Messages API."""

import json
from typing import Any

from hypothesis import strategies as st

TRICKY = st.sampled_from(
    ["", "model", "max_tokens", "messages", '{"a":[', "]}", '\\"', "한국어", "\\"]
)
TEXTS = TRICKY | st.text(st.characters(codec="utf-8"), max_size=12)
NUMBERS = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
SPACE = st.text(" \t\r\n", max_size=2)


def body(**fields: Any) -> bytes:
    """A small request with these fields beside the necessary ones, or in their place."""
    whole = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "안녕"}],
        **fields,
    }
    return json.dumps({k: v for k, v in whole.items() if v is not ...}, ensure_ascii=False).encode()


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """A value as JSON, with any white space and any way to write a string."""
    if isinstance(value, str):
        return draw(_strings(value))
    if not isinstance(value, dict | list):
        return json.dumps(value)
    parts: list[str] = []
    for item in value.items() if isinstance(value, dict) else value:
        text = draw(SPACE)
        if isinstance(value, dict):
            text += draw(_strings(item[0])) + draw(SPACE) + ":" + draw(SPACE)
        inner = item[1] if isinstance(value, dict) else item
        parts.append(text + draw(written(inner)) + draw(SPACE))
    inside = ",".join(parts) or draw(SPACE)
    return "{" + inside + "}" if isinstance(value, dict) else "[" + inside + "]"


@st.composite
def _strings(draw: st.DrawFn, text: str) -> str:
    match draw(st.sampled_from(["plain", "ascii", "escaped"])):
        case "plain":
            return json.dumps(text, ensure_ascii=False)
        case "ascii":
            return json.dumps(text)
        case _:
            units = text.encode("utf-16-be")
            pairs = zip(units[::2], units[1::2], strict=True)
            return '"' + "".join(f"\\u{high:02X}{low:02x}" for high, low in pairs) + '"'
