"""The corpora that the trainer reads in their own layout, taken over whole after a check; and `signs` clip by clip."""

from __future__ import annotations

from pathlib import Path

from app.pipeline.module1_preprocessing.landmark_files import save_npz
from app.training.corpora.importers.placing import TRAIN, Imported, Placer, whole_folder
from app.training.corpora.manifest.manifest import Entry, write_manifest
from app.training.corpora.signs.clips import load_signs, signs_of
from app.training.corpora.tables import read_table

#: The recordings do not say how fast they are; at 1.5 times their frames they look like real signing (25 fps / 1.5).
SIGNS_FPS = 25 / 1.5
_BOSTON = {
    "hands_condensed.csv": ("video", "frame", "left-x", "left-y", "right-x", "right-y", "nose-x", "nose-y"),
    "speaker.csv": ("video", "speaker"),
    "train_words.csv": ("video", "speaker", "word", "startframe", "endframe"),
    "test_words.csv": ("video", "speaker", "word", "startframe", "endframe"),
}


def import_signs(source: Path, out: Path) -> Imported:
    """The corpus as it is (train.npz, dev.npz, clips.csv): trained on as composed phrases. Raises CorpusError."""
    clips = sum(len(load_signs(source, split)) for split in ("train", "dev"))
    placer = Placer(source, out)
    for name in ("train.npz", "dev.npz", "clips.csv"):
        placer.place(source / name)
    return Imported(clips, (), TRAIN.format(out=out))


def import_signs_as_clips(source: Path, out: Path) -> Imported:
    """One landmark file a clip, in a manifest; recorded phrases as several glosses, NONE as nothing.

    The frame rate is a guess (see SIGNS_FPS). Raises CorpusError.
    """
    entries: list[Entry] = []
    with whole_folder(out) as folder:
        for split in ("train", "dev"):
            for number, clip in enumerate(load_signs(source, split)):
                file = f"{split}/{number // 1000:03d}/{number:06d}.npz"
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                save_npz(folder / file, clip.keypoints(SIGNS_FPS))
                entries.append(Entry(file, signs_of(clip.gloss), clip.signer, split))
        write_manifest(folder, entries, sign_language="ase")
    return Imported(len(entries), (), TRAIN.format(out=out))


def import_boston104(source: Path, out: Path) -> Imported:
    """The tracks and words as they are; only hands and nose are tracked, so no landmark file can be made of them.

    Raises CorpusError.
    """
    placer = Placer(source, out)
    videos: set[str] = set()
    for name, columns in _BOSTON.items():
        rows = read_table(source / name, columns, f". Expected {', '.join(_BOSTON)}")
        if name.endswith("_words.csv"):
            videos |= {row["video"] for row in rows}
    for name in _BOSTON:
        placer.place(source / name)
    return Imported(len(videos), (), TRAIN.format(out=out))
