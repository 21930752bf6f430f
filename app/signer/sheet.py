"""Several signs side by side in one picture, each with its gloss: for the README and for looking things over."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, NUM_HAND, Keypoints, hand_present
from app.signer.performance import smoothed
from app.signer.prototypes import PrototypeSigner
from app.signer.render import pictures

#: Part of the 4:3 picture that is shown: left, top, right, bottom.
_CROP = (0.12, 0.07, 0.88, 1.0)
_GAP, _BAND = 12, 48
_INK, _PAPER = (38, 66, 74), (255, 255, 255)


def telling_frame(clip: Keypoints) -> int:
    """The frame in the middle half of the sign in which the hands hold stillest."""
    signing = np.flatnonzero(hand_present(clip.points).any(axis=1))
    if len(signing) == 0:
        return len(clip) // 2
    hands = clip.points[:, LEFT_HAND.start :, :2].reshape(len(clip), 2, NUM_HAND, 2).astype(np.float64)
    seen = hand_present(clip.points)
    speed = np.linalg.norm(np.gradient(hands.mean(axis=2), axis=0), axis=-1)
    quiet = smoothed((speed * seen).sum(axis=1), 1.5)
    quarter = len(signing) // 4
    middle = signing[quarter : len(signing) - quarter]
    return int(middle[quiet[middle].argmin()])


def contact_sheet(signer: PrototypeSigner, glosses: Sequence[str], scale: float = 0.75) -> NDArray[np.uint8]:
    """One panel per gloss from left to right, RGB uint8. Raises UnknownGloss; ValueError for no gloss."""
    if not glosses:
        raise ValueError("a sheet needs at least one gloss")
    panels = []
    for gloss in glosses:
        clip = signer[gloss]
        number = telling_frame(clip)
        # Some frames around it, since the drawing smooths which side of the hand is seen.
        first = max(number - 4, 0)
        around = Keypoints(clip.points[first : number + 5], clip.times[first : number + 5], clip.aspect)
        panels.append(_panel(list(pictures(around, scale))[number - first], gloss))
    gap = np.full((panels[0].shape[0], _GAP, 3), _PAPER, np.uint8)
    return np.hstack([part for panel in panels for part in (gap, panel)][1:])


def _panel(picture: NDArray[np.uint8], gloss: str) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    left, top, right, bottom = (round(a * b) for a, b in zip(_CROP, (width, height, width, height), strict=True))
    shown = picture[top:bottom, left:right]
    band = np.full((_BAND, shown.shape[1], 3), _PAPER, np.uint8)
    font, size, thick = cv2.FONT_HERSHEY_DUPLEX, 0.8, 1
    (text_width, text_height), _ = cv2.getTextSize(gloss, font, size, thick)
    origin = ((band.shape[1] - text_width) // 2, (_BAND + text_height) // 2)
    cv2.putText(band, gloss, origin, font, size, _INK, thick, cv2.LINE_AA)
    return np.vstack([shown, band])
