"""A stream says what the whole clip would say, never takes back what is final, and keeps only what it needs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module1_preprocessing.resample import nearest_frames, resample
from app.pipeline.module3_sequence.ngram import LANGUAGE_MODEL, NgramModel
from app.pipeline.module3_sequence.sign_times import REACH
from app.pipeline.module3_sequence.steps import steps_in
from app.pipeline.recogniser import GlossSegment, Recogniser
from app.pipeline.streaming import BEFORE_STEPS, CaptionStream, FrameGrid, StreamConfig, run_jobs
from tests.support.recognisers import VOCABULARY, performance, tiny_checkpoint, varied
from tests.support.streams import push

BY_STRETCHES = {"beam": 1, "stretch": 0.3, "second_look": 4.0, "merge_s": 0.5}
WITH_LM = {"lm_weight": 2.0}
WAYS = {
    "by peaks": {},
    "by stretches": BY_STRETCHES,
    "by peaks, with a language model": WITH_LM,
    "by stretches, with a language model": BY_STRETCHES | WITH_LM,
}


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def recogniser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    folder = tiny_checkpoint(tmp_path_factory.mktemp("ckpt") / "tiny", **request.param)
    if "lm_weight" in request.param:
        NgramModel.fit([[1, 2, 3, 1], [3, 2], [2, 1, 3]], VOCABULARY, 2).save(folder / LANGUAGE_MODEL)
    return Recogniser.load(folder)


def give_images_a_weight(recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were images that weigh more or less from frame to frame."""
    fuse_frames = recogniser.model.fuse_frames

    def with_gates(features: Tensor) -> tuple[Tensor, Tensor]:
        share = torch.sigmoid(features[..., :1])
        return fuse_frames(features)[0], torch.cat([share, 1 - share], dim=-1)

    monkeypatch.setattr(recogniser.model, "fuse_frames", with_gates)


def test_the_frame_grid_is_resample_one_frame_at_a_time() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.15, 60))
    clip = Keypoints(performance(60), times)
    grid = FrameGrid()
    numbers = np.arange(60, dtype=np.float32)[:, None]  # as if pictures were numbered
    pieces = [grid.push(p[None], [t], n[None]) for p, t, n in zip(clip.points, clip.times, numbers, strict=True)]
    live, seen = (np.concatenate(part) for part in zip(*pieces, strict=True))
    np.testing.assert_allclose(live, resample(clip), atol=1e-5)
    np.testing.assert_array_equal(seen[:, 0], nearest_frames(clip.times))


@pytest.mark.parametrize("frames", [1, 30, 61, 62, 63, 64])
@pytest.mark.parametrize("partial_every", [8, 1000])
def test_streaming_a_clip_of_one_window_gives_exactly_the_offline_answer(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch, frames: int, partial_every: int
) -> None:
    give_images_a_weight(recogniser, monkeypatch)
    clip = varied(frames, 7)
    config = StreamConfig(window=64, stride=64, partial_every=partial_every, endpoint_s=60)
    stream = CaptionStream(recogniser, config, clip.aspect)
    for points, time_s in zip(clip.points, clip.times, strict=True):
        push(stream, points, float(time_s))
    live, offline = stream.finish(), recogniser.recognise(clip)
    assert offline.segments or frames == 1
    assert (live.final, live.sentence) == (offline.segments, offline.sentence)
    assert live.rgb == offline.attention["rgb"]


def test_an_empty_sentence_gets_a_second_look_when_it_ends(tmp_path: Path) -> None:
    again = Recogniser.load(tiny_checkpoint(tmp_path / "tiny", beam=1, blank_bias=-20.0, second_look=50.0))
    clip = varied(60, 7)
    stream = CaptionStream(again, StreamConfig(window=64, stride=64), clip.aspect)
    updates = [push(stream, points, float(t)) for points, t in zip(clip.points, clip.times, strict=True)]
    assert not any(update.segments for update in updates if update)
    assert len(stream.finish().final) == len(again.recognise(clip).segments) == 1
    again.config = replace(again.config, decoder=replace(again.config.decoder, second_confidence=1.0))
    stream = CaptionStream(again, StreamConfig(window=64, stride=64), clip.aspect)
    for points, t in zip(clip.points, clip.times, strict=True):
        push(stream, points, float(t))
    assert stream.finish().final == again.recognise(clip).segments == ()


def test_files_and_streams_share_one_forward_path(recogniser: Recogniser) -> None:
    """Offline is the two halves one after the other, for one window or for many side by side."""
    windows = [normalise(varied(frames, frames).points, 4 / 3) for frames in (1, 30, 63, 64)]
    offline = recogniser.log_probs(windows)
    halves = recogniser.decode_steps(recogniser.steps(windows), windows)
    for window, whole, joined in zip(windows, offline, halves, strict=True):
        np.testing.assert_array_equal(whole.log_probs, joined.log_probs)
        np.testing.assert_array_equal(whole.rgb, joined.rgb)
        assert whole.log_probs.shape == (steps_in(len(window)), 1 + len(VOCABULARY))
        stream = CaptionStream(recogniser, StreamConfig(window=64, stride=64))
        stream.add_features(window)
        job = stream.last_job()
        assert job is not None
        live = run_jobs(recogniser, [(stream, job)])[0]
        np.testing.assert_array_equal(live.log_probs, recogniser.log_probs([window])[0].log_probs)
        np.testing.assert_allclose(np.exp(live.log_probs), np.exp(whole.log_probs), atol=1e-5)
    assert recogniser.log_probs([]) == []


