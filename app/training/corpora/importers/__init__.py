"""Corpora in the layout they were published in become datasets: one function for each layout.

Written from the public descriptions of the corpora; each module says which.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from app.training.corpora.importers import copies, phoenix, pose_files, wlasl
from app.training.corpora.importers.placing import Imported
from app.training.errors import CorpusError

_IMPORTERS: dict[str, Callable[[Path, Path], Imported]] = {
    "phoenix2014": partial(phoenix.import_phoenix, phoenix.PHOENIX2014),
    "phoenix2014t": partial(phoenix.import_phoenix, phoenix.PHOENIX2014T),
    "wlasl": wlasl.import_wlasl,
    "pose": pose_files.import_pose_files,
    "signs": copies.import_signs,
    "signs-clips": copies.import_signs_as_clips,
    "boston104": copies.import_boston104,
}


def import_corpus(kind: str, source: Path, out: Path, glosses: int | None = None) -> Imported:
    """Make the dataset `out` from the corpus in `source`. glosses: WLASL only, number of glosses to take.

    Raises CorpusError when the layout is another, or `out` holds a dataset already.
    """
    if not source.is_dir():
        raise CorpusError(f"there is no folder {source}; --source is the folder that the corpus was unpacked into")
    if (out / "clips.csv").exists() and out.resolve() != source.resolve():
        raise CorpusError(f"{out} holds a dataset already; choose another --out, or remove its clips.csv first")
    if kind not in _IMPORTERS:
        raise CorpusError(f"'{kind}' is not a known kind of corpus; there are: {', '.join(_IMPORTERS)}")
    return wlasl.import_wlasl(source, out, glosses) if kind == "wlasl" else _IMPORTERS[kind](source, out)
