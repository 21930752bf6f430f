"""Composed phrases: isolated clips of one signer joined into something like continuous signing.

The result says "composed" wherever a number is made with it: real sentences have grammar in the face and
co-articulation that no joining gives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, MIRROR, RIGHT_HAND, hand_present
from app.pipeline.module1_preprocessing.resample import interpolate
from app.training.corpora.signs.clips import NONE, Clip, active_range, signs_of, to_body

T = TypeVar("T")


@dataclass(frozen=True)
class PhraseConfig:
    """How phrases are composed and disturbed: probabilities 0..1, lengths in frames at 25 fps, scales as log-sigmas."""

    single: float = 0.35
    max_signs: int = 4
    none_stretch: float = 0.12
    stretch: float = 1.5
    phrase_speed: float = 0.25
    sign_speed: float = 0.2
    warp: float = 0.15
    trim_single: float = 0.5
    trim_more: float = 0.15
    transition: tuple[int, int] = (3, 13)
    hold: float = 0.4
    hold_frames: tuple[int, int] = (2, 29)
    gloss_power: float = 0.5
    mirror: float = 0.35
    rotation: float = 0.12
    scale: float = 0.12
    shift: float = 0.08
    jitter: float = 0.01
    hand_rotation: float = 0.0
    hand_dropout: float = 0.1
    frame_dropout: float = 0.15
    low_rate: float = 0.0
    false_start: float = 0.0
    still: float = 0.05
    window_crop: float = 0.0
    window: int = 64


@dataclass(frozen=True, slots=True)
class Sign:
    """A stretch of a phrase in which one gloss is signed: frames start..end (exclusive)."""

    gloss: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """points: float32 (T, 75, 3) in body units; glosses: what is signed, in order, by whom; where each lies."""

    points: NDArray[np.float32]
    signs: tuple[Sign, ...]
    signer: str = ""

    @property
    def glosses(self) -> list[str]:
        return [s.gloss for s in self.signs]


@dataclass
class SignerBook:
    """Which signer can say what: clips in body coordinates, by signer and gloss."""

    clips: dict[str, dict[str, list[NDArray[np.float16]]]] = field(default_factory=lambda: defaultdict(dict))

    @classmethod
    def of(cls, clips: Sequence[Clip], glosses: set[str]) -> SignerBook:
        """Clips all of whose signs are in `glosses` (NONE is always kept); those without a body are left out."""
        book = cls()
        for clip in clips:
            if set(signs_of(clip.gloss)) <= glosses:
                body = to_body(clip.points)
                if body is not None:
                    book.clips[clip.signer].setdefault(clip.gloss, []).append(body.astype(np.float16))
        return book


class PhraseSampler:
    """Draws phrases: gloss by 1 / count^power, then a signer who can say it, then the rest from that signer."""

    def __init__(self, book: SignerBook, config: PhraseConfig) -> None:
        self.config = config
        self.book = {s: g for s, g in book.clips.items() if any(name != NONE for name in g)}
        self.none_clips = [c for by in book.clips.values() for c in by.get(NONE, [])]
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
        """One undisturbed phrase; `signs` fixes how many glosses it has."""
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

        speed = float(np.exp(rng.normal(0, cfg.phrase_speed)))
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
        """Someone who does not sign: moving about, keeping still, or not there at all."""
        kind = rng.random()
        clip = self._pick(rng, self.none_clips)
        if kind < 0.4:
            return self._stretch(rng, clip, 1.0)
        pose = clip[int(rng.integers(len(clip)))].astype(np.float32)
        if kind < 0.7:
            # Somebody about to sign or just done: a frame of a sign's clip in which no hand is in sight yet.
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


def disturb(points: NDArray[np.float32], rng: Generator, config: PhraseConfig) -> NDArray[np.float32]:
    """Another camera, body and landmark quality: (T, 75, 3) in body units -> (T', 75, 3), T' = T."""
    out = points.copy()
    if rng.random() < config.mirror:
        out = out[:, MIRROR]
        out[..., 0] *= -1
    angle = rng.normal(0, config.rotation / 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    stretch = np.exp(rng.normal(0, config.scale, 2)).astype(np.float32)
    out[..., :2] = (out[..., :2] @ turn) * stretch
    if config.hand_rotation:
        for where in (LEFT_HAND, RIGHT_HAND):
            a = rng.normal(0, config.hand_rotation)
            spin = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], np.float32)
            spin = spin * np.exp(rng.normal(0, config.hand_rotation, 2)).astype(np.float32)
            wrist = out[:, where.start : where.start + 1, :2].copy()
            out[:, where, :2] = (out[:, where, :2] - wrist) @ spin + wrist
    # Hands and head sit a little differently on every body.
    out[:, LEFT_HAND, :2] += rng.normal(0, config.shift, 2).astype(np.float32)
    out[:, RIGHT_HAND, :2] += rng.normal(0, config.shift, 2).astype(np.float32)
    out[:, :11, :2] += rng.normal(0, config.shift / 2, 2).astype(np.float32)
    out[..., :2] += config.jitter * rng.standard_normal(out[..., :2].shape, dtype=np.float32)

    frames = len(out)
    if rng.random() < 0.5:
        for where in (LEFT_HAND, RIGHT_HAND):
            out[rng.random(frames) < rng.uniform(0, 2 * config.hand_dropout), where, 2] = 0
    if config.low_rate and rng.random() < config.low_rate:
        # A slow camera: landmarks at a fraction of the rate, interpolated back.
        step = rng.uniform(1.3, 3.0)
        kept = np.arange(0, frames - 1 + 1e-6, step)
        if len(kept) >= 2:
            slow = interpolate(out, kept)
            out = interpolate(slow, np.clip(np.arange(frames) / step, 0, len(slow) - 1))
    elif rng.random() < 0.5:
        lost = rng.random(frames) < rng.uniform(0, 2 * config.frame_dropout)
        lost[0] = False
        source = np.maximum.accumulate(np.where(lost, 0, np.arange(frames)))
        out = out[source]
    return out


def to_picture(points: NDArray[np.float32], unit: float = 0.25) -> NDArray[np.float32]:
    """Body units -> a square picture (aspect 1), shoulders `unit` heights wide: what `normalise` takes."""
    out = points.copy()
    out[..., :2] = (out[..., :2] * unit + 0.5) * (out[..., 2:] > 0)
    return out
