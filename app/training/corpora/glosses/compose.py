"""Phrases as indices: for every frame and every part of the body, which two frames of the bank are mixed and how.

Nothing but indices is made here (some hundred microseconds a phrase); gathering is the device's work.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from app.training.corpora.glosses.bank import Bank
from app.training.corpora.glosses.names import NONE, signs_of
from app.training.corpora.glosses.strokes import Strokes

FPS = 25.0
PARTS = 3


@dataclass(frozen=True)
class Recipe:
    """How phrases are composed; probabilities 0..1, speeds as log-sigmas, lengths in frames of 25 a second."""

    wlasl: float = 0.6
    """Share of phrases from `wlasl`; the rest is from `signs`."""
    single: float = 0.3
    """Share of phrases with one sign."""
    webcam_single: float = 0.45
    """The same among the phrases from `signs`."""
    whole: float = 0.6
    """Share of these that are the whole clip, the hands coming up and going down included."""
    nothing: float = 0.06
    """Share of phrases without any."""
    fluent: float = 0.6
    """Share of the phrases with several signs that are signed fluently, see `sign_s`."""
    signs: int = 4
    """Most signs of a phrase at the pace of the clips."""
    fluent_signs: int = 8
    """Most signs of a fluent phrase."""
    sign_s: tuple[float, float] = (0.22, 0.65)
    """Least and most seconds a sign of a fluent phrase, the way to the next included."""
    cut: float = 0.25
    """Most of a stroke that is cut at an inner end."""
    phrase_speed: float = 0.3
    """Spread of the pace from phrase to phrase."""
    sign_speed: float = 0.2
    """Spread of the pace from sign to sign."""
    warp: float = 0.15
    """Unevenness of the pace inside a sign."""
    mixed: float = 0.3
    """Share of phrases whose signs come from several signers."""
    stays: float = 0.5
    """A hand that takes no part in a sign stays where the sign before left it."""
    hold: float = 0.4
    """The first pose is held, and likewise the last."""
    lost: float = 0.3
    """Most of the frames that a camera lost, in half of the phrases."""
    false_start: float = 0.08
    """Hands that go up and come down again without a sign."""
    power: float = 0.5
    """A clip counts 1 / (clips of its gloss) ** power."""
    longest: int = 240
    """Frames of the longest phrase."""
    strength: float = 1.0
    """How much stronger or weaker than `Disturbance` says a phrase from `wlasl` is disturbed."""
    webcam_strength: float = 1.3
    """The same for a phrase from `signs`, whose few glosses a network soon knows by heart."""
    strength_spread: float = 0.35
    """How much that varies from phrase to phrase, as a log-sigma."""


@lru_cache(maxsize=1024)
def _even(frames: int) -> NDArray[np.float64]:
    """0 to 1 in equal steps; shared, not to be changed."""
    return np.linspace(0.0, 1.0, frames)


@lru_cache(maxsize=1024)
def _uneven(frames: int) -> NDArray[np.float64]:
    """How far an uneven pace strays from an even one; shared, not to be changed."""
    phase = _even(frames)
    return np.sin(np.pi * phase) * phase * (1 - phase) * 4


@lru_cache(maxsize=64)
def _smooth(frames: int) -> NDArray[np.float32]:
    """(frames, PARTS) shares of the way from one pose to another; shared, not to be changed."""
    u = np.arange(1, frames + 1) / (frames + 1)
    return _all_parts((u * u * (3 - 2 * u)).astype(np.float32))


def _all_parts(column: NDArray[Any]) -> NDArray[Any]:
    """(frames,) -> (frames, PARTS)."""
    return column[:, np.newaxis].repeat(PARTS, axis=1)


@dataclass
class Track:
    """A phrase under construction: pieces of (frames, PARTS)."""

    first: list[NDArray[np.int64]] = field(default_factory=list)
    """Frame of the bank."""
    second: list[NDArray[np.int64]] = field(default_factory=list)
    """The frame that is mixed in."""
    weight: list[NDArray[np.float32]] = field(default_factory=list)
    """Its share, 0..1."""
    frames: int = 0
    """How many there are so far."""

    def add(self, first: NDArray[np.int64], second: NDArray[np.int64], weight: NDArray[np.float32]) -> None:
        self.first.append(first)
        self.second.append(second)
        self.weight.append(weight)
        self.frames += len(first)

    def hold(self, pose: NDArray[np.int64], frames: int) -> None:
        """pose: (3,) frames of the bank."""
        still = pose[np.newaxis].repeat(frames, axis=0)
        self.add(still, still, np.zeros((frames, PARTS), np.float32))

    def hold_first(self, frames: int) -> None:
        """Begin with the first frame, held."""
        pose = self.first[0][:1].repeat(frames, axis=0)
        self.first.insert(0, pose)
        self.second.insert(0, pose)
        self.weight.insert(0, np.zeros((frames, PARTS), np.float32))
        self.frames += frames

    def hold_last(self, frames: int) -> None:
        """End with the last frame, held."""
        first, second, weight = self.first[-1][-1:], self.second[-1][-1:], self.weight[-1][-1:]
        self.add(first.repeat(frames, axis=0), second.repeat(frames, axis=0), weight.repeat(frames, axis=0))

    def read(self, start: float, end: float, frames: int, warp: float = 0.0) -> None:
        """Frames start..end of the bank (both included) at an uneven pace."""
        phase = _even(frames)
        if warp:
            phase = (phase + warp * _uneven(frames)).clip(0, 1)
        place = start + phase * (end - start)
        low = place.astype(np.int64)
        weight = (place - low).astype(np.float32)
        self.add(_all_parts(low), _all_parts(np.minimum(low + 1, int(end))), _all_parts(weight))

    @property
    def last(self) -> NDArray[np.int64]:
        """(3,) nearest frame of the bank to the pose at the end."""
        return np.where(self.weight[-1][-1] < 0.5, self.first[-1][-1], self.second[-1][-1])


@dataclass(frozen=True)
class Phrase:
    """What is signed, as indices: for every frame and part two frames of the bank and how they are mixed."""

    first: NDArray[np.int64]
    """(T, PARTS) frames of the bank."""
    second: NDArray[np.int64]
    """(T, PARTS) frames that are mixed in."""
    weight: NDArray[np.float32]
    """(T, PARTS) share of the second, 0..1."""
    spans: tuple[tuple[int, int, int], ...]
    """Label, first frame and one past the last of each sign."""
    strength: float = 1.0
    """How much stronger than others it is disturbed."""

    def __len__(self) -> int:
        return len(self.first)

    @property
    def labels(self) -> list[int]:
        return [label for label, _, _ in self.spans]


class Composer:
    """Draws phrases from the clips of a bank whose signs are all in the vocabulary (label 1 is its first gloss)."""

    def __init__(
        self, bank: Bank, strokes: Strokes, clips: list[int], vocabulary: tuple[str, ...], recipe: Recipe
    ) -> None:
        self.bank, self.strokes, self.recipe = bank, strokes, recipe
        self.label = {gloss: i for i, gloss in enumerate(vocabulary, 1)}
        self.silent: list[int] = []
        self.corpora: dict[str, _Book] = {}
        for corpus in ("signs", "wlasl"):
            book = _Book(recipe.power)
            for i in clips:
                clip = bank.clips[i]
                if clip.corpus != corpus:
                    continue
                if clip.gloss == NONE:
                    self.silent.append(i)
                elif all(sign in self.label for sign in clip.signs):
                    book.add(clip.gloss, clip.signer, i)
            if book.counts:
                book.close()
                self.corpora[corpus] = book

    def draw(self, rng: Generator) -> Phrase:
        """One phrase, not longer than the recipe's longest, whose labels fit a lattice of four frames a step."""
        while True:
            phrase = self._draw(rng)
            steps = -(-len(phrase) // 4)
            repeats = sum(a == b for a, b in zip(phrase.labels, phrase.labels[1:], strict=False))
            if len(phrase) <= self.recipe.longest and steps >= len(phrase.spans) + repeats:
                return phrase

    def _draw(self, rng: Generator) -> Phrase:
        recipe = self.recipe
        wlasl = "wlasl" in self.corpora and ("signs" not in self.corpora or rng.random() < recipe.wlasl)
        phrase = self._drawn(rng, wlasl)
        strength = recipe.strength if wlasl else recipe.webcam_strength
        return replace(phrase, strength=strength * float(np.exp(rng.normal(0, recipe.strength_spread))))

    def _drawn(self, rng: Generator, wlasl: bool) -> Phrase:
        recipe = self.recipe
        if rng.random() < recipe.nothing:
            return self._nothing(rng)
        book = self.corpora["wlasl" if wlasl else "signs"]
        if rng.random() < (recipe.single if wlasl else recipe.webcam_single):
            return self.compose(rng, book.phrase(rng, 1, False), None)
        mixed = rng.random() < recipe.mixed
        if rng.random() < recipe.fluent:
            count = int(rng.integers(2, recipe.fluent_signs + 1))
            low, high = np.log(recipe.sign_s)
            return self.compose(rng, book.phrase(rng, count, mixed), float(np.exp(rng.uniform(low, high))))
        return self.compose(rng, book.phrase(rng, int(rng.integers(2, recipe.signs + 1)), mixed), None)

    def compose(self, rng: Generator, clips: list[int], sign_s: float | None) -> Phrase:
        """Join clips. sign_s: seconds a sign where it is signed fluently, else each clip's own pace."""
        recipe, track = self.recipe, Track()
        spans: list[tuple[int, int, int]] = []
        speed = float(np.exp(rng.normal(0, recipe.phrase_speed)))
        if rng.random() < recipe.false_start:
            self._false_start(rng, track, clips[0], speed)
        count = len(clips)
        for place, i in enumerate(clips):
            clip = self.bank.clips[i]
            start, end = self._range(rng, i, place == 0, place == count - 1, sign_s is not None)
            pace = float(np.exp(rng.normal(0, recipe.sign_speed)))
            if sign_s is None:
                frames = min(max(round((end - start) * FPS / clip.fps * speed * pace), 5), 120)
                way = int(rng.integers(3, 13))
            else:
                slot = FPS * sign_s * pace
                way = min(max(round(slot * rng.uniform(0.15, 0.5)), 1), 8)
                frames = max(4, round(slot) - way) + 2 * (place in (0, count - 1))
            before = track.frames
            if track.frames:
                self._transition(track, start, way)
                before = track.frames
            self._read(rng, track, i, start, end, frames)
            # Where it is signed: without the hands coming up before it and going down after it.
            s, e = (min(max(at, start), end) for at in self.strokes.stroke[i].tolist())
            a, b = before + frames * (s - start) / (end - start), before + frames * (e - start) / (end - start)
            begun, over, signs = int(a), max(math.ceil(b), int(a) + 2), clip.signs
            bounds = [begun + (over - begun) * k // len(signs) for k in range(len(signs) + 1)]
            spans += [(self.label[s], a, b) for s, a, b in zip(signs, bounds, bounds[1:], strict=False)]
        return self._finish(rng, track, spans)

    def _range(self, rng: Generator, i: int, first: bool, last: bool, fluent: bool) -> tuple[int, int]:
        """Frames [start, end) of the clip that are used: whole ends outside, the stroke or less inside."""
        (a, b), (s, e) = self.strokes.active[i].tolist(), self.strokes.stroke[i].tolist()
        cut = self.recipe.cut * (e - s)
        if first and last and rng.random() < self.recipe.whole:
            return self.bank.clips[i].start, self.bank.clips[i].end
        # At the outer ends of a phrase the hands come up and go down, mostly; at the inner ones they never do when
        # signing is fluent, and do so in part when signs are shown one after the other.
        outer = 0.6 if not (first and last) else 0.8
        share_a = 1.0 if first and rng.random() < outer else (0.0 if fluent else rng.random() ** 2)
        share_b = 1.0 if last and rng.random() < outer else (0.0 if fluent else rng.random() ** 2)
        start = s - share_a * (s - a) + (rng.uniform(0, cut) if share_a == 0 else 0)
        end = e + share_b * (b - e) - (rng.uniform(0, cut) if share_b == 0 else 0)
        start = int(start)
        return start, max(math.ceil(end), start + 3)

    def _transition(self, track: Track, start: int, frames: int) -> None:
        there = np.full((frames, PARTS), start, np.int64)
        track.add(track.last[np.newaxis].repeat(frames, axis=0), there, _smooth(frames))

    def _read(self, rng: Generator, track: Track, i: int, start: int, end: int, frames: int) -> None:
        """The clip's frames; a hand that takes no part may stay where it was, for the whole sign or its beginning."""
        before = track.last if track.frames else None
        limit = len(self.bank.points) - 1
        track.read(start, min(end - 1, limit), frames, self.recipe.warp * rng.uniform(-1, 1))
        if before is None:
            return
        for hand in (1, 2):
            other = 3 - hand
            idle = not self.strokes.takes_part[i, hand - 1] and self.strokes.takes_part[i, other - 1]
            if idle and self.bank.there[before[hand], hand] and rng.random() < self.recipe.stays:
                stay = frames if rng.random() < 0.6 else int(rng.integers(1, frames + 1))
                track.first[-1][:stay, hand] = track.second[-1][:stay, hand] = before[hand]
                track.weight[-1][:stay, hand] = 0
                if len(track.first) > 1:  # the way to this sign is no way for a hand that stays
                    track.second[-2][:, hand] = before[hand]

    def _false_start(self, rng: Generator, track: Track, i: int, speed: float) -> None:
        a, s = int(self.strokes.active[i, 0]), int(self.strokes.stroke[i, 0])
        top = min(max(s, a + 3), self.bank.clips[i].end - 1)
        frames = int(np.clip((top - a) * FPS / self.bank.clips[i].fps * speed, 4, 30))
        track.read(a, top, frames)
        track.read(top, a, frames)

    def _nothing(self, rng: Generator) -> Phrase:
        """Someone who does not sign: a clip without a sign, a pose that is held, hands that only go up and down."""
        track, kind = Track(), rng.random()
        if self.silent and kind < 0.5:
            i = self.silent[int(rng.integers(len(self.silent)))]
            track.read(self.bank.clips[i].start, self.bank.clips[i].end - 1, int(rng.integers(30, 110)))
        else:
            book = self.corpora[sorted(self.corpora)[int(rng.integers(len(self.corpora)))]]
            i = book.phrase(rng, 1, False)[0]
            if kind < 0.8:
                ends = (self.bank.clips[i].start, self.bank.clips[i].end - 1)
                track.hold(np.full(PARTS, ends[int(rng.integers(2))]), int(rng.integers(20, 110)))
            else:
                self._false_start(rng, track, i, float(np.exp(rng.normal(0, 0.3))))
        return self._finish(rng, track, [])

    def _finish(self, rng: Generator, track: Track, spans: list[tuple[int, int, int]]) -> Phrase:
        recipe = self.recipe
        if rng.random() < recipe.hold:
            n = int(rng.integers(2, 25))
            track.hold_first(n)
            spans = [(label, a + n, b + n) for label, a, b in spans]
        if rng.random() < recipe.hold:
            track.hold_last(int(rng.integers(2, 25)))
        first, second, weight = np.concatenate(track.first), np.concatenate(track.second), np.concatenate(track.weight)
        if rng.random() < 0.5 and recipe.lost:
            gone = rng.random(len(first)) < rng.uniform(0, recipe.lost)
            gone[0] = False
            source = np.maximum.accumulate(np.where(gone, 0, np.arange(len(first))))
            first, second, weight = first[source], second[source], weight[source]
        return Phrase(first, second, weight, tuple(spans))


class _Book:
    """Clips of one corpus by signer and gloss, and how often each gloss is drawn."""

    def __init__(self, power: float) -> None:
        self.power = power
        self.counts: Counter[str] = Counter()
        self.by_signer: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))

    def add(self, gloss: str, signer: str, clip: int) -> None:
        self.counts[gloss] += 1
        self.by_signer[signer][gloss].append(clip)

    def close(self) -> None:
        self.glosses = sorted(self.counts)
        weights = np.array([self.counts[g] ** (1 - self.power) for g in self.glosses])
        self.cumulative = np.cumsum(weights / weights.sum())
        who: dict[str, list[str]] = defaultdict(list)
        own: dict[str, tuple[list[str], NDArray[np.float64]]] = {}
        for signer in sorted(self.by_signer):
            known = sorted(self.by_signer[signer])
            for gloss in known:
                who[gloss].append(signer)
            w = np.array([self.counts[g] ** (1 - self.power) for g in known])
            own[signer] = known, np.cumsum(w / w.sum())
        self.who, self.own = dict(who), own

    def phrase(self, rng: Generator, count: int, mixed: bool) -> list[int]:
        """Clips for a phrase: a gloss, a signer who has it, the others of the same signer or, mixed, of anybody.

        No sign follows itself, as far as the signer's glosses allow.
        """
        gloss = self._pick(rng, self.glosses, self.cumulative)
        people = self.who[gloss]
        signer = people[int(rng.integers(len(people)))]
        out = [self._clip(rng, signer, gloss)]
        glosses = [gloss]
        for _ in range(count - 1):
            for _ in range(16):
                other = self._pick(rng, *((self.glosses, self.cumulative) if mixed else self.own[signer]))
                if signs_of(other)[0] != signs_of(glosses[-1])[-1]:
                    break
            person = signer
            if mixed:
                people = self.who[other]
                person = people[int(rng.integers(len(people)))]
            glosses.append(other)
            out.append(self._clip(rng, person, other))
        return out

    @staticmethod
    def _pick(rng: Generator, items: list[str], cumulative: NDArray[np.float64]) -> str:
        return items[min(int(np.searchsorted(cumulative, rng.random())), len(items) - 1)]

    def _clip(self, rng: Generator, signer: str, gloss: str) -> int:
        clips = self.by_signer[signer][gloss]
        return clips[int(rng.integers(len(clips)))]
