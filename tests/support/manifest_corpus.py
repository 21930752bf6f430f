"""Small corpora made on the spot: drawn signers that MediaPipe sees, pictures, landmark files, manifests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_WRIST, RIGHT_WRIST, Keypoints
from app.pipeline.module1_preprocessing.landmark_files import save_npz
from app.training.corpora.manifest.cache import Cache, PictureConfig, PictureTrack
from app.training.corpora.manifest.manifest import Entry
from tests.support.recognisers import performance

HEADER = "file,glosses,signer,split,fps\n"


def table(root: Path, *lines: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "clips.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return root


def landmark_clip(path: Path, frames: int = 20, seed: int = 0, fps: float = 25.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_npz(path, Keypoints.at_rate(performance(frames, seed), fps))
    return path


def picture_folder(folder: Path, frames: int = 6, width: int = 60, height: int = 48, shade: int = 80) -> Path:
    """Plain pictures, each a little lighter than the one before: img2 must come before img10."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(frames):
        picture = np.full((height, width, 3), shade + number, np.uint8)
        assert cv2.imwrite(str(folder / f"images{number:04d}.png"), picture)
    return folder


def drawn(points: NDArray[np.float32], width: int = 96, height: int = 72) -> NDArray[np.uint8]:
    """A picture (height, width, 3) with a bright spot at each wrist, for crops that can be told apart."""
    rgb = np.full((height, width, 3), 40, np.uint8)
    for wrist, colour in ((LEFT_WRIST, (250, 60, 60)), (RIGHT_WRIST, (60, 250, 60))):
        x, y = (points[wrist, :2] * [width, height]).astype(int).tolist()
        cv2.circle(rgb, (x, y), 6, colour, -1)
    return rgb


def pictured_clip(root: Path, file: str, shade: int, frames: int = 16, seed: int = 0, size: int = 32) -> None:
    """A "video" whose landmarks and crops were extracted: crops of one shade, with a bright row that moves down."""
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_bytes(file.encode())
    cache = Cache(root)
    clip = Keypoints.at_rate(performance(frames, seed), 25.0)
    crops = []
    for frame in range(frames):
        crop = np.full((1, size, size, 3), shade, np.uint8)
        crop[0, frame % size] = 255
        crops.append(crop)
    config = PictureConfig(size)
    cache.save(cache.key(Entry(file, (), "", "")), clip, (config, PictureTrack.of(crops)))
    cache.save_index()
