"""Draw docs/images/run.svg: the live view of a real run of the example, somewhere in its middle."""

import asyncio
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from helios.bootstrap.house import open_house
from helios.bootstrap.project import read_project
from helios.cli.live import render
from helios.config import load_settings
from helios.domain.workflow.states import TaskState

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "bugfix" / "helios.yaml"
DONE_TASKS = 7
LONGEST_S = 60
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fetched from elsewhere by default; the viewer's own monospace font does as well."""


async def draw(home: Path) -> str:
    """The picture, as soon as enough tasks are done and four are at work."""
    project = read_project(EXAMPLE)
    console = Console(record=True, width=92, file=io.StringIO(), color_system="truecolor")
    until = time.monotonic() + LONGEST_S
    async with open_house(load_settings({"home": home}, {})) as house:
        while time.monotonic() < until:
            record = await house.stores.runs.latest_run(project.id)
            if record:
                live = house.recorded(record, project.spec)
                progress = await (await house.desk(record)).progress.read(live)
                counts = progress.states
                if counts.get(TaskState.DONE, 0) >= DONE_TASKS and counts.get(TaskState.RUNNING):
                    console.print(render(progress, height=20))
                    return FONTS.sub("", console.export_svg(title="helios run"))
            await asyncio.sleep(0.05)
    raise SystemExit("the run never came to its middle")


def main() -> None:
    """Run the example aside, draw it, let it end."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = {**os.environ, "HELIOS_HOME": folder}
        command = [sys.executable, "-m", "helios", "run", str(EXAMPLE)]
        aside = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL)  # fmt: skip
        try:
            picture = asyncio.run(draw(home))
        finally:
            aside.wait()
    target = ROOT / "docs" / "images" / "run.svg"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(picture, encoding="utf-8")
    print(f"wrote {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
