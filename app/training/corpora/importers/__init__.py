"""Corpora in the layout they were published in become datasets: one function for each layout.

Written from the public descriptions of the corpora; each module says which.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from app.training.corpora.importers import copies, phoenix, pose_files, wlasl
from app.training.corpora.importers.placing import Imported
from app.training.errors import CorpusError

Kind = Literal["phoenix2014", "phoenix2014t", "wlasl", "pose", "signs", "signs-clips", "boston104"]

__all__ = ["Imported", "Kind", "import_corpus"]


def import_corpus(kind: str, source: Path, out: Path, glosses: int | None = None) -> Imported:
    """Make the dataset `out` from the corpus in `source`. glosses: of WLASL, only so many.

    Raises CorpusError when the layout is another, or `out` holds a dataset already.
    """
    if not source.is_dir():
        raise CorpusError(f"there is no folder {source}; --source is the folder that the corpus was unpacked into")
    if (out / "clips.csv").exists() and out.resolve() != source.resolve():
        raise CorpusError(f"{out} holds a dataset already; choose another --out, or remove its clips.csv first")
    match kind:
        case "phoenix2014":
            return phoenix.import_phoenix2014(source, out)
        case "phoenix2014t":
            return phoenix.import_phoenix2014t(source, out)
        case "wlasl":
            return wlasl.import_wlasl(source, out, glosses)
        case "pose":
            return pose_files.import_pose_files(source, out)
        case "signs":
            return copies.import_signs(source, out)
        case "signs-clips":
            return copies.import_signs_as_clips(source, out)
        case "boston104":
            return copies.import_boston104(source, out)
        case _:
            raise CorpusError(f"'{kind}' is not a known kind of corpus; there are: {', '.join(get_args(Kind))}")
