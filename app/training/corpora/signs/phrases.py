"""Composed phrases: isolated clips of one signer joined into something like continuous signing.

The result says "composed" wherever a number is made with it: real sentences have grammar in the face and
co-articulation that no joining gives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from app.pipeline.keypoints import hand_present
from app.pipeline.module1_preprocessing.resample import interpolate
from app.training.augment import AugmentConfig, to_body
from app.training.corpora.signs.clips import NONE, SignClip, active_range, signs_of

T = TypeVar("T")


@dataclass(frozen=True)
class PhraseConfig:
    """How phrases are composed. Shares are 0..1, lengths in frames at 25 fps."""

    single: float = 0.35
    """Share of the phrases that are one sign."""
    max_signs: int = 4
    """Most signs of the others."""
    none_stretch: float = 0.12
    """Share of the signs in a phrase before which an unlabelled stretch of a NONE clip is put."""
    stretch: float = 1.5
    """Frames of a sign at 25 fps for each frame recorded: the recordings are slower than 25 fps."""
    sign_speed: float = 0.2
    """Log-sigma of the tempo of each sign, beside that of the whole phrase (`augment.speed`)."""
    warp: float = 0.15
    """How uneven the pace inside a sign is, 0 = even."""
    trim_single: float = 0.5
    """Share of the single signs that are cut to the frames with a hand in sight; in phrases all are."""
    trim_more: float = 0.15
    """Most that is cut off a sign of a phrase beyond that, at either end, as a share of the sign."""
    transition: tuple[int, int] = (3, 13)
    """Least and most (exclusive) interpolated frames between two signs."""
    hold: float = 0.4
    """Share of the phrases whose first pose is held for a while; likewise the last."""
    hold_frames: tuple[int, int] = (2, 29)
    """Least and most (exclusive) frames for which it is held."""
    gloss_power: float = 0.5
    """Glosses are drawn by clips ** (1 - power): 0 = as often as they were recorded, 1 = all alike."""
    false_start: float = 0.0
    """Share of the phrases in which hands go up and come down again without a sign."""
    still: float = 0.05
    """Share of the draws that are a person who does not sign."""
    window_crop: float = 0.0
    """Share of the phrases that are cut to a window, as a live stream sees them."""
    window: int = 64
    """Frames of such a window, >= 1."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A part of a phrase in which one gloss is signed."""

    gloss: str
    start: int
    """First frame."""
    end: int
    """One past the last frame."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A composed phrase of one signer."""

    points: NDArray[np.float32]
    """(T, 75, 3) in body coordinates."""
    signs: tuple[Sign, ...]
    """In order of time."""
    signer: str = ""

    @property
    def glosses(self) -> list[str]:
        return [s.gloss for s in self.signs]


#: Clips (T, 75, 3) in body coordinates, by signer and gloss.
SignerBook = dict[str, dict[str, list[NDArray[np.float16]]]]


def signer_book(clips: Sequence[SignClip], glosses: set[str]) -> SignerBook:
    """Clips all of whose signs are in `glosses` (NONE is always kept); those without a body are left out."""
    book: SignerBook = defaultdict(dict)
    for clip in clips:
        if set(signs_of(clip.gloss)) <= glosses and (body := to_body(clip.points)) is not None:
            book[clip.signer].setdefault(clip.gloss, []).append(body.astype(np.float16))
    return book


