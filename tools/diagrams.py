"""Draw the state diagrams of the docs from the tables in the code; `--check` only compares."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from helios.domain.budget.ledger import TRANSITIONS, EntryState
from helios.domain.workflow.states import FINAL_TASK_STATES, TASK_TRANSITIONS

ROOT = Path(__file__).resolve().parents[1]
Arrow = tuple[str, str, str]


def main() -> int:
    """Write, or compare, every diagram; 1 when a page differs."""
    stale = [page for page, text in drawn().items() if page.read_text("utf-8") != text]
    if "--check" not in sys.argv:
        for page, text in drawn().items():
            page.write_text(text, encoding="utf-8")
        stale = []
    for page in stale:
        print(f"{page.relative_to(ROOT)} is not what the tables say: run tools/diagrams.py")
    return int(bool(stale))


def drawn() -> dict[Path, str]:
    """Every page with its diagram as the tables say now."""
    budget, house = ROOT / "docs" / "budget.md", ROOT / "docs" / "architecture.md"
    requests = [(str(old), str(command), str(new)) for (old, command), new in TRANSITIONS.items()]
    ended = [str(state) for state in EntryState if state.final and state is not EntryState.DENIED]
    tasks = [
        (str(old), "", str(new)) for old, all_new in TASK_TRANSITIONS.items() for new in all_new
    ]
    return {
        budget: _placed(budget, _diagram("held", requests, ended)),
        house: _placed(house, _diagram("waiting", sorted(tasks), map(str, FINAL_TASK_STATES))),
    }


def _diagram(first: str, arrows: list[Arrow], ended: Iterable[str]) -> str:
    lines = ["stateDiagram-v2", f"    [*] --> {_name(first)}"]
    lines += [
        f"    {_name(old)} --> {_name(new)}" + (f": {said}" if said else "")
        for old, said, new in arrows
    ]
    lines += [f"    {_name(state)} --> [*]" for state in sorted(ended)]
    return "\n".join(lines)


def _name(state: str) -> str:
    return re.sub(r"\W", "_", state)


def _placed(page: Path, diagram: str) -> str:
    """The page with its one diagram replaced."""
    text = page.read_text("utf-8")
    block = re.compile(r"```mermaid\n.*?```", re.DOTALL)
    if len(block.findall(text)) != 1:
        raise SystemExit(f"{page.name} must have exactly one mermaid block")
    return block.sub(lambda _: f"```mermaid\n{diagram}\n```", text)


if __name__ == "__main__":
    raise SystemExit(main())
