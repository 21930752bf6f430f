from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.pipeline.module1_preprocessing.image_folder import image_files, read_images
from app.pipeline.module1_preprocessing.video import InvalidVideo, VideoLimits


def write(folder: Path, name: str, shade: int, width: int = 40, height: int = 30) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / name), np.full((height, width, 3), (shade, 0, 0), np.uint8))


def test_pictures_come_in_the_order_of_their_numbers_and_in_rgb(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        write(tmp_path, f"a.avi_pid0_fn{number}-0.png", number)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert len(image_files(tmp_path)) == 3
    frames = list(read_images(tmp_path, 25.0))
    assert [int(f.rgb[0, 0, 2]) for f in frames] == [1, 2, 10]
    assert [f.time_s for f in frames] == pytest.approx([0, 0.04, 0.08])


def test_a_fast_folder_is_thinned_to_the_target_and_sizes_are_made_equal(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path, f"{number:03d}.png", number, width=40 + (number == 4))
    frames = list(read_images(tmp_path, 50.0))
    assert len(frames) == 7
    assert {f.rgb.shape for f in frames} == {(30, 40, 3)}


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidVideo, match="contains no images"):
        list(read_images(tmp_path / "empty", 25.0))
    write(tmp_path / "p", "1.png", 5)
    (tmp_path / "p" / "2.png").write_bytes(b"")
    with pytest.raises(InvalidVideo, match=r"2\.png is damaged"):
        list(read_images(tmp_path / "p", 25.0))
    with pytest.raises(InvalidVideo, match="at most 1, or"):
        list(read_images(tmp_path / "p", 25.0, VideoLimits(max_frames=1)))
    write(tmp_path / "small", "1.png", 5, width=8)
    with pytest.raises(InvalidVideo, match="8x30"):
        list(read_images(tmp_path / "small", 25.0))
