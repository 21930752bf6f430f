"""Landmarks to video: every frame drawn, encoded as H.264 in an mp4 file."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, LEFT_SHOULDER, NUM_HAND, RIGHT_SHOULDER, Keypoints
from app.signer.figure import HEIGHT, WIDTH, draw, palm_facing
from app.signer.performance import FPS, smoothed

_HANDS = (LEFT_HAND.start, LEFT_HAND.start + NUM_HAND)


def pictures(clip: Keypoints, scale: float = 1.0) -> Iterator[NDArray[np.uint8]]:
    """The clip's frames as RGB uint8 (480 * scale, 640 * scale, 3)."""
    flat = clip.points[..., :2].astype(np.float64) * [clip.aspect, 1.0]
    unit = np.median(np.linalg.norm(flat[:, LEFT_SHOULDER] - flat[:, RIGHT_SHOULDER], axis=-1))
    palm, facing = [], np.zeros((len(clip), 2))
    for side, start in enumerate(_HANDS):
        hand = flat[:, start : start + NUM_HAND]
        widest = np.max(
            [np.linalg.norm(hand[:, a] - hand[:, b], axis=-1) for a, b in ((0, 5), (0, 9), (0, 17))], axis=0
        )
        seen = clip.points[:, start, 2] > 0
        if seen.any():
            palm.append(np.percentile(widest[seen], 80))
        facing[:, side] = [palm_facing(h, side == 1) for h in hand]
    facing = smoothed(facing, 2.0)
    size = float(max(palm) / unit) if palm else 0.3
    for points, (left, right) in zip(clip.points, facing, strict=True):
        yield draw(points, palm=size, facing=(float(left), float(right)), scale=scale)


def write_video(clip: Keypoints, path: Path, fps: int = 25, quality: int = 23) -> None:
    """Draws the clip into an mp4 file (H.264, 640 x 480). quality: x264's constant rate factor, smaller is better."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        for packets in _encoded(container, clip, fps, {"crf": str(quality), "preset": "slow"}):
            container.mux(packets)


def video_pieces(clip: Keypoints, quality: int = 26) -> Generator[bytes]:
    """The clip as an mp4 file (H.264, 640 x 480) in pieces that a player can show as they come. Blocks while it draws;
    closing the iterator ends that."""
    sink = _Sink()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    coding = {"crf": str(quality), "preset": "veryfast", "tune": "zerolatency", "g": str(FPS), "bf": "0"}
    with av.open(sink, "w", format="mp4", options=options) as container:
        for packets in _encoded(container, clip, FPS, coding):
            container.mux(packets)
            yield sink.taken()
    yield sink.taken()


def _encoded(
    container: OutputContainer, clip: Keypoints, fps: int, options: dict[str, str]
) -> Iterator[list[av.Packet]]:
    """Packets of the clip's pictures as they are drawn, in a stream of the container. options: of x264."""
    stream = container.add_stream("libx264", rate=fps, options={**options, "threads": "1"})
    stream.pix_fmt = "yuv420p"
    stream.time_base = Fraction(1, fps)
    stream.width, stream.height = WIDTH, HEIGHT
    for number, picture in enumerate(pictures(clip)):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        yield stream.encode(frame)
    yield stream.encode()


class _Sink:
    """A file that is only written, forwards, and gives out what was written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last call."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


def sample_name(glosses: Sequence[str]) -> str:
    """File name of a gloss or a phrase: ("HELLO", "HOW") -> "hello_how.mp4"."""
    return "_".join(gloss.lower() for gloss in glosses) + ".mp4"
