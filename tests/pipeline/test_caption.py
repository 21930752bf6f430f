"""One answer: times that end with the clip, numbers rounded once, the same sentence for clips and streams."""

from __future__ import annotations

import dataclasses

import pytest

from app.pipeline.caption import Caption, CaptionWarning
from app.pipeline.recogniser import GlossSegment, Recogniser, Recognition
from app.pipeline.streaming import CaptionStream, EndReason, StreamConfig, StreamUpdate
from tests.support.recognisers import tiny_checkpoint, varied
from tests.support.streams import push

SIGNS = (GlossSegment("HELLO", 0.3204, 1.12, 0.97126), GlossSegment("YOU", 1.44, 2.08, 0.5))


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return Recogniser.load(tiny_checkpoint(tmp_path_factory.mktemp("ckpt") / "tiny"))


def recognition(**changes: object) -> Recognition:
    found = Recognition(SIGNS, "Hello, you.", 0.73563, 49, 1.96, 25.0, {"rgb": 1 / 3, "pose": 2 / 3})
    return dataclasses.replace(found, **changes)  # type: ignore[arg-type]


def test_a_clip_is_rounded_once_and_ends_with_its_end() -> None:
    caption = Caption.of_recognition(recognition(), "tiny", "all", [CaptionWarning("no_hands", "No hands.")])
    assert caption.as_clip() == {
        "gloss": ["HELLO", "YOU"],
        "sentence": "Hello, you.",
        "by_rules": None,
        "confidence": 0.7356,
        "fps": 25.0,
        "frame_count": 49,
        "duration_s": 1.96,
        "segments": [
            {"gloss": "HELLO", "start_s": 0.32, "end_s": 1.12, "confidence": 0.9713, "unsure": False},
            {"gloss": "YOU", "start_s": 1.44, "end_s": 1.96, "confidence": 0.5, "unsure": False},
        ],
        "text": {"en": "Hello, you.", "es": None},
        "attention": {"rgb": 0.3333, "pose": 0.6667},
        "warnings": [{"code": "no_hands", "message": "No hands."}],
        "model": "tiny",
        "vocabulary": "all",
    }
    assert caption.settled == 2


def test_unsure_signs_are_marked_and_warned_of() -> None:
    unsure = (SIGNS[0], dataclasses.replace(SIGNS[1], unsure=True))
    clip = Caption.of_recognition(recognition(segments=unsure), "tiny", "core").as_clip()
    assert [sign["unsure"] for sign in clip["segments"]] == [False, True]
    (warning,) = clip["warnings"]
    assert warning["code"] == "low_confidence"
    assert warning["message"].startswith("Unsure signs, 1 of 2: YOU.")
    event = Caption.of_update(StreamUpdate(unsure, (), "", 2.0, vocabulary="core"), "tiny").as_event()
    assert [sign["unsure"] for sign in event["gloss"]] == [False, True]
    assert clip["vocabulary"] == event["vocabulary"] == "core"


@pytest.mark.parametrize("confidence", [-1e-9, 1.0000001])
def test_shares_stay_within_their_range(confidence: float) -> None:
    caption = Caption.of_recognition(recognition(confidence=confidence), "tiny", "all")
    assert caption.confidence in (0.0, 1.0)


def test_a_running_sentence_says_what_stays() -> None:
    update = StreamUpdate(SIGNS[:1], SIGNS[1:], "Hello, you.", 2.0, rgb=0.25)
    event = Caption.of_update(update, "tiny").as_event()
    assert event == {
        "start_ms": 320,
        "end_ms": 2000,
        "until_ms": 2000,
        "gloss": [
            {"gloss": "HELLO", "confidence": 0.9713, "start_ms": 320, "end_ms": 1120, "final": True, "unsure": False},
            {"gloss": "YOU", "confidence": 0.5, "start_ms": 1440, "end_ms": 2000, "final": False, "unsure": False},
        ],
        "gloss_text": "HELLO YOU",
        "sentence": "Hello, you.",
        "text": {"en": "Hello, you.", "es": None},
        "confidence": 0.7356,
        "attention": {"rgb": 0.25, "pose": 0.75},
        "vocabulary": "all",
    }
    ended = dataclasses.replace(update, ended=EndReason.PAUSE)
    assert all(gloss["final"] for gloss in Caption.of_update(ended, "tiny").as_event()["gloss"])
    nothing = Caption.of_update(StreamUpdate((), (), "", 0.52), "tiny").as_event()
    assert (nothing["start_ms"], nothing["end_ms"], nothing["until_ms"], nothing["confidence"]) == (520, 520, 520, 0.0)


@pytest.mark.parametrize("frames", [1, 2, 3, 29, 30, 31, 45, 63, 65, 99])
def test_no_sign_ends_behind_its_clip(recogniser: Recogniser, frames: int) -> None:
    """The last lattice step reaches up to three frames past the clip."""
    clip = varied(frames, frames)
    found = recogniser.recognise(clip)
    caption = Caption.of_recognition(found, recogniser.model_id, "all")
    assert caption.gloss == found.gloss
    assert all(0 <= s.start_s < s.end_s <= caption.duration_s for s in caption.signs)


def test_a_stream_of_one_window_gives_the_caption_of_the_clip(recogniser: Recogniser) -> None:
    clip = varied(62, 7)
    stream = CaptionStream(recogniser, StreamConfig(window=64, stride=64, endpoint_s=60), clip.aspect)
    for points, time_s in zip(clip.points, clip.times, strict=True):
        push(stream, points, float(time_s))
    live = Caption.of_update(stream.finish(), recogniser.model_id)
    assert live == Caption.of_recognition(recogniser.recognise(clip), recogniser.model_id, "all")
    assert live.signs
