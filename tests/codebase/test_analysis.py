"""The analysis of a whole worktree."""

import asyncio
import json
import resource
import sys
from pathlib import Path

import pytest

from helios.codebase.analysis import analyse
from helios.codebase.worktrees import GitWorkspace
from helios.domain.ids import TaskId
from helios.errors import WorkspaceError


def _write(root: Path, files: dict[str, str | bytes]) -> list[str]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(files)


def _imports(root: Path, files: dict[str, str]) -> dict[str, list[str]]:
    imports = analyse(root, _write(root, files))["imports"]
    return {module: targets for module, targets in imports.items() if targets}


def _rules(report: dict) -> list[tuple[str, str, int]]:
    return [(one["path"], one["rule"], one["line"]) for one in report["findings"]]


def test_modules_lines_and_functions_are_counted(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/a.py": "def f(): pass\nclass A:\n    async def g(self): pass",
        "b.py": "x = 1\n",
        "note.txt": "def no(): pass\n",
    }
    report = analyse(tmp_path, _write(tmp_path, files))
    assert (report["modules"], report["lines"], report["functions"]) == (3, 4, 2)
    assert report["summary"] == (
        "3 modules, 4 lines and 2 functions; no import circle; 2 findings (2 info)."
    )


def test_nothing_to_analyse(tmp_path: Path) -> None:
    report = analyse(tmp_path, ["gone.py", "README.md"])
    assert report["modules"] == 0
    assert report["summary"] == "There are no Python modules."


@pytest.mark.parametrize("top", ["", "src/"])
def test_imports_of_every_shape_are_found(tmp_path: Path, top: str) -> None:
    files = {
        f"{top}app/__init__.py": "from . import one",
        f"{top}app/one.py": "import os, app.sub.deep\nfrom app import two",
        f"{top}app/two.py": "from .sub import deep, THING\nfrom .sub.deep import x",
        f"{top}app/sub/__init__.py": "THING = 1",
        f"{top}app/sub/deep.py": "def f():\n    from ..three import y\n    from ...up import z",
        f"{top}app/three.py": "import json",
    }
    assert _imports(tmp_path, files) == {
        "app": ["app.one"],
        "app.one": ["app.sub.deep", "app.two"],
        "app.two": ["app.sub", "app.sub.deep"],
        "app.sub.deep": ["app.three"],
    }


def test_what_only_type_checkers_see_is_not_imported(tmp_path: Path) -> None:
    files = {
        "a.py": "import typing\nif typing.TYPE_CHECKING:\n    import b\n"
        "if TYPE_CHECKING:\n    import c",
        "b.py": "import a",
        "c.py": "import a",
    }
    assert _imports(tmp_path, files) == {"b": ["a"], "c": ["a"]}


def test_a_file_that_is_no_package_is_found_from_its_own_folder(tmp_path: Path) -> None:
    files = {
        "scripts/json.py": "x = 1",
        "scripts/helper.py": "y = 1",
        "scripts/run.py": "import json, helper",
        "other.py": "import json",
        "backend/app/__init__.py": "",
        "backend/app/main.py": "",
        "backend/tests/test_main.py": "from app.main import x",
        "frontend/app/__init__.py": "",
        "frontend/app/main.py": "",
    }
    assert _imports(tmp_path, files) == {
        "scripts.run": ["scripts.helper", "scripts.json"],
        "backend.tests.test_main": ["backend.app.main"],
    }


def test_a_name_that_may_mean_several_files_means_none(tmp_path: Path) -> None:
    files = {
        "one/app/__init__.py": "", "two/app/__init__.py": "", "main.py": "import app",
        "three/lib.py": "", "tools.py": "import lib, three.lib, logging", "x/logging.py": "",
    }  # fmt: skip
    assert _imports(tmp_path, files) == {"tools": ["three.lib"]}


def test_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    files = {"a.py": "import a", "src/a.py": "import a", "b.py": "x = 1", "b/__init__.py": ""}
    report = analyse(tmp_path, _write(tmp_path, files))
    assert set(report["imports"]) == {"a", "src.a", "b", "b.__init__"}


def test_circles_are_found_each_once_with_their_way_and_line(tmp_path: Path) -> None:
    files = {
        "a.py": "x = 1\nimport b",
        "b.py": "import c",
        "c.py": "import a, d",
        "d.py": "import e",
        "e.py": "def f():\n    import f",
        "f.py": "from e import f",
        "g.py": "import a",
    }
    report = analyse(tmp_path, _write(tmp_path, files))
    assert report["circles"] == [["a", "b", "c"], ["e", "f"]]
    notes = [(one["path"], one["line"], one["note"]) for one in report["findings"]
             if one["rule"] == "import-circle"]  # fmt: skip
    assert notes == [
        ("a.py", 2, "modules import each other: a -> b -> c -> a"),
        ("e.py", 2, "modules import each other: e -> f -> e"),
    ]
    assert "2 import circles" in report["summary"]


def test_the_most_imported_come_first(tmp_path: Path) -> None:
    files = {"a.py": "import b, c", "b.py": "import c", "c.py": "", "d.py": "import c"}
    report = analyse(tmp_path, _write(tmp_path, files))
    assert report["most_imported"] == [
        {"module": "c", "importers": 3}, {"module": "b", "importers": 1},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "rule", "line"),
    [
        ("x = 1\ndef f(:\n", "syntax", 2),
        ("x = 1\n  y = 2\n", "syntax", 2),
        ("x = '\0'\n", "syntax", 1),
        ("x = " + "(" * 5000 + ")" * 5000, "syntax", 1),
        ("x = " + "-" * 100_000 + "1", "syntax", 1),
        (b"x = '\xff\xfe'\n", "encoding", 1),
        ("# coding: klingon\n", "encoding", 1),
        ("# coding: hex\n", "encoding", 1),
        ("# -*- coding: cp949 -*-\nx = '한글'\n".encode(), "encoding", 1),
        (b"x = 1\n" * 200_000, "too-long", 1),
    ],
)
def test_a_file_that_cannot_be_read_is_a_finding(
    tmp_path: Path, content: str | bytes, rule: str, line: int
) -> None:
    paths = _write(tmp_path, {"나쁜.py": content, "good.py": "import os\n"})
    report = analyse(tmp_path, paths)
    found = [one for one in _rules(report) if one[0] == "나쁜.py"]
    assert found == [("나쁜.py", rule, line)]
    assert ("good.py", "unused-import", 1) in _rules(report)
    assert report["modules"] == 2


