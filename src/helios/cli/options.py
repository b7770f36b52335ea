"""Options that several commands share."""

from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from helios.config import Settings, load_settings

DEFAULT_FILE = Path("helios.yaml")
_T = TypeVar("_T")

ProjectPath = Annotated[Path, Parameter(help="The project file.", name="file")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Data for programs on stdout.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class SettingFlags:
    """Settings a flag can override."""

    home: Annotated[Path | None, Parameter(help="Where Helios keeps its data.")] = None
    database: Annotated[
        str | None, Parameter(help="Database of ledger and runs (sqlite:/// or postgresql://).")
    ] = None
    plan: Annotated[str | None, Parameter(name="--budget-plan", help="The plan's preset.")] = None

    def settings(self, **more: Any) -> Settings:
        """All settings, these flags on top."""
        return load_settings({**asdict(self), **more})


def go(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a command's async part."""
    import asyncio

    return asyncio.run(work)


def go_fast(work: Coroutine[Any, Any, _T]) -> _T:
    """The same on the loop for servers, which answers a third more requests."""
    import asyncio

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
