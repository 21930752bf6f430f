"""Which image sizes are taken: one check for files, video frames, live images and the landmark engine itself."""

from __future__ import annotations

from app.pipeline.module1_preprocessing.invalid import InvalidImage

MIN_SIDE = 16
#: MediaPipe ends the whole process (an abort in cv::remap) for a side of more than 32766 pixels.
MAX_SIDE = 8192
MAX_PIXELS = 4096 * 2304
#: The longer side by the shorter one; landmarks relative to a longer strip mean nothing.
MAX_ASPECT = 10


def check_dimensions(width: int, height: int, what: str = "the picture", max_pixels: int = MAX_PIXELS) -> None:
    """Sides in pixels, known from a header or from the decoded image. Call it before MediaPipe sees the image.

    Raises InvalidImage ("bad_dimensions").
    """
    short, long = sorted((width, height))
    if short < MIN_SIDE or long > MAX_SIDE or width * height > max_pixels or long > MAX_ASPECT * short:
        raise InvalidImage(
            "bad_dimensions",
            f"{what} is {width}x{height}; each side must have {MIN_SIDE} to {MAX_SIDE} pixels, the whole at most "
            f"{max_pixels} pixels, and the longer side at most {MAX_ASPECT} times the shorter one: scale or crop it",
        )
