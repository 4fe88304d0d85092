"""Who imports whom, read from the source: the graph behind the rules of the house."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests import ROOT

PACKAGE = ROOT / "dyntheory"
Graph = dict[str, set[str]]


def name_of(path: Path) -> str:
    """Return the dotted name of a module; a package has the name of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> dict[str, Path]:
    """Return every module of the package with its file."""
    return {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def rows_of_the_house() -> list[list[str]]:
    """Return the rows of CONTRIBUTING.md, from the ground up: names before two spaces, then what they are."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    block = text.split("A folder imports only folders above it in this list", 1)[1].split("\n\n")[1]
    return [re.split(r"\s{2,}", line.strip())[0].split() for line in block.splitlines()]


def imports(source: str, known: set[str]) -> set[str]:
    """Return the modules of the package that a source imports, wherever; type-checking blocks do not count."""
    tree = ast.parse(source)
    guards = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    guarded = {inner for guard in guards for inner in ast.walk(guard)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in guarded:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in known else node.module or "" for name in names}
    return found & known


def graph() -> Graph:
    """Return for every module those that it imports."""
    files = modules()
    return {name: imports(path.read_text(), set(files)) - {name} for name, path in files.items()}


def between_children(folder: str, edges: Graph) -> Graph:
    """Return the imports between what lies in a folder: its files, and its folders as one."""

    def child(name: str) -> str | None:
        if name == folder:
            return "__init__"
        return name.removeprefix(f"{folder}.").split(".")[0] if name.startswith(f"{folder}.") else None

    found: Graph = defaultdict(set)
    for name, targets in edges.items():
        source = child(name)
        if source is not None:
            found[source] |= {to for target in targets if (to := child(target)) not in (None, source)}
    return dict(found)
