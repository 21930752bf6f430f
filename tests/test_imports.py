"""Imports point one way: the parts of `app` know each other as the design says, and there are no circles."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import app

ROOT = Path(app.__file__).parent
#: What each part may import beside itself. `main` and `cli` wire everything together.
MAY = {
    "core": set(),
    "server": {"core"},
    "pipeline": set(),
    "speech": set(),
    "signer": {"pipeline"},
    "training": {"pipeline", "signer"},
    "db": {"core"},
    "monitoring": {"pipeline"},
    "services": {"core", "db", "monitoring", "pipeline", "signer", "speech", "training"},
    "api": {"core", "db", "monitoring", "pipeline", "services", "signer", "speech", "training"},
    "rpc": {"core", "monitoring", "pipeline", "services"},
}
#: Parts and rooms that are planned, so that the rules are here before them.
PLANNED: set[str] = set()
#: Which other rooms of `services` a room may import; `container` holds them all.
ROOMS = {
    "accounts": set(),
    "billing": set(),
    "captions": {"billing", "conversation", "history", "recognition", "signs"},
    "conversation": set(),
    "history": {"billing", "recognition"},
    "landmarks": set(),
    "performing": {"speech"},
    "recognition": set(),
    "signs": {"billing", "recognition"},
    "speech": {"billing", "conversation"},
    "training_jobs": set(),
}


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = ("app", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
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
    assert {part(module) for module in modules()} | PLANNED == {*MAY, "", "main", "cli", "__main__"}


def test_rooms_of_the_services_know_only_those_they_may() -> None:
    def room(module: str) -> str:
        return module.split(".")[2] if module.startswith("app.services.") else ""

    wrong = [
        f"{module} imports {other}"
        for module, others in imports().items()
        if room(module) not in ("", "container")
        for other in others
        if room(other) not in {"", room(module), *ROOMS[room(module)]}
    ]
    assert wrong == []
    assert {room(module) for module in modules()} | PLANNED == {*ROOMS, "", "container"}


def test_there_are_no_circles() -> None:
    TopologicalSorter(imports()).prepare()  # raises CycleError, which names the modules


def test_the_pipeline_knows_no_corpus() -> None:
    """What only a research corpus needs lies in `app/training/corpora`, one package for each."""
    named = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "pipeline").rglob("*.py")
        if any(corpus in path.read_text(encoding="utf-8").lower() for corpus in ("boston104", "boston-104", "aslg"))
    ]
    assert named == []


@pytest.mark.parametrize("folder", ["pipeline", "speech"])
def test_the_pipeline_and_speech_need_no_web_framework_database_or_settings(folder: str) -> None:
    foreign = {"fastapi", "starlette", "uvicorn", "socketio", "grpc", "sqlalchemy", "pydantic", "pydantic_settings"}
    wrong = []
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            wrong += [f"{path.name} imports {name}" for name in names if name.partition(".")[0] in foreign]
    assert wrong == []


def test_services_and_doors_know_run_folders_kinds_of_configs_and_manifests_of_the_training_and_nothing_else() -> None:
    found = {
        other
        for module, others in imports().items()
        for other in others
        if part(module) in ("services", "api", "rpc") and part(other) == "training"
    }
    assert found <= {"app.training.run_folder", "app.training.kinds", "app.training.corpora.manifest.manifest"}


def test_run_folders_are_read_without_pytorch() -> None:
    code = "import sys, app.training.run_folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent, check=False).returncode == 0


def test_no_corpus_imports_another() -> None:
    corpora = {path.parent.name for path in (ROOT / "training" / "corpora").glob("*/__init__.py")} - {"importers"}

    def corpus(module: str) -> str:
        parts = module.split(".")
        return parts[3] if parts[:3] == ["app", "training", "corpora"] and len(parts) > 3 else ""

    wrong = [
        f"{module} imports {other}"
        for module, others in imports().items()
        for other in others
        if corpus(module) in corpora and corpus(other) in corpora - {corpus(module)}
    ]
    assert wrong == []
    # And what all corpora share knows none of them; only these say which there are.
    knowing = {
        module
        for module, others in imports().items()
        if part(module) == "training" and not corpus(module) and any(corpus(other) for other in others)
    }
    # Each corpus has its own checkpoints.
    loading = {"app.training.release.final", "app.training.release.average", "app.training.growing"}
    assert knowing <= {"app.training.train", "app.training.ray_train", *loading}


def test_a_conversation_knows_no_signs() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in imports().items()
        if module.startswith("app.services.conversation")
        for other in others
        if not other.startswith(("app.services.conversation", "app.core"))
    ]
    assert wrong == []


def test_folders_of_the_tests_mirror_those_of_the_application() -> None:
    tests = Path(__file__).parent
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    known = {folder for folder in folders if any((root / folder).is_dir() for root in (ROOT, ROOT.parent))}
    assert sorted(map(str, folders - known)) == []
