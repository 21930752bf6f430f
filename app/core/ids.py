"""Names from the network: what a dataset, a config or a checkpoint may be called, and which of them a folder holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

#: A name is one path component that neither starts with a dot nor holds a separator.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def names_in(folder: Path, wanted: Callable[[Path], bool]) -> list[str]:
    """Names of the entries of `folder` that are wanted, sorted; [] where the folder is missing.

    Links do not count, wherever they lead: what a name stands for lies in the folder. The folder itself may be one.
    """
    if not folder.is_dir():
        return []
    return sorted(e.name for e in folder.iterdir() if NAME.fullmatch(e.name) and not e.is_symlink() and wanted(e))


def dataset_names(root: Path) -> list[str]:
    """Datasets directly under `root`: folders with a table in them, or with folders that have one."""
    return names_in(root, lambda entry: entry.is_dir() and (any(entry.glob("*.csv")) or any(entry.glob("*/clips.csv"))))


def config_names(root: Path) -> list[str]:
    """YAML files directly under `root`, without their ending."""
    files = names_in(root, lambda entry: entry.suffix == ".yaml" and entry.is_file())
    return [name.removesuffix(".yaml") for name in files]