@pytest.mark.parametrize(
    "content",
    [
        "# -*- coding: cp949 -*-\nx = '한글'\n".encode("cp949"),
        "\ufeffx = '한글'\n",
        "x = 1\r\ny = 2\r\n",
    ],
)
def test_declared_encodings_and_byte_order_marks_are_fine(
    tmp_path: Path, content: str | bytes
) -> None:
    assert analyse(tmp_path, _write(tmp_path, {"a.py": content}))["findings"] == []


def test_code_too_deep_for_a_rule_is_told(tmp_path: Path) -> None:
    chain = "".join(f"    elif x == {n}:\n        return {n}\n" for n in range(2000))
    code = f"def f(x):\n    if x:\n        return 1\n{chain}"
    report = analyse(tmp_path, _write(tmp_path, {"a.py": code}))
    assert {"too-deep", "syntax"} & {rule for _, rule, _ in _rules(report)}


def test_findings_are_ordered_the_worst_first_and_noqa_is_heeded(tmp_path: Path) -> None:
    code = "import os\nimport re  # noqa: F401\ndef f(id): pass\nassert (1, 2)\n"
    report = analyse(tmp_path, _write(tmp_path, {"a.py": code}))
    assert _rules(report) == [
        ("a.py", "tuple-assert", 4), ("a.py", "unused-import", 1),
        ("a.py", "missing-docstring", 3), ("a.py", "shadowed-builtin", 3),
    ]  # fmt: skip
    assert set(report["findings"][0]) == {"path", "line", "severity", "rule", "note"}
    assert report["summary"].endswith("4 findings (1 error, 1 warning, 2 info).")


def test_links_and_odd_names_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "out.py").symlink_to("/etc/passwd")
    odd = b"\xff.py".decode(errors="surrogateescape")
    _write(tmp_path, {odd: "import os\n"})
    report = analyse(tmp_path, ["out.py", odd])
    assert report["modules"] == 1
    assert json.dumps(report, ensure_ascii=False).encode()
    assert _rules(report) == [("\\xff.py", "unused-import", 1)]


_THING = '''
import os, json
from app.m{0} import f as g

class Thing{1}:
    """사물."""
    def act(self, items=None, *, depth=0):
        """한다."""
        for item in items or []:
            if item is None or depth > 3:
                continue
            try:
                yield from self.act([g(item), os.fspath(item)], depth=depth + 1)
            except ValueError as error:
                raise KeyError(f"{{item}}: {{error}}") from error
        return json.dumps({{"depth": depth, "items": [str(x) for x in items if x]}})
'''


def test_500_files_take_less_than_3_seconds(workspace: GitWorkspace) -> None:
    task = TaskId("analyse")
    folder = asyncio.run(workspace.open(task, asyncio.run(workspace.prepare())))
    for number in range(500):
        text = _THING.format((number * 7 + 1) % 500, number) * 8
        _write(folder, {f"app/m{number}.py": f"def f(x):\n    return x\n{text}"})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = asyncio.run(workspace.analyse(task))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert report["lines"] > 60_000
    assert report["modules"] == 502
    # Processor time: what else this machine does shall not fail the test.
    assert after.ru_utime - before.ru_utime < 3


def test_a_workspace_analyses_tracked_and_new_files_that_are_not_ignored(
    workspace: GitWorkspace,
) -> None:
    task = TaskId("분석")
    folder = asyncio.run(workspace.open(task, asyncio.run(workspace.prepare())))
    (folder / ".gitignore").write_text("build/\n")
    _write(folder, {"새것.py": "import app.one\nx = '\\d'\n", "build/out.py": "import os\n"})
    (folder / "app" / "two.py").unlink()
    report = asyncio.run(workspace.analyse(task))
    assert report["imports"] == {"app.one": [], "새것": ["app.one"]}
    assert report["findings"] == [
        {"path": "새것.py", "line": 1, "severity": "warning", "rule": "unused-import",
         "note": "`app` is imported and not used"},
    ]  # fmt: skip


def test_code_of_the_worktree_is_not_run_by_its_analysis(workspace: GitWorkspace) -> None:
    task = TaskId("fix")
    folder = asyncio.run(workspace.open(task, asyncio.run(workspace.prepare())))
    trap = "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"
    for name in ("json.py", "ast.py", "helios/__init__.py", "sitecustomize.py"):
        _write(folder, {name: trap})
    assert asyncio.run(workspace.analyse(task))["modules"] == 6
    assert not list(folder.rglob("ran"))


def test_an_analysis_that_fails_is_told(
    workspace: GitWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TaskId("fix")
    asyncio.run(workspace.open(task, asyncio.run(workspace.prepare())))
    _write(tmp_path / "broken", {"helios/__init__.py": "raise ImportError('half installed')"})
    monkeypatch.setattr("sys.path", [str(tmp_path / "broken"), *sys.path])
    with pytest.raises(WorkspaceError, match=r"the analysis of task 'fix' failed: .*half install"):
        asyncio.run(workspace.analyse(task))
