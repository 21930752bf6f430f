"""What the README and docs name is there: files, commands, and the settings of the trainer's configs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from app.cli import main
from app.core.errors import all_errors
from app.core.settings import Settings
from app.monitoring.disk import DiskCollector
from app.monitoring.metrics import Metrics

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "RESULTS.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
#: What has variables of its own: they are set for these files, not for the service.
DEPLOYMENT = ("compose.yaml", "compose.observability.yaml", "deploy/make_env.sh", "deploy/Caddyfile", "Dockerfile")
#: A path below one of the repository's folders; what a command would make is not among them.
PATH = re.compile(r"(?<![\w/.-])(?:app|scripts|docs|configs|checkpoints|tests|deploy)/[\w./-]*")
#: Commands that have actions, each with options of its own.
ACTIONS = {
    "admin": ("create", "role", "reset", "second-factor-off"),
    "dataset": ("import", "report"),
    "signs": ("teach", "list", "export", "import", "delete", "prototypes", "evaluate"),
    "glosses": ("pack", "train", "join", "calibrate", "lm", "evaluate"),
}
MADE_BY_COMMANDS = {"checkpoints/my-signs", "checkpoints/step-", "checkpoints/best"}


def texts() -> dict[str, str]:
    return {page.name: page.read_text(encoding="utf-8") for page in PAGES}


def test_every_path_that_the_docs_name_exists() -> None:
    missing = {
        f"{page}: {path}"
        for page, text in texts().items()
        for path in (found.rstrip(".-") for found in PATH.findall(text) if found not in MADE_BY_COMMANDS)
        if not (REPOSITORY / path).exists()
    }
    assert missing == set()


def test_every_link_to_a_file_leads_somewhere() -> None:
    missing = {
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    }
    assert missing == set()


def test_the_tree_of_the_readme_has_every_package() -> None:
    """One line for each folder of `app`, at its place; below corpora and generated code the folders speak for
    themselves."""
    tree = re.search(r"^app/\n(?:[ \w].+\n)+", texts()["README.md"], re.MULTILINE)
    assert tree is not None
    shown, above = set(), [(-1, Path())]
    for line in tree.group().splitlines():
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        while above[-1][0] >= indent:
            above.pop()
        above.append((indent, above[-1][1] / name))
        shown.add(above[-1][1].as_posix())
    assert {name for name in shown if not (REPOSITORY / name).exists()} == set()
    left_out = (
        "app/training/corpora/",
        "app/rpc/",
        "app/api/admin/",
        "app/signer/assets",
        "app/signer/samples",
        "app/db/migrations/",
        "app/web/npm/node_modules",
    )
    packages = {
        folder.relative_to(REPOSITORY).as_posix()
        for folder in (REPOSITORY / "app").rglob("*")
        if folder.is_dir() and any(p.is_file() and p.suffix != ".pyc" for p in folder.iterdir())
    }
    assert {name for name in packages - shown if not name.startswith(left_out)} == set()


@cache
def commands() -> frozenset[str]:
    return frozenset(
        command
        for text in texts().values()
        for command in re.findall(r"(?:python|run|\.\.\.) -m app ([a-z]+)|(?<=-m app )([a-z]+)", text)
        for command in command
        if command
    )


def test_the_docs_name_commands() -> None:
    assert {"caption", "serve", "train", "evaluate", "release"} <= commands()


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_that_the_docs_name_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"python -m app {command}" in capsys.readouterr().out


def test_every_option_that_the_docs_give_a_command_exists(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = set()
    for page, text in texts().items():
        for line in re.findall(r"-m app (.+(?:\\\n.+)*)", text):
            words = re.sub(r"#.*|`.*", "", line).replace("\\\n", " ").split()
            command = [words[0]] + [w for w in words[1:2] if w in ACTIONS.get(words[0], ())]
            with pytest.raises(SystemExit):
                main([*command, "--help"])
            known = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
            wrong |= {f"{page}: {' '.join(command)} {o}" for o in re.findall(r"--[a-z][a-z-]*", " ".join(words))} - {
                f"{page}: {' '.join(command)} {o}" for o in known
            }
    assert wrong == set()


def test_every_setting_that_the_docs_name_exists() -> None:
    """Words such as MAX_UPLOAD_MB in code quotes; TMPDIR, POINTS and the like have no underscore."""
    deployment = "\n".join((REPOSITORY / name).read_text(encoding="utf-8") for name in DEPLOYMENT)
    others = {"FORWARDED_ALLOW_IPS", *re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", deployment)}
    statuses = {"DEADLINE_EXCEEDED", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED"}
    of_tests = {"GLOSSLINE_KILLS", "GLOSSLINE_ROUNDS", "GLOSSLINE_SCHEMA_EXAMPLES"}
    settings = {name.upper() for name in Settings.model_fields}
    known = settings | others | statuses | of_tests | {"RESOURCE_EXHAUSTED", "NUM_FEATURES"}
    named = {
        f"{page}: {name}" for page, text in texts().items() for name in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)[`=]", text)
    }
    assert {entry for entry in named if entry.split(": ")[1] not in known} == set()


def test_every_error_code_of_the_readme_exists() -> None:
    table = re.search(r"^\| status \| codes.*?\n\n", texts()["README.md"], re.MULTILINE | re.DOTALL)
    assert table is not None
    by_code = {kind.code: kind.status for kind in all_errors()}
    for row in table.group().splitlines()[2:]:
        if not row:
            continue
        statuses, codes = row.strip("|").split("|")
        for code in re.findall(r"`([a-z_]+)`", codes):
            assert str(by_code[code]) in statuses, code


def test_every_metric_is_described() -> None:
    page, metrics = texts()["metrics.md"], Metrics()
    metrics.registry.register(DiskCollector({}))
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in metrics.registry.collect()
        if family.name.startswith("glossline")
    }
    assert {name for name in names if f"`{name}`" not in page} == set()
