"""A made-up corpus in the layout of the real one: two training signers and one for dev, five glosses and NONE."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.support.recognisers import performance

GLOSSES = ("HELLO", "YES", "NAME", "HOW-ARE-YOU", "FS-A", "NONE")

CONFIG = """
name: tiny
without: ["FS-*"]
model: {body_dim: 8, hand_dim: 8, model_dim: 16, dropout: 0.0, layers: 1}
dev_phrases: 2
optim: {steps: 4, batch_size: 4, save_every: 2, eval_every: 4, log_every: 1}
"""


def four_steps(root: Path) -> list[str]:
    """Arguments of a trainer for a run of four steps in `root`/run on such a corpus, which is written."""
    (root / "signs").mkdir()
    (root / "tiny.yaml").write_text(CONFIG)
    data = write_corpus(root / "signs")
    return f"--config {root / 'tiny.yaml'} --data {data} --out {root / 'run'} --workers 0 --device cpu".split()


def write_corpus(root: Path, dev: Sequence[str] = GLOSSES) -> Path:
    """Writes train.npz, dev.npz and clips.csv; each signer performs each gloss twice, 20 frames, in dev those given."""
    rows = []
    for split, signers in (("train", ("ann", "bob")), ("dev", ("eve",))):
        tracks, offsets = [], [0]
        for signer in signers:
            for g, gloss in enumerate(GLOSSES):
                if split == "dev" and gloss not in dev:
                    continue
                for take in range(2):
                    points = performance(20, seed=g * 10 + take)
                    points[:3, 33:] = 0
                    tracks.append(points)
                    offsets.append(offsets[-1] + len(points))
                    rows.append([len(offsets) - 2, gloss, signer, split, len(points), f"{signer}/repo", "MIT"])
        points = np.concatenate(tracks).astype(np.float16)
        np.savez(
            root / f"{split}.npz",
            pose=points[:, :33],
            left=points[:, 33:54, :2] * (points[:, 33:54, 2:] > 0),
            right=points[:, 54:, :2] * (points[:, 54:, 2:] > 0),
            offsets=np.array(offsets, np.int64),
        )
    with (root / "clips.csv").open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(["clip", "gloss", "signer", "split", "frames", "source", "licence"])
        writer.writerows(rows)
    return root
