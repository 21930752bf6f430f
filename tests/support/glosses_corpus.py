"""A made-up bank of clips as the large vocabulary's training holds them."""

from __future__ import annotations

import numpy as np

from app.training.corpora.glosses.bank import RIGHT, Bank, Clip

GLOSSES = tuple("ABCDEF")


def small_bank() -> Bank:
    """Three clips each of six glosses of `wlasl`, by a training signer and then by a dev signer: 36 clips of 40 frames.

    The right hand comes up, stays and goes down again; its shape is the gloss's. The left hand is not there.
    """
    rng = np.random.default_rng(1)
    shapes = rng.normal(0, 0.1, (len(GLOSSES), 21, 2))
    height = np.interp(np.arange(40), [0, 10, 30, 39], [2.0, 0.2, 0.2, 2.0])
    frames, clips = [], []
    for split, signer in (("train", "ann"), ("dev", "eve")):
        for number, gloss in enumerate(GLOSSES):
            for _ in range(3):
                points = np.zeros((40, 53, 2), np.float32)
                points[:, 5], points[:, 6] = (0.5, 0), (-0.5, 0)
                wrist = np.stack([np.full(40, -0.3), height], 1)[:, None]
                points[:, RIGHT] = shapes[number] + rng.normal(0, 0.005, (1, 21, 2)) + wrist
                start = 40 * len(clips)
                clips.append(Clip(gloss, signer, "wlasl", split, start, start + 40, 25.0))
                frames.append(points.astype(np.float16))
    there = np.tile(np.array([[True, False, True]]), (40 * len(clips), 1))
    return Bank(np.concatenate(frames), there, tuple(clips))
