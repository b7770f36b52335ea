"""What each client does when it is refused or its answer breaks off; the tests reproduce it.

`python -m tests.gateway.clients.facts` writes the table into docs/gateway-clients.md.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from tests.installed import PINS, ROOT

PAGE = ROOT / "docs" / "gateway-clients.md"
BEGIN, END = "<!-- facts: begin -->\n", "<!-- facts: end -->\n"


@dataclass(frozen=True)
class Fact:
    """How many requests a client sends, and what it shows; "" where it gets its answer."""

    requests: int
    shows: str = ""

    def __str__(self) -> str:
        times = "1 request" if self.requests == 1 else f"{self.requests} requests"
        return f"{times}, `{self.shows}`" if self.shows else f"{times}, then the answer"


@dataclass(frozen=True)
class Facts:
    """Of one way of calling one client."""

    refused: Fact
    closed: Fact
    storm: Fact
    cut: Fact
    huge: Fact = Fact(1)


ANTHROPIC = Facts(
    refused=Fact(1, "PaymentRequiredError"),
    closed=Fact(1, "RateLimitError"),
    storm=Fact(3),
    cut=Fact(2),
)
ANTHROPIC_STREAM = replace(ANTHROPIC, cut=Fact(1, "APIStatusError"))
PYDANTIC_AI = Facts(
    refused=Fact(1, "ModelQuotaExceededError"),
    closed=Fact(1, "ModelRateLimitError"),
    storm=Fact(3),
    cut=Fact(2),
)
LITELLM = Facts(
    refused=Fact(1, "PaymentRequiredError"),
    closed=Fact(1, "RateLimitError"),
    storm=Fact(1, "InternalServerError"),
    cut=Fact(1, "BadGatewayError"),
)
CLAUDE_CODE = Facts(
    refused=Fact(1, "API Error: 402"),
    closed=Fact(1, "API Error: Request rejected (429)"),
    storm=Fact(3),
    cut=Fact(2),
)

FACTS: Mapping[str, Facts] = {
    "anthropic": ANTHROPIC,
    "anthropic-stream": ANTHROPIC_STREAM,
    "anthropic-async": ANTHROPIC,
    "anthropic-async-stream": ANTHROPIC_STREAM,
    "pydantic-ai": PYDANTIC_AI,
    "pydantic-ai-stream": replace(PYDANTIC_AI, cut=Fact(1, "ModelServerError")),
    "litellm": LITELLM,
    "litellm-stream": replace(LITELLM, cut=Fact(1, "MidStreamFallbackError")),
    "claude-agent-sdk": replace(CLAUDE_CODE, huge=Fact(0, "Prompt is too long")),
    "claude-code": replace(CLAUDE_CODE, huge=Fact(0, "piped stdin input exceeds 10MB")),
}


def versions() -> dict[str, str]:
    """The versions under test."""
    pinned = dict(
        re.findall(r"^([\w-]+)==([\w.]+)", (PINS / "python-clients.txt").read_text(), re.MULTILINE)
    )
    package = json.loads((PINS / "claude-code" / "package.json").read_text())
    return {
        "anthropic": version("anthropic"),
        "pydantic-ai": version("pydantic-ai-slim"),
        "litellm": pinned["litellm"],
        "claude-agent-sdk": pinned["claude-agent-sdk"],
        "claude-code": package["dependencies"]["@anthropic-ai/claude-code"],
    }


def table() -> str:
    """The facts as the page shows them."""
    lines = [
        "| client | version | 402, budget spent | 429, window closed | 529 twice | answer cut "
        "| 20 MB |",
        "|---|---|---|---|---|---|---|",
    ]
    known = versions()
    for name, facts in FACTS.items():
        package = next(p for p in known if name.startswith(p))
        cells = (facts.refused, facts.closed, facts.storm, facts.cut, facts.huge)
        lines.append(f"| {name} | {known[package]} | {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, ""])


def page_with_table(page: str) -> str:
    """The page with the table as the facts are now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    Path(PAGE).write_text(page_with_table(PAGE.read_text("utf-8")), "utf-8")
