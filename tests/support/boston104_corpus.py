"""A corpus laid out like BOSTON-104 with made-up movements: each gloss has a place for the right hand of its own."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

GLOSSES = ("JOHN", "BUY", "HOUSE", "CAR")
PLACES = dict(zip(GLOSSES, ((20, -30), (60, 10), (-40, 30), (30, 60)), strict=True))
TRAIN = ("JOHN BUY HOUSE", "JOHN BUY HOUSE", "JOHN BUY CAR", "BUY CAR", "HOUSE BUY JOHN", "CAR JOHN", "JOHN BUY CAR")
TEST = ("JOHN BUY HOUSE", "CAR BUY JOHN")


def write_boston104(folder: Path) -> Path:
    """Nine videos, two speakers; 8 frames a sign, 3 between."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    hands: list[list[object]] = []
    speakers: list[list[object]] = []
    words: dict[str, list[list[object]]] = {"train": [], "test": []}
    for number, (split, sentence) in enumerate([("train", s) for s in TRAIN] + [("test", s) for s in TEST], start=1):
        speaker = f"woman-{1 + number % 2}"
        speakers.append([number, speaker])
        frame = 3
        track = [(0, 0)] * 3
        for gloss in sentence.split():
            words[split].append([number, speaker, gloss, frame, frame + 7])
            track += [PLACES[gloss]] * 8 + [(0, 0)] * 3
            frame += 11
        for t, (x, y) in enumerate(track):
            jitter = rng.normal(0, 1, 2)
            hands.append([number, t, 120, 180, 200 + x + jitter[0], 150 + y + jitter[1], 160, 60])
    head = ["video", "frame", "left-x", "left-y", "right-x", "right-y", "nose-x", "nose-y"]
    _write(folder / "hands_condensed.csv", head, hands)
    _write(folder / "speaker.csv", ["video", "speaker"], speakers)
    for split, rows in words.items():
        _write(folder / f"{split}_words.csv", ["video", "speaker", "word", "startframe", "endframe"], rows)
    return folder


def _write(path: Path, head: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(head)
        writer.writerows(rows)