@pytest.mark.parametrize("frames", [3, 30, 63, 64, 65, 97, 200])
def test_a_stream_settles_and_never_takes_back_a_final_sign(recogniser: Recogniser, frames: int) -> None:
    clip = varied(frames, frames)
    stream = CaptionStream(recogniser, StreamConfig(endpoint_s=60), clip.aspect)
    settled: list[str] = []
    for points, time_s in zip(clip.points, clip.times, strict=True):
        update = push(stream, points, float(time_s))
        if update:
            final = [s.gloss for s in update.final]
            assert final[: len(settled)] == settled
            settled = final
    done = stream.finish()
    assert done.ended
    assert not done.partial
    assert [s.gloss for s in done.final][: len(settled)] == settled


@pytest.fixture(
    scope="module",
    params=[{}, {"beam": 1, "stretch": 0.3, "second_look": 4.0}, {"merge_s": 0.3}],
    ids=["by peaks", "by stretches", "merged"],
)
def with_pauses(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    """Says several signs with something between them."""
    folder = tiny_checkpoint(tmp_path_factory.mktemp("ckpt") / "tiny", **request.param, blank_bias=-12.0)
    return Recogniser.load(folder)


def times(segments: Sequence[GlossSegment]) -> list[tuple[str, float, float]]:
    return [(s.gloss, s.start_s, s.end_s) for s in segments]


@pytest.mark.parametrize("frames", [65, 150, 700])
def test_live_signs_have_the_times_of_the_whole_clip(with_pauses: Recogniser, frames: int) -> None:
    clip = varied(frames, frames)
    decoder = with_pauses.config.decoder
    stream = CaptionStream(with_pauses, StreamConfig(decoder.window, decoder.stride, endpoint_s=60), clip.aspect)
    final: list[tuple[str, float, float]] = []
    for points, time_s in zip(clip.points, clip.times, strict=True):
        if update := push(stream, points, float(time_s)):
            assert times(update.final)[: len(final)] == final, "the times of a final sign have changed"
            final = times(update.final)
    offline = with_pauses.recognise(clip)
    assert offline.segments
    assert times(stream.finish().final) == times(offline.segments)
    assert final == times(offline.segments)[: len(final)]
    assert final or frames < 500


def test_signs_of_one_sentence_do_not_reach_into_another(with_pauses: Recogniser) -> None:
    points = varied(500, 5).points
    stream = CaptionStream(with_pauses, StreamConfig(endpoint_s=0.32, max_sentence_s=3.0))
    sentences = []
    for i, frame in enumerate(points):
        update = push(stream, frame, i / 25)
        if update and update.ended:
            sentences.append(update.final)
            assert all(s.end_s <= update.until_s for s in update.final)
        assert stream._movement.end - stream._movement.start <= 25 * 3.0 + REACH + 128
        assert len(stream._before) <= BEFORE_STEPS
    sentences.append(stream.finish().final)
    assert sum(bool(signs) for signs in sentences) > 2
    everything = [s for signs in sentences for s in signs]
    assert all(s.start_s < s.end_s for s in everything)
    assert all(a.end_s <= b.start_s + 1e-9 for a, b in itertools.pairwise(everything))


def test_the_pause_that_ends_a_sentence_runs_from_the_peak_of_its_last_sign(recogniser: Recogniser) -> None:
    """However long the sign itself is thought to last: a sentence ends no later than it did."""
    clip = varied(60, 7)
    stream = CaptionStream(recogniser, StreamConfig(window=64, stride=64, partial_every=60), clip.aspect)
    stream.add_features(recogniser.features(clip))
    job = stream.next_job()
    assert job is not None
    update = stream.apply(job, run_jobs(recogniser, [(stream, job)])[0])
    decoder = recogniser.new_decoder()
    peaks = recogniser.read(recogniser.lattices([recogniser.features(clip)])[0][0], decoder)
    assert update.pause_s == pytest.approx(peaks[-1].end_s + 1.2)


def test_a_stream_reports_the_weight_of_the_images_as_the_whole_clip_does(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_images_a_weight(recogniser, monkeypatch)
    clip = varied(100)
    decoder = recogniser.config.decoder
    stream = CaptionStream(recogniser, StreamConfig(decoder.window, decoder.stride, endpoint_s=60), clip.aspect)
    updates = [u for frame, t in zip(clip.points, clip.times, strict=True) if (u := push(stream, frame, float(t)))]
    assert updates
    assert all(0 < update.rgb < 1 for update in updates)
    assert stream.finish().rgb == pytest.approx(recogniser.recognise(clip).attention["rgb"], abs=1e-6)
    assert stream.finish().rgb == 0.0  # a sentence of which nothing was read


def test_a_stream_keeps_only_what_it_still_needs(recogniser: Recogniser) -> None:
    stream = CaptionStream(recogniser, StreamConfig(endpoint_s=1e9))
    points = performance(25)
    for i in range(400):
        push(stream, points[i % 25], i / 25)
    assert stream.frames - stream._buffer.start <= 128 + 56


def test_time_that_goes_back_is_refused_and_leaves_the_stream_usable(recogniser: Recogniser) -> None:
    stream = CaptionStream(recogniser)
    points = performance(2)
    push(stream, points[0], 1.0)
    with pytest.raises(ValueError, match="capture times must grow"):
        push(stream, points[1], 0.5)
    push(stream, points[1], 1.04)


@pytest.mark.parametrize(("window", "stride"), [(64, 4), (64, 128), (62, 32), (64, 30)])
def test_impossible_windows_are_refused(window: int, stride: int) -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        StreamConfig(window=window, stride=stride)
