"""What an answer says: blocks of text, thinking and tool calls, with what each is billed."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal, NamedTuple

from helios.providers.simulator.tokens import count_text, pieces

PREFIX = "[simulated] "
"""How every recorded text begins."""
TOKENS_PER_DELTA = 12

Kind = Literal["text", "thinking", "tool_use"]


class Delta(NamedTuple):
    """A part of a block as a stream sends it, and what it is billed."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Block:
    """One content block. `text` of a tool call is its JSON, whole or cut off."""

    kind: Kind
    text: str
    tokens: int
    name: str = ""
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def head_tokens(self) -> int:
        """Billed as soon as the block begins: the name of a tool."""
        return count_text(self.name) if self.name else 0

    @property
    def signature(self) -> str:
        """What proves a thinking block, in the real API's form; says that it is simulated."""
        digest = hashlib.sha256(self.text.encode()).digest()
        return base64.b64encode(b"simulated:" + digest).decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `tokens` are those of all its blocks."""

    blocks: tuple[Block, ...] = ()
    tokens: int = 0
    stop_reason: str = "end_turn"

    @property
    def tools(self) -> frozenset[str]:
        """The tools it calls."""
        return frozenset(block.name for block in self.blocks if block.name)


def text_block(text: str, prefix: str = PREFIX) -> Block:
    """A text that says it is simulated."""
    shown = prefix + text.removeprefix(prefix)
    return Block("text", shown, count_text(shown))


def thinking_block(text: str) -> Block:
    """A thinking; its block says by its signature that it is simulated."""
    return Block("thinking", text, count_text(text))


def tool_block(name: str, arguments: Mapping[str, Any]) -> Block:
    """A tool call."""
    written = json.dumps(arguments, ensure_ascii=False)
    return Block("tool_use", written, count_text(name) + count_text(written), name, arguments)


def make_answer(*blocks: Block) -> Answer:
    """An answer of these blocks."""
    reason = "tool_use" if any(block.name for block in blocks) else "end_turn"
    return Answer(blocks, sum(block.tokens for block in blocks), reason)


def without_prefix(answer: Answer) -> Answer:
    """The answer as it must be where its text has to be JSON: only its header says `simulated`."""
    blocks = (
        text_block(block.text.removeprefix(PREFIX), "") if block.kind == "text" else block
        for block in answer.blocks
    )
    return make_answer(*blocks)


def cut(answer: Answer, most: int) -> Answer:
    """As much of an answer as `most` tokens hold."""
    if answer.tokens <= most:
        return answer
    kept: list[Block] = []
    left = most
    for block in answer.blocks:
        if left <= block.head_tokens:
            break
        part = block if block.tokens <= left else _cut_block(block, left)
        kept.append(part)
        left -= part.tokens
    return Answer(tuple(kept), most - left, "max_tokens")


def deltas(block: Block) -> Iterator[Delta]:
    """The parts of a block, each of whole tokens."""
    found = pieces(block.text)
    while part := tuple(islice(found, TOKENS_PER_DELTA)):
        yield Delta("".join(part), len(part))


def _cut_block(block: Block, left: int) -> Block:
    text = "".join(islice(pieces(block.text), left - block.head_tokens))
    # Half a tool call has no input that could be read.
    return replace(block, text=text, tokens=left, input={})
