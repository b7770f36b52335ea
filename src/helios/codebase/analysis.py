"""Static analysis of Python code: what depends on what, and what a reader would remark on."""

import ast
import gc
import io
import json
import os
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from helios.codebase.files import read_regular
from helios.codebase.imports import (
    Graph,
    Imported,
    circles,
    import_graph,
    module_names,
    read_imports,
)
from helios.codebase.rules import RULES, Remark
from helios.codebase.syntax import Source, read_source

LARGEST_MODULE = 1024 * 1024
"""Bytes; a longer file is generated, and reading it tells nothing about people's code."""

_MOST_IMPORTED = 5
_MOST_READ = 64 * LARGEST_MODULE
_ORDER = {"error": 0, "warning": 1, "info": 2}

Finding = dict[str, Any]


def analyse(root: Path, paths: Iterable[str]) -> dict[str, Any]:
    """Analyse the Python files among these paths; nothing is run, no file can make it fail.

    Returns:
        A dict of JSON values: `modules`, `lines` and `functions` are counts, `imports` maps each
        module to the modules of the repository it imports, `circles` lists a shortest circle of
        imports for each knot, `findings` are dicts of `path`, `line`, `severity` (error, warning
        or info), `rule` and `note`, the worst first, `most_imported` are dicts of `module` and
        `importers`, `summary` is a sentence. A line with `# noqa` has no findings.
    """
    findings: list[Finding] = []
    imports: dict[str, tuple[Imported, ...]] = {}
    found, lines, functions = [], 0, 0
    for path in sorted({path for path in paths if path.endswith(".py")}):
        data = read_regular(root, path, most=_MOST_READ)
        if data is None:
            continue
        found.append(path)
        lines += data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
        source, remarks = _examine(path, data)
        findings += [_finding(path, remark) for remark in remarks]
        if source:
            imports[path] = read_imports(source)
            functions += len(source.functions)
    names = module_names(found)
    graph = import_graph(imports, names)
    loops = circles(graph)
    findings += _circle_findings(graph, loops, {name: path for path, name in names.items()})
    findings.sort(key=lambda one: (_ORDER[one["severity"]], one["path"], one["line"], one["rule"]))
    counts = {"modules": len(found), "lines": lines, "functions": functions}
    return {
        **counts,
        "imports": {
            _shown(name): [_shown(to) for to in targets] for name, targets in graph.items()
        },
        "circles": [[_shown(name) for name in loop] for loop in loops],
        "findings": findings,
        "most_imported": _most_imported(graph),
        "summary": _summary(counts, len(loops), findings),
    }


def _examine(path: str, data: bytes) -> tuple[Source | None, Sequence[Remark]]:
    """A file taken apart and what was noticed; a file that cannot be read is itself noticed."""
    if len(data) > LARGEST_MODULE:
        note = f"not analysed: longer than {LARGEST_MODULE // 1024} KiB"
        return None, [Remark(1, "info", "too-long", note)]
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError) as error:
        return None, [Remark(1, "error", "encoding", f"cannot be decoded: {error}")]
    try:
        source = read_source(path, ast.parse(text))
    except SyntaxError as error:
        note = f"does not parse: {error.msg}"
        return None, [Remark(error.lineno or 1, "error", "syntax", note)]
    except (RecursionError, MemoryError, ValueError) as error:
        return None, [Remark(1, "error", "syntax", f"does not parse: {error!r}")]
    quiet = {number for number, line in enumerate(text.split("\n"), 1) if "# noqa" in line}
    return source, [remark for remark in _remarks(source) if remark.line not in quiet]


def _remarks(source: Source) -> Iterator[Remark]:
    for rule in RULES:
        try:
            yield from rule(source)
        except RecursionError:
            note = f"nested too deeply for {rule.__name__.replace('_', '-')}"
            yield Remark(1, "info", "too-deep", note)


def _finding(path: str, remark: Remark) -> Finding:
    return {"path": _shown(path), "line": remark.line, "severity": remark.severity,
            "rule": remark.rule, "note": remark.note}  # fmt: skip


def _circle_findings(
    graph: Graph, loops: Sequence[Sequence[str]], paths: dict[str, str]
) -> list[Finding]:
    return [
        _finding(
            paths[loop[0]],
            Remark(graph[loop[0]][loop[1]], "warning", "import-circle",
                   f"modules import each other: {_shown(' -> '.join([*loop, loop[0]]))}"),
        )
        for loop in loops
    ]  # fmt: skip


def _most_imported(graph: Graph) -> list[dict[str, Any]]:
    counted = Counter(target for targets in graph.values() for target in targets)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:_MOST_IMPORTED]
    return [{"module": _shown(module), "importers": count} for module, count in ranked]


def _summary(counts: dict[str, int], loops: int, findings: Sequence[Finding]) -> str:
    if not counts["modules"]:
        return "There are no Python modules."
    levels = Counter(finding["severity"] for finding in findings)
    parts = [_count(number, name[:-1]) for name, number in counts.items()]
    circle = _count(loops, "import circle") if loops else "no import circle"
    split = ", ".join(f"{levels[level]} {level}" for level in _ORDER if levels[level])
    found = _count(len(findings), "finding") + (f" ({split})" if split else "")
    return f"{parts[0]}, {parts[1]} and {parts[2]}; {circle}; {found}."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _shown(text: str) -> str:
    """A path as text that any store takes, also where its bytes are not UTF-8."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def main() -> None:
    """Analyse the folder named by the argument; paths come from stdin, each ended by NUL."""
    gc.disable()  # syntax trees have no circles; looking for some takes half of the time
    paths = map(os.fsdecode, sys.stdin.buffer.read().split(b"\0"))
    json.dump(analyse(Path(sys.argv[1]), paths), sys.stdout)


if __name__ == "__main__":
    main()
