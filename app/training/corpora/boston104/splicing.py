"""New sentences out of the few there are: signs change places between sentences of the BOSTON-104 tracks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from app.pipeline.checkpoint import DecoderConfig
from app.training.corpora.boston104.segmental import SegmentConfig
from app.training.corpora.boston104.sentences import Sentence

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class SpliceConfig:
    """How samples are made. Lengths are in the units of the tracks."""

    splice: float = 0.85
    """Share of the samples that are changed at all."""
    swap: float = 0.4
    """Of these, share of the signs that are replaced by a sign of another sentence."""
    any_gloss: float = 0.4
    """Of those, share that may be any gloss, each as likely, so that rare ones are seen as often as JOHN; the others
    stay the same gloss."""
    drop: float = 0.05
    """Share of the signs that are left out."""
    speed: float = 1.25
    """Greatest tempo; the least is its inverse."""
    scale: float = 0.15
    """Greatest change of size, as a share."""
    shift: float = 0.12
    """Sigma of where both hands are; half of it for each hand."""
    noise: float = 0.02
    """Sigma of the noise on every position."""


@dataclass(frozen=True)
class BostonConfig:
    """What is learnt, how samples are made, and how lattices are read."""

    held_out: int = -1
    """Which of the splits of the training sentences by `hold_out` is dev; negative: none, all are learnt."""
    lm_order: int = 3
    """Of the language model over glosses."""
    splice: SpliceConfig = field(default_factory=SpliceConfig)
    segments: SegmentConfig = field(default_factory=SegmentConfig)
    """How lattices are read."""
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    """How greedy decoding and the prefix beam read them, for comparison."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A spliced sentence."""

    tracks: Frames
    """(T, 6)"""
    frames: NDArray[np.int64]
    """(T,) label of each frame, 0 between signs."""
    labels: list[int]
    """Of the sentence."""


class Splicer:
    """Draws samples from sentences; label ids by `label`."""

    def __init__(self, sentences: Sequence[Sentence], label: dict[str, int], config: SpliceConfig) -> None:
        self.sentences, self.label, self.config = list(sentences), label, config
        self.bank: dict[str, list[tuple[str, Frames]]] = defaultdict(list)
        signed: dict[str, list[Frames]] = defaultdict(list)
        for sentence in sentences:
            for sign in sentence.segments:
                frames = sentence.tracks[sign.start : sign.end]
                if len(frames):
                    self.bank[sign.gloss].append((sentence.speaker, frames))
                    signed[sentence.speaker].append(frames[:, :4])
        self.glosses = sorted(self.bank)
        #: Where a speaker's hands are on average while signing: signs move between speakers by the difference.
        self.home = {speaker: np.concatenate(frames).mean(axis=0) for speaker, frames in signed.items()}

    def draw(self, rng: Generator) -> Sample:
        """One sample, with at least one sign."""
        while True:
            sample = self._splice(self.sentences[int(rng.integers(len(self.sentences)))], rng)
            if sample.labels:
                return self._augment(sample, rng)

    def _splice(self, sentence: Sentence, rng: Generator) -> Sample:
        cfg, tracks = self.config, sentence.tracks
        changed = rng.random() < cfg.splice
        parts: list[Frames] = [tracks[: sentence.segments[0].start]]
        frames = [np.zeros(len(parts[0]), np.int64)]
        labels: list[int] = []
        joints: list[int] = []
        starts = [s.start for s in sentence.segments[1:]] + [len(tracks)]
        for sign, following in zip(sentence.segments, starts, strict=True):
            following = max(following, sign.start + 1)
            own = tracks[sign.start : min(sign.end, following)]
            gap = tracks[min(sign.end, following) : following]
            gloss = sign.gloss
            if changed and rng.random() < cfg.swap:
                if rng.random() < cfg.any_gloss:
                    gloss = self.glosses[int(rng.integers(len(self.glosses)))]
                own = self._borrow(gloss, sentence.speaker, rng)
                here = sum(map(len, parts))
                joints += [here, here + len(own)]
                if len(gap) == 0 and following < len(tracks):
                    gap = (own[-1:] + tracks[following : following + 1]) / 2
            elif changed and len(sentence.segments) > 2 and rng.random() < cfg.drop:
                continue
            parts += [own, gap]
            frames += [np.full(len(own), self.label[gloss]), np.zeros(len(gap), np.int64)]
            labels.append(self.label[gloss])
        joined = np.concatenate(parts)
        for joint in joints:
            smooth(joined, joint)
        return Sample(joined, np.concatenate(frames), labels)

    def _borrow(self, gloss: str, speaker: str, rng: Generator) -> Frames:
        """The gloss as some sentence has it, moved to where this speaker signs; the same speaker's half of the time."""
        candidates = self.bank[gloss]
        own = [c for c in candidates if c[0] == speaker]
        if own and rng.random() < 0.5:
            candidates = own
        other, frames = candidates[int(rng.integers(len(candidates)))]
        frames = frames.copy()
        frames[:, :4] += self.home[speaker] - self.home[other]
        return frames

    def _augment(self, sample: Sample, rng: Generator) -> Sample:
        """Another tempo that changes on the way, another size and place, shaking points, now and then a frozen one."""
        cfg, count = self.config, len(sample.tracks)
        length = max(8, int(count * rng.uniform(1 / cfg.speed, cfg.speed)))
        knots = int(rng.integers(2, 5))
        course = np.concatenate([[0.0], np.cumsum(rng.uniform(0.6, 1.4, knots))])
        at = np.interp(np.linspace(0, 1, length), np.linspace(0, 1, knots + 1), course / course[-1]) * (count - 1)
        before = np.floor(at).astype(int)
        after = np.minimum(before + 1, count - 1)
        part = (at - before)[:, None]
        tracks = sample.tracks[before] * (1 - part) + sample.tracks[after] * part
        tracks *= rng.uniform(1 - cfg.scale, 1 + cfg.scale) * rng.uniform(0.95, 1.05, 6)
        both = rng.normal(0, cfg.shift, 2)
        tracks[:, 0:2] += both + rng.normal(0, cfg.shift / 2, 2)
        tracks[:, 2:4] += both + rng.normal(0, cfg.shift / 2, 2)
        tracks += rng.normal(0, cfg.noise, tracks.shape)
        if rng.random() < 0.3:
            start = int(rng.integers(length))
            tracks[start : start + int(rng.integers(1, 6))] = tracks[start]
        return Sample(tracks.astype(np.float32), sample.frames[np.round(at).astype(int)], sample.labels)


def smooth(tracks: Frames, joint: int) -> None:
    """Round off the frames around a joint, in place: each becomes a quarter of its neighbours and half of itself."""
    low, high = max(1, joint - 2), min(len(tracks) - 1, joint + 2)
    if high > low:
        tracks[low:high] = (
            0.25 * tracks[low - 1 : high - 1] + 0.5 * tracks[low:high] + 0.25 * tracks[low + 1 : high + 1]
        )
