"""The stored prototypes: which glosses there are, and each gloss or phrase as landmarks."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import (
    DEFAULT_ASPECT,
    LEFT_ELBOW,
    LEFT_HAND,
    LEFT_HIP,
    LEFT_WRIST,
    NUM_HAND,
    NUM_KEYPOINTS,
    RIGHT_ELBOW,
    RIGHT_HIP,
    RIGHT_WRIST,
    Keypoints,
)
from app.signer.performance import FPS, Performance, pause, performed, performed_with_spans, resting, slowed
from app.signer.store import Origin, read_index, read_sign

ASSET = Path(__file__).parent / "assets" / "prototypes.zip"
#: The glosses with eight or more signers behind them: those that are shipped as video.
CORE = (
    "HELLO", "THANK-YOU", "I-LOVE-YOU", "NO", "PLEASE", "YES", "HELP", "GOODBYE",
    "IX-1", "YOU", "SORRY", "EAT", "GOOD", "WELCOME", "HOW", "NAME",
)  # fmt: skip
PHRASES: tuple[tuple[str, ...], ...] = (
    ("HELLO", "WELCOME"),
    ("PLEASE", "HELP", "IX-1"),
    ("YES", "PLEASE"),
    ("SORRY", "NO"),
    ("YOU", "NAME"),
    ("THANK-YOU", "GOODBYE"),
)
#: Shoulder width as a share of the picture's width, and height of the shoulder line as a share of its height.
SHOULDERS, SHOULDER_LINE = 0.28, 0.56
_PINKY, _INDEX, _THUMB = [17, 18], [19, 20], [21, 22]
_BODY = 25


class UnknownGloss(KeyError):
    """No prototype of that gloss; the message has the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Prototype:
    """One averaged sign, without rest at its ends."""

    gloss: str
    origin: Origin
    read: Callable[[], Performance]
    """Reads the sign from where it is stored."""

    @property
    def sign(self) -> Performance:
        return self.read()


@dataclass(frozen=True, slots=True)
class Staged:
    """One performance of several signs."""

    keypoints: Keypoints
    times: tuple[tuple[float, float], ...]
    """Start and end of each of its parts in seconds, the ways between them left out."""


@dataclass(frozen=True, slots=True)
class PrototypeSigner(Mapping[str, Keypoints]):
    """Gloss -> Keypoints of a whole performance from rest to rest, 25 fps, 4:3 picture, person in the middle.

    body: (25, 2) pose points of the figure standing still, in shoulder widths from the shoulder midpoint, y down.
    """

    body: NDArray[np.float64]
    prototypes: Mapping[str, Prototype]

    def __getitem__(self, gloss: str) -> Keypoints:
        return self.phrase([gloss])

    def __iter__(self) -> Iterator[str]:
        return iter(self.prototypes)

    def __len__(self) -> int:
        return len(self.prototypes)

    def about(self, gloss: str) -> Prototype:
        """What is stored about a gloss. Raises UnknownGloss."""
        found = self.prototypes.get(gloss)
        if found is None:
            listed = f"`python -m app samples` lists the {len(self)} there are"
            raise UnknownGloss(f"no prototype of {self.with_nearest(gloss)}; {listed}")
        return found

    def with_nearest(self, gloss: str) -> str:
        """An unknown gloss, with the nearest known ones in brackets if there are any."""
        near = difflib.get_close_matches(gloss[:40], list(self.prototypes), 3)
        return f"{gloss[:40]} (nearest: {', '.join(near)})" if near else gloss[:40]

    def phrase(self, glosses: Sequence[str]) -> Keypoints:
        """Several signs with natural transitions, from rest to rest. Raises UnknownGloss; ValueError for no gloss."""
        return self.as_keypoints(performed([self.about(gloss).sign for gloss in glosses]))

    def staged(self, rows: Sequence[Sequence[str]]) -> Staged:
        """Rows of glosses in one performance from rest to rest: a row is a sign, the letters of a word, or nothing,
        where the hands hold still while a word without a sign is shown as text. Raises UnknownGloss; ValueError for no
        row."""
        parts: list[Performance] = []
        counts = []
        for row in rows:
            signs = [self.about(gloss).sign for gloss in row]
            if not signs:
                signs = [pause(parts[-1].frame(-1) if parts else self._at_rest())]
            parts += signs
            counts.append(len(signs))
        performance, spans = slowed(*performed_with_spans(parts))
        times, at = [], 0
        for count in counts:
            times.append((spans[at][0] / FPS, spans[at + count - 1][1] / FPS))
            at += count
        return Staged(self.as_keypoints(performance), tuple(times))

    def _at_rest(self) -> Performance:
        return resting(self.about(next(iter(self))).sign.hands[0])

    def as_keypoints(self, performance: Performance) -> Keypoints:
        """Performance -> landmarks relative to the picture (aspect 4:3)."""
        frames = len(performance)
        points = np.zeros((frames, NUM_KEYPOINTS, 3))
        points[:, :_BODY, :2] = self.body
        points[:, :11, :2] += performance.nose[:, None]
        points[:, :_BODY, 2] = 1.0
        points[:, [LEFT_HIP, RIGHT_HIP], 2] = 0.1
        # Legs are below the picture: straight down from the hips, marked as not visible.
        for below, row in enumerate(range(25, 33, 2), start=1):
            points[:, row : row + 2, :2] = self.body[[LEFT_HIP, RIGHT_HIP]] + [0, 0.8 * min(below, 2)]
        points[:, [LEFT_ELBOW, RIGHT_ELBOW], :2] = performance.elbows
        points[:, [LEFT_WRIST, RIGHT_WRIST], :2] = performance.wrists
        hands = performance.wrists[:, :, None] + performance.hands
        for pair, hand_point in ((_PINKY, 17), (_INDEX, 5), (_THUMB, 3)):
            points[:, pair, :2] = hands[:, :, hand_point]
        points[:, LEFT_HAND.start :, :2] = hands.reshape(frames, 2 * NUM_HAND, 2)
        scale = SHOULDERS * np.array([1.0, DEFAULT_ASPECT])
        points[..., :2] = points[..., :2] * scale + [0.5, SHOULDER_LINE]
        heights = points[:, LEFT_HAND.start :, 1].reshape(frames, 2, NUM_HAND)
        present = (heights[:, :, 0] < 1.0) & (heights.mean(axis=2) < 0.97)
        points[:, LEFT_HAND.start :, 2] = np.repeat(present, NUM_HAND, axis=1)
        arms = [*_PINKY, *_INDEX, *_THUMB, LEFT_WRIST, RIGHT_WRIST, LEFT_ELBOW, RIGHT_ELBOW]
        points[:, arms, 2] = np.where(points[:, arms, 1] < 1.0, 1.0, 0.1)
        return Keypoints.at_rate(points.astype(np.float32), FPS, DEFAULT_ASPECT)


@functools.cache
def load(path: Path = ASSET) -> PrototypeSigner:
    """Opens a file of prototypes; each sign is read when asked for. Raises InvalidPrototypes, FileNotFoundError."""
    body, origins = read_index(path)
    glosses = {
        gloss: Prototype(gloss, origin, functools.partial(read_sign, path, gloss)) for gloss, origin in origins.items()
    }
    return PrototypeSigner(body, MappingProxyType(glosses))