class PhraseSampler:
    """Draws phrases: gloss by 1 / count^power, then a signer of that gloss, then the rest from that signer."""

    def __init__(self, book: SignerBook, config: PhraseConfig, speed: float = AugmentConfig.speed) -> None:
        """speed: log-sigma of the tempo of a whole phrase."""
        self.config, self.speed = config, speed
        self.book = {s: g for s, g in book.items() if any(name != NONE for name in g)}
        self.none_clips = [c for by in book.values() for c in by.get(NONE, [])]
        counts: dict[str, int] = defaultdict(int)
        self.signers: dict[str, list[str]] = defaultdict(list)
        for signer, by_gloss in self.book.items():
            for gloss, clips in by_gloss.items():
                if gloss != NONE:
                    counts[gloss] += len(clips)
                    self.signers[gloss].append(signer)
        self.glosses = sorted(counts)
        weights = np.array([counts[g] ** -config.gloss_power for g in self.glosses])
        # Drawn per clip as 1 / count^power, so a gloss as a whole weighs count^(1 - power).
        weights *= np.array([counts[g] for g in self.glosses])
        self.weights = weights / weights.sum()
        self.gloss_weight = dict(zip(self.glosses, self.weights, strict=True))

    def draw(self, rng: Generator, signs: int | None = None) -> Phrase:
        """One phrase, not augmented; `signs` fixes how many glosses it has."""
        cfg = self.config
        if signs is None:
            if self.none_clips and rng.random() < cfg.still:
                return Phrase(self._idle(rng), ())
            signs = 1 if rng.random() < cfg.single else int(rng.integers(2, cfg.max_signs + 1))
        first = self.glosses[rng.choice(len(self.glosses), p=self.weights)]
        signer = self._pick(rng, self.signers[first])
        known = [g for g in self.book[signer] if g != NONE]
        p = np.array([self.gloss_weight[g] for g in known])
        glosses = [first, *(known[i] for i in rng.choice(len(known), size=signs - 1, p=p / p.sum()))]
        rng.shuffle(glosses)

        speed = float(np.exp(rng.normal(0, self.speed)))
        parts: list[tuple[str | None, NDArray[np.float32]]] = []
        for gloss in glosses:
            if self.none_clips and signs > 1 and rng.random() < cfg.none_stretch:
                parts.append((None, self._none_part(rng, signer)))
            clip = self._pick(rng, self.book[signer][gloss])
            parts.append((gloss, self._sign(rng, clip, speed, alone=signs == 1)))
        if cfg.false_start and rng.random() < cfg.false_start:
            parts.insert(int(rng.integers(0, len(parts) + 1)), (None, self._false_start(rng, signer, speed)))
        return replace(self._join(rng, parts), signer=signer)

    @staticmethod
    def _pick(rng: Generator, items: Sequence[T]) -> T:
        return items[int(rng.integers(len(items)))]

    def _none_part(self, rng: Generator, signer: str) -> NDArray[np.float32]:
        own = self.book[signer].get(NONE)
        clip = self._pick(rng, own or self.none_clips)
        start = int(rng.integers(0, max(1, len(clip) - 8)))
        return self._stretch(rng, clip[start : start + int(rng.integers(6, 31))], 1.0)

    def _idle(self, rng: Generator) -> NDArray[np.float32]:
        """A person who does not sign: moving, keeping still, or absent."""
        kind = rng.random()
        clip = self._pick(rng, self.none_clips)
        if kind < 0.4:
            return self._stretch(rng, clip, 1.0)
        pose = clip[int(rng.integers(len(clip)))].astype(np.float32)
        if kind < 0.7:
            # A person about to sign or just done: a frame of a sign's clip in which no hand is in sight yet.
            signer = self.book[self._pick(rng, sorted(self.book))]
            sign = self._pick(rng, signer[self._pick(rng, sorted(signer))])
            rest = np.flatnonzero(~hand_present(sign.astype(np.float32)).any(axis=1))
            if len(rest):
                pose = sign[int(self._pick(rng, rest.tolist()))].astype(np.float32)
        elif kind > 0.9:
            pose = np.zeros_like(pose)
        return np.repeat(pose[None], int(rng.integers(20, 121)), axis=0)

    def _sign(self, rng: Generator, clip: NDArray[np.float16], speed: float, alone: bool) -> NDArray[np.float32]:
        cfg = self.config
        if not alone or rng.random() < cfg.trim_single:
            a, b = active_range(clip)
            if not alone and cfg.trim_more:
                span = b - a
                a += int(span * rng.uniform(0, cfg.trim_more))
                b -= int(span * rng.uniform(0, cfg.trim_more))
            clip = clip[a : max(b, a + 4)]
        return self._stretch(rng, clip, speed * float(np.exp(rng.normal(0, cfg.sign_speed))))

    def _stretch(self, rng: Generator, clip: NDArray[np.float16], speed: float) -> NDArray[np.float32]:
        """The clip at 25 fps: `stretch` times its frames times `speed`, with an uneven pace inside."""
        points = clip.astype(np.float32)
        count = int(np.clip(round(len(points) * self.config.stretch * speed), 4, 160))
        phase = np.linspace(0, 1, count)
        if self.config.warp:
            phase = phase + self.config.warp * rng.uniform(-1, 1) * np.sin(np.pi * phase) * phase * (1 - phase) * 4
        return interpolate(points, np.clip(phase, 0, 1).astype(np.float64) * (len(points) - 1))

    def _false_start(self, rng: Generator, signer: str, speed: float) -> NDArray[np.float32]:
        """Hands that go up and come down again without a sign: the first fifth to third of one, there and back."""
        gloss = self._pick(rng, [g for g in self.book[signer] if g != NONE])
        clip = self._pick(rng, self.book[signer][gloss])
        a, b = active_range(clip)
        cut = clip[max(0, a - 3) : a + max(3, int((b - a) * rng.uniform(0.1, 0.25)))]
        return self._stretch(rng, np.concatenate([cut, cut[::-1]]), speed)

    def _join(self, rng: Generator, parts: list[tuple[str | None, NDArray[np.float32]]]) -> Phrase:
        cfg = self.config
        pieces: list[NDArray[np.float32]] = []
        signs: list[Sign] = []
        length = 0

        def add(piece: NDArray[np.float32]) -> None:
            nonlocal length
            pieces.append(piece)
            length += len(piece)

        if rng.random() < cfg.hold:
            add(np.repeat(parts[0][1][:1], rng.integers(*cfg.hold_frames), axis=0))
        for k, (gloss, piece) in enumerate(parts):
            if k:
                add(transition(pieces[-1][-1], piece[0], int(rng.integers(*cfg.transition))))
            parts_of = signs_of(gloss) if gloss is not None else ()
            bounds = np.linspace(length, length + len(piece), len(parts_of) + 1).astype(int).tolist()
            signs += [Sign(g, a, b) for g, a, b in zip(parts_of, bounds, bounds[1:], strict=False)]
            add(piece)
        if rng.random() < cfg.hold:
            add(np.repeat(pieces[-1][-1:], rng.integers(*cfg.hold_frames), axis=0))
        return Phrase(np.concatenate(pieces), tuple(signs))


def transition(a: NDArray[np.float32], b: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """`frames` frames from pose a to pose b (each (75, 3)), slow at both ends as hands move: (frames, 75, 3)."""
    x = np.arange(1, frames + 1) / (frames + 1)
    return interpolate(np.stack([a, b]), x * x * (3.0 - 2.0 * x))


def crop_window(phrase: Phrase, rng: Generator, config: PhraseConfig) -> Phrase:
    """A window of the phrase, as a live stream sees it; signs less than half inside lose their label."""
    if len(phrase.points) <= config.window:
        return phrase
    start = int(rng.integers(0, len(phrase.points) - config.window + 1))
    end = start + config.window
    kept = []
    for sign in phrase.signs:
        inside = min(sign.end, end) - max(sign.start, start)
        if inside >= 0.6 * (sign.end - sign.start):
            kept.append(Sign(sign.gloss, max(0, sign.start - start), min(config.window, sign.end - start)))
        elif inside > 0.35 * (sign.end - sign.start):
            return phrase  # too much of a sign to call it nothing, too little to call it that sign
    return Phrase(phrase.points[start:end], tuple(kept), phrase.signer)
