"""Imports point one way: the parts of `app` know each other as the design says, and there are no circles."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import app

ROOT = Path(app.__file__).parent
#: What each part may import beside itself. `main` and `cli` wire everything together.
MAY = {
    "core": set(),
    "server": {"core"},
    "pipeline": set(),
    "signer": {"pipeline"},
    "training": {"pipeline", "signer"},
    "db": {"core"},
    "monitoring": {"pipeline"},
    "services": {"core", "db", "monitoring", "pipeline"},
    "api": {"core", "db", "monitoring", "pipeline", "services", "signer"},
    "rpc": {"core", "monitoring", "pipeline", "services"},
}


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = ("app", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports() -> dict[str, set[str]]:
    """Modules of `app` that each imports, also inside its functions."""
    known, found = modules(), defaultdict(set)
    for module, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name if name in known else node.module for name in whole]
            found[module] |= {name for name in names if name in known and name != module}
    return found


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_parts_know_only_those_they_may() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in imports().items()
        for other in others
        if part(module) in MAY and part(other) not in {part(module), "", *MAY[part(module)]}
    ]
    assert wrong == []
    assert {part(module) for module in modules()} == {*MAY, "", "main", "cli", "__main__"}


def test_there_are_no_circles() -> None:
    TopologicalSorter(imports()).prepare()  # raises CycleError, which names the modules


def test_a_conversation_knows_no_signs() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in imports().items()
        if module.startswith("app.services.conversation")
        for other in others
        if not other.startswith(("app.services.conversation", "app.core"))
    ]
    assert wrong == []
