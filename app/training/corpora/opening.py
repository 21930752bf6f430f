"""Which corpus lies in a folder, and how it is opened.

Kinds are recognised by the files in the folder and the header of its table, so they need not be named. A new corpus
is a folder beside this file, a line in `SOURCES`, and a line in `corpus_kind`.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.training.config import TrainConfig
from app.training.corpora.boston104.source import BostonSource
from app.training.corpora.manifest.source import ManifestSource
from app.training.corpora.signs.source import PhraseSource
from app.training.errors import ConfigError, CorpusError
from app.training.source import Source

Kind = Literal["signs", "manifest", "boston104"]

SOURCES: dict[Kind, type[PhraseSource] | type[ManifestSource] | type[BostonSource]] = {
    "signs": PhraseSource,
    "manifest": ManifestSource,
    "boston104": BostonSource,
}


def corpus_kind(folder: Path) -> Kind:
    """Which corpus lies in `folder`. Raises CorpusError when it is none of the known ones."""
    if (folder / "hands_condensed.csv").is_file():
        return "boston104"
    table = folder / "clips.csv"
    if not table.is_file():
        raise CorpusError(
            f"no corpus in {folder}: expected clips.csv (a manifest, or the signs corpus) or hands_condensed.csv "
            f"there; pass --data FOLDER"
        )
    with table.open(newline="", encoding="utf-8-sig") as f:
        header = next(csv.reader(f), [])
    if "file" in header:
        return "manifest"
    if "clip" in header:
        return "signs"
    raise CorpusError(
        f"{table} is neither a manifest (columns file,glosses,signer,split) nor the signs corpus (column clip): "
        f"its columns are {', '.join(header) or 'missing'}"
    )


def open_source(folder: Path, config: TrainConfig, known: tuple[str, ...] = ()) -> Source:
    """The corpus in `folder`. known: glosses of the network that the run starts from, to which a manifest adds its own.

    Raises CorpusError where it is not as it should be, ConfigError for its settings.
    """
    check_sections(config)
    source = SOURCES[corpus_kind(folder)]
    return source.open(folder, config, known) if source is ManifestSource else source.open(folder, config)


def recordings_of(source: Source, glosses: Iterable[str]) -> dict[str, list[NDArray[np.float32]]]:
    """Gloss -> features of its training clips, of a corpus that adds glosses to a network. Raises ConfigError for the
    others."""
    if not isinstance(source, ManifestSource):
        raise ConfigError("--init was trained on other glosses than this run, and only a manifest can add some")
    return source.recordings(glosses)


def check_sections(config: TrainConfig) -> None:
    """Raises ConfigError for sections that neither the trainer nor a corpus knows, or with settings that are wrong.

    A section of another corpus is allowed: one config may serve several.
    """
    of_corpora = {f.name for source in SOURCES.values() for f in dataclasses.fields(config.own(source.settings))}
    unknown = sorted(set(config.sections) - of_corpora)
    if unknown:
        known = of_corpora | {f.name for f in dataclasses.fields(TrainConfig)} - {"sections"}
        raise ConfigError(f"unknown setting {unknown[0]}; known: {', '.join(sorted(known))}")
