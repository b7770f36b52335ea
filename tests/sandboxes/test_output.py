"""The bound on output: head, tail, and a line that says what is missing."""

import asyncio
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from helios.ports.sandbox import Sandbox, SandboxCommand, SandboxLimits
from helios.sandboxes.output import BoundedOutput
from tests.sandboxes.host import run

MARK = re.compile(r"\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n")


@given(st.lists(st.binary(max_size=40)), st.integers(0, 60))
def test_head_and_tail_are_kept_however_it_comes(chunks: list[bytes], limit: int) -> None:
    kept = BoundedOutput(limit)
    for chunk in chunks:
        kept.add(chunk.replace(b"[", b"("))
    whole = b"".join(chunks).replace(b"[", b"(")
    if len(whole) <= limit:
        assert kept.text() == whole.decode(errors="replace")
        return
    head, missing, tail = MARK.split(kept.text())
    kept_bytes = len(whole) - int(missing)
    assert limit - 6 <= kept_bytes <= limit
    assert whole.decode(errors="replace").startswith(head)
    assert whole.decode(errors="replace").endswith(tail)


@given(st.text("가나다라a😀", min_size=40), st.integers(8, 60))
def test_no_character_is_cut_in_two(text: str, limit: int) -> None:
    kept = BoundedOutput(limit)
    kept.add(text.encode())
    assert "�" not in kept.text()


def test_bounded_output_of_a_command(sandbox: Sandbox, workdir: Path) -> None:
    limits = SandboxLimits(wall_s=20.0, output_bytes=1000)
    output = run(sandbox, workdir, "echo 처음; seq 100000; echo 마지막", limits).output
    assert output.startswith("처음\n1\n2\n")
    assert output.endswith("99999\n100000\n마지막\n")
    mark = MARK.search(output)
    assert mark is not None
    printed = sum(len(f"{number}\n") for number in range(1, 100001)) + len(
        "처음\n마지막\n".encode()
    )
    assert len(output.encode()) - len(mark[0]) + int(mark[1]) == printed


def test_a_flood_does_not_starve_the_loop(sandbox: Sandbox, workdir: Path) -> None:
    async def ticks() -> int:
        count = 0
        limits = SandboxLimits(wall_s=1.0, output_bytes=1000)
        flood = asyncio.create_task(sandbox.run(SandboxCommand("yes", workdir, limits=limits)))
        while not flood.done():
            await asyncio.sleep(0.005)
            count += 1
        result = await flood
        assert result.stopped == "wall clock"
        assert len(result.output) < 1100
        return count

    assert asyncio.run(ticks()) > 50
