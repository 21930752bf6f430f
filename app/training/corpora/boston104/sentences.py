"""The BOSTON-104 tracks: sentences of three signers as wrists and nose, with glosses and their hand-set boundaries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.training.corpora.boston104.features import nose_relative
from app.training.corpora.tables import read_table
from app.training.errors import CorpusError

HANDS, SPEAKERS = "hands_condensed.csv", "speaker.csv"
_POINTS = ("left-x", "left-y", "right-x", "right-y", "nose-x", "nose-y")


@dataclass(frozen=True, slots=True)
class SignSpan:
    """One sign of a sentence."""

    start: int
    """First frame."""
    end: int
    """One past the last frame."""
    gloss: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """One video."""

    video: str
    speaker: str
    tracks: NDArray[np.float32]
    """(T, 6) as `nose_relative` makes them."""
    segments: tuple[SignSpan, ...]
    """In order of time."""

    @property
    def glosses(self) -> tuple[str, ...]:
        return tuple(segment.gloss for segment in self.segments)

    def frame_labels(self, label: dict[str, int]) -> NDArray[np.int64]:
        """(T,) label of the sign each frame belongs to, 0 between signs; where two overlap, the later one."""
        labels = np.zeros(len(self.tracks), np.int64)
        for segment in self.segments:
            labels[segment.start : segment.end] = label[segment.gloss]
        return labels


def load_boston104(folder: Path, split: str) -> list[Sentence]:
    """All sentences of the split ("train" or "test"), by number. Raises CorpusError naming file and fault."""
    if split not in ("train", "test"):
        raise CorpusError(f"BOSTON-104 has the splits train and test, not {split!r}")
    words = f"{split}_words.csv"
    segments: dict[str, list[SignSpan]] = defaultdict(list)
    for line, row in _rows(folder / words, ("video", "word", "startframe", "endframe")):
        start, end = _number(row["startframe"], words, line), _number(row["endframe"], words, line) + 1
        if not 0 <= start < end:
            raise CorpusError(f"{words}, line {line}: a sign from frame {start:g} to {end - 1:g}")
        segments[row["video"]].append(SignSpan(int(start), int(end), row["word"]))
    if not segments:
        raise CorpusError(f"{words} names no sign")
    speakers = {row["video"]: row["speaker"] for _, row in _rows(folder / SPEAKERS, ("video", "speaker"))}
    frames: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for line, row in _rows(folder / HANDS, ("video", "frame", *_POINTS)):
        if row["video"] in segments:
            frames[row["video"]].append(tuple(_number(row[key], HANDS, line) for key in ("frame", *_POINTS)))
    out = []
    for video in sorted(segments, key=lambda name: (len(name), name)):
        if video not in frames or video not in speakers:
            raise CorpusError(f"{words} names video {video}, which {HANDS} or {SPEAKERS} does not have")
        points = np.array(sorted(frames[video]), np.float32)[:, 1:].reshape(-1, 3, 2)
        signs = tuple(sorted(segments[video], key=lambda s: (s.start, s.end)))
        if signs[-1].start >= len(points):
            raise CorpusError(f"{words}: video {video} has {len(points)} frames, but a sign from {signs[-1].start} on")
        out.append(Sentence(video, speakers[video], nose_relative(points), signs))
    return out


def _rows(path: Path, columns: Sequence[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """(line number, row) of a CSV file that has these columns."""
    for line, row in enumerate(read_table(path, columns), start=2):
        if any(row[column] is None for column in columns):
            raise CorpusError(f"{path.name}, line {line}: fewer values than columns")
        yield line, row


def _number(text: str, name: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise CorpusError(f"{name}, line {line}: {text!r} is not a number") from error
    if not np.isfinite(value):
        raise CorpusError(f"{name}, line {line}: {text!r} is not a number")
    return value


def hold_out(sentences: Sequence[Sentence], seed: int, known: int = 26, new: int = 14) -> tuple[list[Sentence], ...]:
    """Split training sentences as the database splits its own: (kept, held out).

    Of the held-out ones `known` have a wording that a kept one has too, `new` have not (fewer where there are not as
    many), and each of their glosses is still signed in a kept one. So the figures on them speak for the test.
    """
    rng = np.random.default_rng(seed)
    left = Counter(gloss for s in sentences for gloss in s.glosses)
    wordings = Counter(s.glosses for s in sentences)
    once = {glosses for glosses, count in wordings.items() if count == 1}
    out: set[str] = set()

    def take(candidates: list[Sentence], wanted: int) -> None:
        for i in rng.permutation(len(candidates)):
            sentence = candidates[int(i)]
            alone = wordings[sentence.glosses] == 1 and sentence.glosses not in once
            needed = any(left[g] <= n for g, n in Counter(sentence.glosses).items())
            if wanted and not alone and not needed:
                wanted -= 1
                out.add(sentence.video)
                left.subtract(sentence.glosses)
                wordings[sentence.glosses] -= 1

    take([s for s in sentences if s.glosses not in once], known)
    take([s for s in sentences if s.glosses in once], new)
    return [s for s in sentences if s.video not in out], [s for s in sentences if s.video in out]
