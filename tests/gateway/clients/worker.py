"""Asks with litellm and claude-agent-sdk, in the environment that has them: a line a question.

It is run by the tests and imports nothing of theirs. Each line is a JSON object, and so is each
answer: `{"text": ...}` or `{"error": ...}`.
"""

import asyncio
import json
import os
import sys
from typing import Any


def litellm_options(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": f"anthropic/{asked['model']}",
        "api_base": asked["url"],
        "api_key": asked["key"],
        "extra_headers": asked["headers"],
        "messages": [{"role": "user", "content": content(asked)}],
        "max_tokens": 1000,
        "stream": asked["stream"],
    }


def content(asked: dict[str, Any]) -> str | list[dict[str, Any]]:
    url = f"data:image/png;base64,{asked['picture']}"
    picture = {"type": "image_url", "image_url": {"url": url}}
    text = {"type": "text", "text": asked["text"]}
    return [text, *[picture] * asked["pictures"]] if asked["pictures"] else asked["text"]


async def by_litellm(asked: dict[str, Any]) -> dict[str, str]:
    import litellm

    answer = await litellm.acompletion(**litellm_options(asked))
    if not asked["stream"]:
        return {"text": answer.choices[0].message.content}
    said = []
    async for chunk in answer:
        if part := chunk.choices[0].delta.content:
            said.append(part)
            if asked["hang_up"]:
                await answer.aclose()
                break
    return {"text": "".join(said)}


async def by_agent_sdk(asked: dict[str, Any]) -> dict[str, str]:
    from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, ResultMessage
    from claude_agent_sdk.types import StreamEvent

    options = ClaudeAgentOptions(
        model=asked["model"],
        cwd=asked["cwd"],
        env=asked["env"],
        setting_sources=[],
        include_partial_messages=True,
    )
    said = ""
    async with ClaudeSDKClient(options) as client:
        await client.query(asked["text"])
        async for message in client.receive_response():
            if isinstance(message, StreamEvent) and asked["hang_up"] and not said:
                said = message.event.get("delta", {}).get("text", "")
                if said:
                    await client.interrupt()
            elif isinstance(message, ResultMessage):
                kind = "error" if message.is_error and not said else "text"
                return {kind: said or message.result or ""}
    return {"error": "no result"}


WAYS = {"litellm": by_litellm, "claude-agent-sdk": by_agent_sdk}


async def answer(line: str) -> dict[str, str]:
    asked = json.loads(line)
    try:
        return await WAYS[asked["by"]](asked)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


async def together(lines: list[str]) -> list[dict[str, str]]:
    return await asyncio.gather(*(answer(line) for line in lines))


def main() -> None:
    """A line of tab-separated questions is answered by one line of as many answers."""
    # litellm prints hints of its own on standard output.
    answering = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers = asyncio.run(together(line.rstrip("\n").split("\t")))
        print("\t".join(json.dumps(a) for a in answers), file=answering, flush=True)


main()
