"""Prototypes of a checkpoint's glosses, with which taught signs are compared: one file beside the weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from app.pipeline.module3_sequence.taught import unit
from app.pipeline.whole_files import whole_file

PROTOTYPES = "prototypes.safetensors"


class InvalidPrototypes(ValueError):
    """The file is not what `write_prototypes` writes for these glosses; the message says what to do."""


class NoPrototypes(ValueError):
    """The recogniser has none, so taught signs can only be read alone."""


@dataclass(frozen=True, eq=False)
class Prototypes:
    """What the glosses of a checkpoint look like, over the people that it was trained on."""

    rows: NDArray[np.float32]
    """(labels, D), each of length one, in label order."""
    centre: NDArray[np.float32]
    """(D,) what all signs have in common; it is taken from every step before anything is compared."""


def balanced(embeddings: Iterable[tuple[str, NDArray[np.floating]]]) -> NDArray[np.float64]:
    """(signer, row (D,)) of recordings -> (D,): the mean over signers of each signer's mean, so that people with many
    recordings do not count for more."""
    of_signers: dict[str, list[NDArray[np.floating]]] = {}
    for signer, row in embeddings:
        of_signers.setdefault(signer, []).append(row)
    means: NDArray[np.float64] = np.mean([np.mean(rows, axis=0) for rows in of_signers.values()], axis=0)
    return means


def read_prototypes(folder: Path, vocabulary: Sequence[str]) -> Prototypes | None:
    """None where the checkpoint has none. Raises InvalidPrototypes."""
    path = folder / PROTOTYPES
    if not path.is_file():
        return None
    try:
        tables = load_file(path)
        rows, centre = tables["rows"].astype(np.float32), tables["centre"].astype(np.float32)
    except (OSError, SafetensorError, KeyError, ValueError) as problem:
        raise InvalidPrototypes(f"cannot read {path}: {problem}. Fetch the checkpoint again") from problem
    fits = rows.ndim == 2 and len(rows) == len(vocabulary) and rows.shape[1:] == centre.shape
    if not fits or not np.isfinite(rows).all() or not np.isfinite(centre).all():
        raise InvalidPrototypes(
            f"{path} has prototypes {rows.shape} for {len(vocabulary)} glosses; make it with: python -m app signs "
            f"prototypes --checkpoint {folder.name} --data FOLDER"
        )
    return Prototypes(unit(rows), centre)


def write_prototypes(folder: Path, prototypes: Prototypes) -> Path:
    """Write a checkpoint's. Raises OSError."""
    with whole_file(folder / PROTOTYPES) as part:
        save_file({"rows": prototypes.rows.astype(np.float16), "centre": prototypes.centre.astype(np.float32)}, part)
        part.chmod(0o644)
    return folder / PROTOTYPES
