"""All clips of `signs` and `wlasl` in one table of frames, in body coordinates, as the device holds them."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.training.corpora.glosses.names import NONE, gloss_of, left_out, signs_of
from app.training.errors import CorpusError

#: Pose points kept: nose, ears, mouth corners, shoulders, elbows, wrists; then the 21 points of each hand.
POSE_POINTS = (0, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
HEAD, SHOULDERS = slice(0, 5), slice(5, 7)
LEFT, RIGHT = slice(11, 32), slice(32, 53)
POINTS = 53
#: What moves on its own: body, left hand, right hand, and their points.
GROUPS = (slice(0, 11), LEFT, RIGHT)

#: Frames a second: `signs` does not say (webcam loops reach 10 to 15, training varies the speed), `wlasl` has 24 to 30.
SIGNS_FPS, WLASL_FPS = 16.0, 25.0
SIGNS_ASPECT = 4 / 3

Split = Literal["train", "dev"]


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording."""

    gloss: str
    """As recorded; `signs` are what it shows."""
    signer: str
    """Whom it shows."""
    corpus: str
    """"signs" or "wlasl"."""
    split: str
    """"train" or "dev"."""
    start: int
    """First frame in the bank."""
    end: int
    """One past the last frame."""
    fps: float
    """Frames a second."""

    @property
    def signs(self) -> tuple[str, ...]:
        return signs_of(self.gloss)


@dataclass(frozen=True)
class Bank:
    """Frames of all clips, one after the other."""

    #: float16 (N, 53, 2): shoulder widths from the middle of the shoulders, medians over the clip; 0 where missing.
    points: NDArray[np.float16]
    #: bool (N, 3): are the body, the left hand, the right hand there?
    there: NDArray[np.bool_]
    clips: tuple[Clip, ...]

    def of(self, corpus: str | None = None, split: str | None = None) -> list[int]:
        """Numbers of the clips of a corpus and a split."""
        return [
            i for i, c in enumerate(self.clips) if corpus in (None, c.corpus) and split in (None, c.split)
        ]  # fmt: skip

    def signers(self, clips: Iterable[int]) -> dict[str, int]:
        """Gloss -> number of signers among these clips."""
        who: dict[str, set[str]] = defaultdict(set)
        for i in clips:
            for sign in self.clips[i].signs:
                who[sign].add(self.clips[i].signer)
        return {gloss: len(people) for gloss, people in sorted(who.items())}


def load_bank(data: Path, per_gloss: int | None = None) -> Bank:
    """Read DATA/signs and DATA/wlasl, both splits; letters are left out.

    per_gloss: at most so many clips of a signer's gloss, the first ones. Training clips of a sign in which no hand is
    ever seen are left out, with a warning: they would teach to read a sign from nothing. Those of dev stay, and count
    as what is missed. Raises CorpusError.
    """
    frames: list[NDArray[np.float16]] = []
    there: list[NDArray[np.bool_]] = []
    clips: list[Clip] = []
    handless: list[str] = []
    start = 0
    for read in (_signs, _wlasl):
        for split in ("train", "dev"):
            taken: Counter[tuple[str, str]] = Counter()
            for gloss, signer, points, seen, aspect, fps in read(data, split):
                taken[gloss, signer] += 1
                if per_gloss and taken[gloss, signer] > per_gloss:
                    continue
                if split == "train" and gloss != NONE and not seen[:, 1:].any():
                    handless.append(f"{gloss} of {signer}")
                    continue
                frames.append(_to_body(points, seen, aspect))
                there.append(seen)
                corpus = read.__name__.strip("_")
                clips.append(Clip(gloss, signer, corpus, split, start, start + len(points), fps))
                start += len(points)
    if handless:
        shown = ", ".join(handless[:10]) + (", ..." if len(handless) > 10 else "")
        logger.warning("{} training clips are left out, because no hand is seen in them: {}", len(handless), shown)
    if not clips:
        raise CorpusError(f"{data / 'signs'} and {data / 'wlasl'} hold no clip of a sign")
    return Bank(np.concatenate(frames), np.concatenate(there), tuple(clips))


def check_signers(bank: Bank) -> None:
    """Raises CorpusError where nothing can be learned about, or measured on, other people than those recorded."""
    train, dev = (
        {(bank.clips[i].corpus, bank.clips[i].signer) for i in bank.of(split=split)} for split in ("train", "dev")
    )
    if not train:
        raise CorpusError("there is no training clip of a sign: give clips the split train in clips.csv")
    if len(train | dev) == 1:
        (_, name) = next(iter(train))
        raise CorpusError(
            f"all {len(bank.clips)} clips show one signer ({name}): a network would learn one person's signing, and "
            f"nothing would say how it reads anybody else. Add recordings of at least one other person, and put all "
            f"clips of a person into one split (train or dev) in clips.csv"
        )
    if both := sorted(name for _, name in train & dev):
        raise CorpusError(
            f"{', '.join(both[:10])} {'is' if len(both) == 1 else 'are'} in both train and dev: figures on people who "
            f"were trained on say nothing. Put all clips of a person into one split in clips.csv"
        )
    if len(train) == 1:
        logger.warning("all training clips show one signer: other people will hardly be read; add recordings of them")


