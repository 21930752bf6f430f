"""A folder of numbered images, as research corpora store their clips, read as a video would be."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.image_limits import check_dimensions
from app.pipeline.module1_preprocessing.images import JpegPicture, rgb_from_bytes
from app.pipeline.module1_preprocessing.invalid import InvalidImage, InvalidVideo
from app.pipeline.module1_preprocessing.video import FALLBACK_FPS, Frame, VideoLimits

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


def image_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The images of a folder in the order of the numbers in their names: fn2 before fn10, padded or not."""
    found = [p for p in Path(folder).iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    return sorted(found, key=lambda p: [(int(t), "") if t.isdigit() else (-1, t) for t in re.split(r"(\d+)", p.name)])


def read_images(folder: str | os.PathLike[str], fps: float, limits: VideoLimits | None = None) -> Iterator[Frame]:
    """Frames of a folder of images taken at `fps`, at most 25 a second, as `read_frames` gives them.

    All frames get the size of the first. Raises (on iteration) InvalidVideo for an unreadable image or none, OSError.
    """
    limits = limits or VideoLimits()
    files = image_files(folder)
    if not files:
        raise InvalidVideo("empty", "the folder contains no images (.png, .jpg, .jpeg)")
    if len(files) > limits.max_frames or (len(files) - 1) / fps > limits.max_duration_s:
        raise InvalidVideo(
            "too_long",
            f"the folder contains {len(files)} images; at most {limits.max_frames}, or {limits.max_duration_s:g} s, "
            "are accepted: split it",
        )
    size: tuple[int, int] | None = None
    last_slot = -1
    for number, file in enumerate(files):
        slot = int(number / fps * FALLBACK_FPS + 0.5 + 1e-3)
        if slot <= last_slot:
            continue
        last_slot = slot
        image = _read(file, limits)
        if size is None:
            size = image.shape[1], image.shape[0]
        if image.shape[1::-1] != size:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        yield Frame(image, number / fps)


def _read(file: Path, limits: VideoLimits) -> NDArray[np.uint8]:
    """Size and cost are read from the bytes, before anything is decoded."""
    data = file.read_bytes()
    damaged = InvalidVideo("undecodable", f"the image {file.name} is damaged or not an image; fetch it again")
    try:
        if data.startswith(b"\xff\xd8"):
            jpeg = JpegPicture.check(data)
            width, height = jpeg.width, jpeg.height
        elif data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        else:
            raise damaged
        check_dimensions(width, height, f"the image {file.name}", limits.max_pixels)
    except InvalidImage as problem:
        code = "undecodable" if problem.code == "not_an_image" else problem.code
        raise InvalidVideo(code, f"{file.name}: {problem}") from problem
    image = rgb_from_bytes(data)
    if image is None:
        raise damaged
    return image
