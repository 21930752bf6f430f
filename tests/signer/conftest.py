"""The project's own videos through real MediaPipe, once for all tests of this folder."""

from __future__ import annotations

import fcntl
import pickle
from contextlib import closing
from typing import cast

import pytest

from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmarks.engine import find_landmarks
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.video import VideoLimits, read_frames
from app.signer import SAMPLES
from app.signer.prototypes import CORE, PHRASES
from app.signer.render import sample_name


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[tuple[str, ...], Keypoints]:
    """What MediaPipe finds in every shipped video, by the glosses the video shows. Processes of one run share it."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent
    kept = folder / "seen.pickle"
    with (folder / "seen.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(_found()))
        return cast(dict[tuple[str, ...], Keypoints], pickle.loads(kept.read_bytes()))  # noqa: S301 - written above


def _found() -> dict[tuple[str, ...], Keypoints]:
    with MediaPipeEngine(1) as engine:
        found = {}
        for glosses in [(gloss,) for gloss in CORE] + list(PHRASES):
            with closing(engine.open()) as track:
                found[glosses] = find_landmarks(read_frames(SAMPLES / sample_name(glosses), VideoLimits()), track)
        return found
