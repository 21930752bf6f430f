"""Input that cannot be used: an error for each kind, with a code for programs."""

from __future__ import annotations


class InvalidInput(ValueError):
    """The message says what was found and what would be accepted; `code` is a stable name for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidImage(InvalidInput):
    """code: "not_an_image", "bad_dimensions", "sizes_differ", "undecodable" or "too_expensive"."""


class InvalidVideo(InvalidInput):
    """code: "empty", "not_a_video", "no_video_stream", "truncated", "too_long", "too_large", "too_expensive",
    "bad_dimensions", "bad_rate" or "undecodable"."""


class InvalidLandmarkFile(InvalidInput):
    """code: "empty", "too_large", "too_long", "not_landmarks" (another kind of file, or damaged), "not_json",
    "missing_array", "bad_shape", "bad_rate", "bad_size", "bad_times", "not_finite" or "out_of_range"."""
