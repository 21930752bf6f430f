"""Names from the network and the command line: what a dataset may be called, and the folder it stands for."""

from __future__ import annotations

import re
from pathlib import Path

#: A name is one path component that neither starts with a dot nor holds a separator.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class UnknownDataset(ValueError):
    """No such dataset under the root, or something that is no name; the message says what there is."""


def dataset_names(root: Path) -> list[str]:
    """Datasets under `root`, sorted: real folders with a proper name and a table; [] where the root is missing."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if _is_dataset(root, entry))


def find_dataset(root: Path, name: str) -> Path:
    """The folder of the dataset `name` directly under `root`.

    Raises UnknownDataset for a path in place of a name, a folder that is not there, and a link that leads elsewhere.
    """
    if not NAME.fullmatch(name):
        raise UnknownDataset(
            f"'{name[:80]}' is no dataset name: up to 64 letters, digits, '.', '_' and '-', beginning with a letter or "
            f"digit. Datasets are called by name, never by path; {_known(root)}"
        )
    folder = root / name
    if not _is_dataset(root, folder):
        raise UnknownDataset(f"there is no dataset '{name}'; {_known(root)}")
    return folder


def _is_dataset(root: Path, folder: Path) -> bool:
    inside = folder.resolve().parent == root.resolve() and folder.resolve().name == folder.name
    return bool(NAME.fullmatch(folder.name)) and inside and folder.is_dir() and any(folder.glob("*.csv"))


def _known(root: Path) -> str:
    names = dataset_names(root)
    return f"there are: {', '.join(names)}" if names else "there is none yet (python -m app dataset import --help)"
