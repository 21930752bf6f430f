"""The project's own videos through real MediaPipe, once for all tests of this folder."""

from __future__ import annotations

from contextlib import closing

import pytest

from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmarks.engine import find_landmarks
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.video import VideoLimits, read_frames
from app.signer import SAMPLES
from app.signer.prototypes import CORE, PHRASES
from app.signer.render import sample_name


@pytest.fixture(scope="session")
def seen() -> dict[tuple[str, ...], Keypoints]:
    """What MediaPipe finds in every shipped video, by the glosses the video shows."""
    with MediaPipeEngine(1) as engine:
        found = {}
        for glosses in [(gloss,) for gloss in CORE] + list(PHRASES):
            with closing(engine.open()) as track:
                found[glosses] = find_landmarks(read_frames(SAMPLES / sample_name(glosses), VideoLimits()), track)
        return found