def open_clips(folder: Path, split: str) -> tuple[Any, list[dict[str, str]]]:
    archive, table = folder / f"{split}.npz", folder / "clips.csv"
    if not archive.is_file() or not table.is_file():
        raise CorpusError(
            f"expected {archive.name} and clips.csv in {folder}; pass the folder that holds signs/ and wlasl/"
        )
    with table.open(newline="", encoding="utf-8") as f:
        rows = [row for row in csv.DictReader(f) if row["split"] == split]
    archived = dict(np.load(archive, allow_pickle=False))
    if len(rows) != len(archived["offsets"]) - 1:
        raise CorpusError(f"{table} lists {len(rows)} {split} clips, {archive.name} has {len(archived['offsets']) - 1}")
    return archived, rows


def _signs(data: Path, split: str) -> Iterable[tuple[Any, ...]]:
    z, rows = open_clips(data / "signs", split)
    pose, left, right, offsets = z["pose"], z["left"], z["right"], z["offsets"]
    for i, row in enumerate(rows):
        if row["gloss"].startswith("FS-"):
            continue
        where = slice(offsets[i], offsets[i + 1])
        points = np.concatenate([pose[where][:, POSE_POINTS, :2], left[where], right[where]], axis=1)
        body = (pose[where][..., 2] > 0).any(axis=1)
        yield row["gloss"], row["signer"], points, _seen(points, body), SIGNS_ASPECT, SIGNS_FPS


def _wlasl(data: Path, split: str) -> Iterable[tuple[Any, ...]]:
    z, rows = open_clips(data / "wlasl", split)
    left, right, body, offsets = z["left"], z["right"], z["body"], z["offsets"]
    for i, gloss in chosen_recordings(rows).items():
        row, where = rows[i], slice(offsets[i], offsets[i + 1])
        still = np.repeat(body[i][None, POSE_POINTS, :2], offsets[i + 1] - offsets[i], axis=0)
        points = np.concatenate([still, left[where], right[where]], axis=1)
        seen = _seen(points, np.ones(len(points), bool))
        # Wrists of the pose are not known, but where the hand is they are the hand's.
        for place, group, hand in ((9, 1, LEFT), (10, 2, RIGHT)):
            points[seen[:, group], place] = points[seen[:, group], hand.start]
        yield gloss, row["signer"], points, seen, float(row["aspect"]), WLASL_FPS


def chosen_recordings(rows: list[dict[str, str]]) -> dict[int, str]:
    """Row -> gloss: first variation only, each recording once.

    A recording that stands under two glosses which are no synonyms counts for the one with more recordings.
    """
    labels: dict[str, dict[str, int]] = defaultdict(dict)
    for i, row in enumerate(rows):
        gloss = gloss_of(row["gloss"])
        if row["variation"] == "0" and gloss is not None:
            labels[row["recording"]].setdefault(gloss, i)
    counts = Counter(gloss for glosses in labels.values() for gloss in glosses)
    out = {}
    for glosses in labels.values():
        gloss = max(glosses, key=lambda g: (counts[g], g))
        out[glosses[gloss]] = gloss
    return dict(sorted(out.items()))


def _seen(points: NDArray[np.floating], body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.stack([body, points[:, LEFT].any(axis=(1, 2)), points[:, RIGHT].any(axis=(1, 2))], axis=1)


def _to_body(points: NDArray[np.floating], seen: NDArray[np.bool_], aspect: float) -> NDArray[np.float16]:
    out = np.nan_to_num(points.astype(np.float32))
    out[..., 0] *= aspect
    shoulders = out[seen[:, 0]][:, SHOULDERS]
    if len(shoulders):
        origin = np.median(shoulders.mean(axis=1), axis=0)
        unit = max(float(np.median(np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1))), 0.02)
    else:
        origin, unit = np.array([0.5 * aspect, 0.5], np.float32), 0.3
    out = np.clip((out - origin) / unit, -8, 8)
    for group, where in enumerate(GROUPS):
        out[~seen[:, group], where] = 0
    return out.astype(np.float16)


def vocabulary(bank: Bank) -> tuple[str, ...]:
    """Signs of the training clips, sorted, without those that are left out."""
    signs = {sign for i in bank.of(split="train") for sign in bank.clips[i].signs}
    return tuple(sorted(signs - {NONE} - left_out()))
