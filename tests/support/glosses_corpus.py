"""A made-up bank of clips as the large vocabulary's training holds them, and made-up corpora as it reads them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

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


def write_corpora(root: Path, clips: Sequence[tuple[str, str, str]], without_hands: Sequence[int] = ()) -> Path:
    """Writes ROOT/wlasl with these clips (gloss, signer, split), 30 frames each, and ROOT/signs with none.

    without_hands: numbers of the clips in which no hand is ever seen.
    """
    rng = np.random.default_rng(2)
    body = np.zeros((33, 3), np.float16)
    body[[11, 12]] = [[0.6, 0.5, 1], [0.4, 0.5, 1]]
    for corpus, chosen in (("wlasl", clips), ("signs", [])):
        (root / corpus).mkdir(parents=True)
        rows = []
        for split in ("train", "dev"):
            own = [(i, *clip[:2]) for i, clip in enumerate(chosen) if clip[2] == split]
            hand = rng.uniform(0.3, 0.7, (30 * len(own), 21, 2)).astype(np.float16)
            for place, (number, gloss, signer) in enumerate(own):
                if number in without_hands:
                    hand[30 * place : 30 * place + 30] = 0
                rows.append([place, gloss, signer, split, 30, 1.5, 0, number])
            hands = {"left": np.zeros_like(hand), "right": hand, "offsets": 30 * np.arange(len(own) + 1)}
            if corpus == "signs":
                np.savez(root / corpus / f"{split}.npz", pose=np.zeros((0, 33, 3), np.float16), **hands)
            else:
                np.savez(root / corpus / f"{split}.npz", body=np.tile(body, (len(own), 1, 1)), **hands)
        with (root / corpus / "clips.csv").open("w", newline="", encoding="utf-8") as f:
            writer = csv.writer(f)
            writer.writerow(["clip", "gloss", "signer", "split", "frames", "aspect", "variation", "recording"])
            writer.writerows(rows)
    return root
