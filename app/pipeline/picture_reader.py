"""The pictures of a clip or stream on their way to a recogniser that reads pictures beside landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.crops import Cropper
from app.pipeline.module3_sequence.model import RGBConfig
from app.pipeline.recogniser import Recogniser
from app.pipeline.stages import PICTURES, OnStage, Stopwatch, no_op_observer


class PictureReader:
    """Cuts the signer out of one frame after the other and shows the crops to the RGB encoder.

    For one clip or stream, because the crops follow the signer; one thread at a time. Each frame goes through the
    encoder once, however many windows look at it later.
    """

    def __init__(self, recogniser: Recogniser, rgb: RGBConfig, on_stage: OnStage = no_op_observer) -> None:
        self._recogniser, self._cropper, self._on_stage = recogniser, Cropper(rgb.size, rgb.hands), on_stage

    @classmethod
    def of(cls, recogniser: Recogniser, on_stage: OnStage = no_op_observer) -> PictureReader | None:
        """None for a recogniser that reads landmarks alone."""
        rgb = recogniser.backend.rgb
        return cls(recogniser, rgb, on_stage) if rgb is not None else None

    def push(self, rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next picture uint8 (H, W, 3) and its landmarks (75, 3) -> float32 (D,), for `Keypoints.rgb`."""
        watch = Stopwatch()
        with watch.stage(PICTURES):
            row: NDArray[np.float32] = self._recogniser.look(self._cropper.push(rgb, points)[None])[0]
        watch.tell(self._on_stage)
        return row
