"""The images of a clip or stream on their way to a recogniser that reads images beside landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.crops import Cropper
from app.pipeline.module3_sequence.model import RGBConfig
from app.pipeline.recogniser import Recogniser
from app.pipeline.stages import IMAGES, OnStage, Stopwatch, no_op_observer


class ImageReader:
    """Cuts the signer out of one frame after the other and puts the crops through the RGB encoder.

    For one clip or stream, because the crops follow the signer; not thread-safe. Each frame goes through the encoder
    once, however many windows read it later.
    """

    def __init__(self, recogniser: Recogniser, rgb: RGBConfig, on_stage: OnStage = no_op_observer) -> None:
        self._recogniser, self._cropper, self._on_stage = recogniser, Cropper(rgb.size, rgb.hands), on_stage

    @classmethod
    def of(cls, recogniser: Recogniser, on_stage: OnStage = no_op_observer) -> ImageReader | None:
        """None for a recogniser that reads landmarks alone."""
        rgb = recogniser.backend.rgb
        return cls(recogniser, rgb, on_stage) if rgb is not None else None

    def push(self, image: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next image uint8 (H, W, 3) and its landmarks (75, 3) -> float32 (D,), for `Keypoints.rgb_features`."""
        watch = Stopwatch()
        with watch.stage(IMAGES):
            crops = self._cropper.push(image, points)
            row: NDArray[np.float32] = self._recogniser.encode_images(crops[None])[0]
        watch.report(self._on_stage)
        return row
