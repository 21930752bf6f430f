"""Augmentation: another camera, body, tempo and landmark quality, for landmarks and for crops.

Landmarks are changed in body coordinates: shoulder widths around the shoulder midpoint, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from app.pipeline import keypoints as kp
from app.pipeline.module1_preprocessing.resample import interpolate

#: How crops are changed: log-sigma of zoom, sigma of shift in crop sides, log-sigma of contrast, sigma of brightness.
_ZOOM, _SHIFT, _CONTRAST, _BRIGHTNESS = 0.07, 0.04, 0.15, 12.0


@dataclass(frozen=True)
class AugmentConfig:
    """How clips are augmented each time they are trained on. Lengths are in shoulder widths."""

    speed: float = 0.25
    """Log-sigma of the tempo of a whole clip or phrase."""
    mirror: float = 0.35
    """Share of the clips that are mirrored, 0..1."""
    rotation: float = 0.12
    """Rotation of the whole figure: twice its sigma, in radians."""
    scale: float = 0.12
    """Log-sigma of the size, of width and height each."""
    shift: float = 0.08
    """Sigma of where each hand sits; the head moves half as far."""
    jitter: float = 0.01
    """Sigma of the noise on every point of every frame."""
    hand_rotation: float = 0.0
    """Sigma of the rotation (radians) and log-size of each hand around its wrist."""
    hand_dropout: float = 0.1
    """Mean share of the frames in which a hand is lost, in half of the clips."""
    frame_dropout: float = 0.15
    """Mean share of the frames that repeat the one before, in half of the clips."""
    low_rate: float = 0.0
    """Share of the clips seen by a camera of 40 to 75 % of the rate."""


def to_body(points: NDArray[np.floating], aspect: float = kp.DEFAULT_ASPECT) -> NDArray[np.float32] | None:
    """Image coordinates -> shoulder widths around the shoulder midpoint, by the clip's medians: (T, 75, 3).

    Only for augmenting and joining clips, so that one signer's clips from different sittings fit together; the
    network's own normalisation runs on the result. None when no body is in the clip.
    """
    out = points.astype(np.float32)
    there = kp.person_present(out)
    if not there.any():
        return None
    out[..., 0] *= aspect
    shoulders = out[there][:, [kp.LEFT_SHOULDER, kp.RIGHT_SHOULDER], :2]
    origin = np.median(shoulders.mean(axis=1), axis=0)
    unit = max(float(np.median(np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1))), 0.02)
    out[..., :2] = (out[..., :2] - origin) / unit
    return out


def to_image_coords(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Body coordinates -> a square image (aspect 1), shoulders a quarter of it wide: what `normalise` takes."""
    out = points.copy()
    out[..., :2] = (out[..., :2] * 0.25 + 0.5) * (out[..., 2:] > 0)
    return out


def augment(points: NDArray[np.float32], rng: Generator, config: AugmentConfig) -> NDArray[np.float32]:
    """Another camera, body and landmark quality: (T, 75, 3) in body coordinates -> the same shape.

    `config.speed` is not applied here: the tempo decides how many frames there are, before anything is drawn.
    """
    out = points.copy()
    if rng.random() < config.mirror:
        out = mirrored(out)
    angle = rng.normal(0, config.rotation / 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    stretch = np.exp(rng.normal(0, config.scale, 2)).astype(np.float32)
    out[..., :2] = (out[..., :2] @ turn) * stretch
    if config.hand_rotation:
        for where in (kp.LEFT_HAND, kp.RIGHT_HAND):
            a = rng.normal(0, config.hand_rotation)
            spin = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], np.float32)
            spin = spin * np.exp(rng.normal(0, config.hand_rotation, 2)).astype(np.float32)
            wrist = out[:, where.start : where.start + 1, :2].copy()
            out[:, where, :2] = (out[:, where, :2] - wrist) @ spin + wrist
    # Hands and head sit a little differently on every body.
    for where, shift in ((kp.LEFT_HAND, config.shift), (kp.RIGHT_HAND, config.shift), (slice(11), config.shift / 2)):
        out[:, where, :2] += rng.normal(0, shift, 2).astype(np.float32)
    out[..., :2] += config.jitter * rng.standard_normal(out[..., :2].shape, dtype=np.float32)

    frames = len(out)
    if rng.random() < 0.5:
        for where in (kp.LEFT_HAND, kp.RIGHT_HAND):
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


def mirrored(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, 75, 3) in body coordinates, seen in a mirror: left and right change places."""
    out = points[:, kp.MIRROR]
    out[..., 0] *= -1
    return out


def mirrored_crops(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crops (T, views, S, S, 3) of the signer seen in a mirror: the body turned, the hands changed over.

    Both hands are stored looking like right ones, so a hand's crop stays as it is when it becomes the other.
    """
    body = crops[:, :1, :, ::-1]
    return np.concatenate([body, crops[:, 2:3], crops[:, 1:2]], axis=1) if crops.shape[1] == 3 else body


def augment_crops(crops: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Another camera: zoom and shift (one for the clip, another for each view), contrast and brightness.

    uint8 (T, views, S, S, 3) -> the same shape; the edge is repeated outside.
    """
    size = crops.shape[2]
    contrast, brightness = float(np.exp(rng.normal(0, _CONTRAST))), float(rng.normal(0, _BRIGHTNESS))
    table = np.clip((np.arange(256) - 128) * contrast + 128 + brightness, 0, 255).astype(np.uint8)
    out = np.empty_like(crops)
    for view in range(crops.shape[1]):
        zoom = float(np.exp(rng.normal(0, _ZOOM)))
        x, y = ((1 - zoom) * size / 2 + rng.normal(0, _SHIFT, 2) * size).tolist()
        matrix = np.array([[zoom, 0, x], [0, zoom, y]])
        for frame in range(len(crops)):
            out[frame, view] = cv2.warpAffine(
                np.ascontiguousarray(crops[frame, view]), matrix, (size, size), borderMode=cv2.BORDER_REPLICATE
            )
    return table[out]
