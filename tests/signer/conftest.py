"""The project's own videos through real MediaPipe, once for all tests of this folder."""

from __future__ import annotations

import pytest

from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeExtractor
from app.pipeline.module1_preprocessing.video import VideoLimits, read_frames
from app.signer import SAMPLES
from app.signer.prototypes import CORE, PHRASES
from app.signer.render import sample_name


@pytest.fixture(scope="session")
def seen() -> dict[tuple[str, ...], Keypoints]:
    """What MediaPipe finds in every shipped video, by the glosses the video shows."""
    with MediaPipeExtractor() as extractor:
        found = {}
        for glosses in [(gloss,) for gloss in CORE] + list(PHRASES):
            extractor.reset()
            found[glosses] = extractor.extract(read_frames(SAMPLES / sample_name(glosses), VideoLimits()))
        return found
