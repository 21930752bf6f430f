from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.checkpoint import (
    CheckpointConfig,
    CheckpointError,
    load_checkpoint,
    read_config,
)
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.movement import hand_movement
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module3_sequence.ngram import LANGUAGE_MODEL, NgramModel
from app.pipeline.recogniser import GlossSegment, Recogniser, hand_near, merged, window_starts
from app.pipeline.stages import Stopwatch
from tests.support.recognisers import VOCABULARY, performance, tiny_checkpoint, varied


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return Recogniser.load(tiny_checkpoint(tmp_path_factory.mktemp("ckpt") / "tiny"))


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    config, model = load_checkpoint(folder)
    assert config.vocabulary == VOCABULARY
    assert CheckpointConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert not model.training
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_a_missing_checkpoint_names_the_ones_there_are(tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match="available: tiny"):
        read_config(tmp_path / "nope")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 99}, "format 99"),
        ({"keypoints": "openpose-25"}, "keypoints 'openpose-25'"),
        ({"vocabulary": ["HELLO"]}, "1 glosses"),
        ({"vocabulary": ["HELLO", "HELLO", "YOU"]}, "listed twice"),
        ({"model": {"labels": 3, "wings": 2}}, "wings"),
        ({"temperature": "warm"}, "damaged"),
    ],
)
def test_a_damaged_config_is_refused_with_the_reason(tmp_path: Path, change: dict, says: str) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=says):
        read_config(folder)


def test_weights_that_do_not_fit_or_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    values = json.loads((folder / "config.json").read_text())
    values["model"]["model_dim"] = 32
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="do not fit"):
        load_checkpoint(folder)
    (folder / "model.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(CheckpointError, match="cannot read the weights"):
        load_checkpoint(folder)


def test_a_network_for_other_features_is_refused(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    values = json.loads((folder / "config.json").read_text())
    values["model"]["features"] = 100
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="reads 100 features a frame"):
        load_checkpoint(folder)


def test_a_batch_gives_the_same_answers_as_one_by_one(recogniser: Recogniser) -> None:
    clips = [varied(n, n) for n in (10, 64, 33, 100)]
    together = recogniser.lattices([recogniser.features(clip) for clip in clips])
    for clip, (lattice, attention) in zip(clips, together, strict=True):
        result = recogniser.recognition(clip, lattice, attention, Stopwatch(), hand_movement(recogniser.features(clip)))
        alone = recogniser.recognise(clip)
        assert alone.gloss == result.gloss
        assert alone.frame_count == len(clip)
        np.testing.assert_allclose(
            [s.confidence for s in alone.segments], [s.confidence for s in result.segments], atol=1e-4
        )


def test_segments_are_in_order_inside_the_clip_and_confidence_is_a_probability(recogniser: Recogniser) -> None:
    clip = varied(120)
    result = recogniser.recognise(clip)
    assert result.segments, "the made-up clip should make the tiny network say something"
    for a, b in itertools.pairwise(result.segments):
        assert a.end_s <= b.start_s + 1e-9
    for s in result.segments:
        assert 0 <= s.start_s < s.end_s <= clip.duration_s + 1e-6
        assert 0 <= s.confidence <= 1
    assert result.sentence[-1] in ".?!"
    assert result.attention == {"rgb": 0.0, "pose": 1.0}


def test_an_empty_clip_says_nothing(recogniser: Recogniser) -> None:
    result = recogniser.recognise(Keypoints.at_rate(np.zeros((0, 75, 3), np.float32), 25))
    assert (result.gloss, result.sentence, result.confidence) == ([], "", 0.0)


def test_signs_under_the_threshold_are_not_said(tmp_path: Path) -> None:
    sure = Recogniser.load(tiny_checkpoint(tmp_path / "tiny", min_confidence=1.01))
    assert sure.recognise(varied(120)).gloss == []


def test_a_blank_bias_makes_it_say_more_never_less(tmp_path: Path) -> None:
    said = [
        len(
            Recogniser.load(tiny_checkpoint(tmp_path / str(bias), blank_bias=bias, beam=1)).recognise(varied(120)).gloss
        )
        for bias in (-50.0, 50.0)
    ]
    assert said[0] == 0
    assert said[1] > 0


def test_without_a_hand_in_sight_nothing_is_said(recogniser: Recogniser) -> None:
    clip = varied(120)
    assert recogniser.recognise(clip).gloss
    hidden = clip.points.copy()
    hidden[:, 33:] = 0
    assert recogniser.recognise(Keypoints.at_rate(hidden, 25)).gloss == []
    assert recogniser.recognise(Keypoints.at_rate(np.zeros((100, 75, 3), np.float32), 25)).gloss == []


def test_a_hand_lost_for_a_moment_does_not_cut_a_sign() -> None:
    points = performance(40)
    points[16:24, 33:] = 0
    assert hand_near(normalise(points, 4 / 3)).all()
    points[4:36, 33:] = 0
    near = hand_near(normalise(points, 4 / 3))
    assert near.tolist() == [True, True, True, False, False, False, False, True, True, True]


@given(frames=st.integers(0, 900), window=st.sampled_from([64, 128]), half=st.booleans())
def test_windows_cover_the_clip_without_gaps_or_idle_ones(frames: int, window: int, half: bool) -> None:
    stride = window // 2 if half else window
    starts = window_starts(frames, window, stride)
    covered = {t for s in starts for t in range(s, min(s + window, frames))}
    assert covered == set(range(frames))
    assert all(s < frames for s in starts)
    if len(starts) > 1:
        assert starts[-2] + window < frames


def test_long_clips_are_read_in_windows(tmp_path: Path) -> None:
    short = Recogniser.load(tiny_checkpoint(tmp_path / "tiny", window=64, stride=32))
    lattice, _ = short.lattices([np.random.default_rng(0).standard_normal((300, 319), dtype=np.float32)])[0]
    assert lattice.shape == (75, 4)
    np.testing.assert_allclose(np.exp(lattice).sum(axis=1), 1, atol=1e-4)


def test_a_movement_that_repeats_is_one_sign() -> None:
    def sign(gloss: str, start_s: float, confidence: float = 0.5) -> GlossSegment:
        return GlossSegment(gloss, start_s, start_s + 0.2, confidence)

    twice = [sign("THANK-YOU", 0.0), sign("THANK-YOU", 1.0, 0.9), sign("YOU", 1.5), sign("YOU", 4.0)]
    assert merged(twice, 0.0) == tuple(twice)
    assert merged(twice, 0.8) == tuple(twice)
    once = merged(twice, 0.9)
    assert [s.gloss for s in once] == ["THANK-YOU", "YOU", "YOU"]
    assert (once[0].start_s, once[0].end_s, once[0].confidence) == (0.0, 1.2, 0.9)
    assert merged([sign("A", 0.0), sign("A", 0.5), sign("A", 1.0)], 0.5) == (GlossSegment("A", 0.0, 1.2, 0.5),)
    assert merged([sign("A", 0.0), sign("B", 0.3), sign("A", 0.6)], 2.0) == merged(
        [sign("A", 0.0), sign("B", 0.3), sign("A", 0.6)], 0.0
    )


@given(st.lists(st.tuples(st.sampled_from("AB"), st.floats(0, 3)), max_size=12), st.floats(0, 2))
def test_joining_repeats_never_changes_what_came_before(steps: list[tuple[str, float]], gap_s: float) -> None:
    segments, at = [], 0.0
    for gloss, pause in steps:
        segments.append(GlossSegment(gloss, at + pause, at + pause + 0.2, 0.5))
        at += pause + 0.2
    whole = [s.gloss for s in merged(segments, gap_s)]
    for count in range(len(segments)):
        part = [s.gloss for s in merged(segments[:count], gap_s)]
        assert whole[: len(part)] == part


def test_a_whole_lattice_is_read_by_stretches_and_looked_at_again_where_the_config_says_so(tmp_path: Path) -> None:
    around, peak = [0.9, 0.01, 0.08, 0.01], [0.1, 0.5, 0.38, 0.02]
    lattice = np.log(np.array([around] * 4 + [peak] + [around] * 4, np.float32))
    hidden = np.log(np.array([around] * 4, np.float32))
    plain = Recogniser.load(tiny_checkpoint(tmp_path / "plain", beam=1))
    assert [s.gloss for s in plain.read(lattice, plain.new_decoder())] == [VOCABULARY[0]]
    assert plain.read(hidden, plain.new_decoder()) == ()

    again = Recogniser.load(tiny_checkpoint(tmp_path / "again", beam=1, stretch=0.4, second_look=3.0))
    (segment,) = again.read(lattice, again.new_decoder())
    assert (segment.gloss, segment.start_s) == (VOCABULARY[1], pytest.approx(4 * 0.16))
    assert [s.gloss for s in again.read(hidden, again.new_decoder())] == [VOCABULARY[1]]

    # A second look keeps only what it is sure enough of: 0.8 here. What was decoded at once is kept either way.
    for least, found in ((0.79, [VOCABULARY[1]]), (0.81, [])):
        settings = {"beam": 1, "stretch": 0.4, "second_look": 3.0, "second_confidence": least}
        surer = Recogniser.load(tiny_checkpoint(tmp_path / str(least), **settings))
        assert [s.gloss for s in surer.read(hidden, surer.new_decoder())] == found
        assert [s.gloss for s in surer.read(lattice, surer.new_decoder())] == [VOCABULARY[1]]


def test_a_language_model_decides_between_signs_that_look_alike_and_can_be_switched_off(tmp_path: Path) -> None:
    # The second sign is HELLO or NAME, a little more like HELLO; NAME follows YOU, HELLO does not.
    blank, you, either = [0.97, 0.01, 0.01, 0.01], [0.01, 0.01, 0.02, 0.96], [0.01, 0.5, 0.47, 0.02]
    lattice = np.log(np.array([blank, you, blank, either, blank], np.float32))
    folder = tiny_checkpoint(tmp_path / "tiny", beam=1, stretch=0.2, lm_weight=0.3)
    with pytest.raises(CheckpointError, match=r"weighs a language model but has no gloss_lm\.json"):
        Recogniser.load(folder)
    NgramModel.fit([[3, 2]] * 20 + [[1]] * 20, VOCABULARY, 2).save(folder / LANGUAGE_MODEL)

    def said(recogniser: Recogniser) -> list[str]:
        return [s.gloss for s in recogniser.read(lattice, recogniser.new_decoder())]

    assert VOCABULARY == ("HELLO", "NAME", "YOU")
    assert said(Recogniser.load(folder)) == ["YOU", "NAME"]
    assert said(Recogniser.load(folder, lm_weight=0.0)) == ["YOU", "HELLO"]
    assert said(Recogniser.load(folder).with_decoder(lm_weight=0.0)) == ["YOU", "HELLO"]
    # With a beam and without stretches the search itself weighs it.
    searched = tiny_checkpoint(tmp_path / "searched", beam=5)
    NgramModel.fit([[3, 2]] * 20 + [[1]] * 20, VOCABULARY, 2).save(searched / LANGUAGE_MODEL)
    assert said(Recogniser.load(searched)) == ["YOU", "HELLO"]
    assert said(Recogniser.load(searched, lm_weight=0.3)) == ["YOU", "NAME"]


def test_a_vocabulary_narrows_the_language_model_and_may_weigh_it_by_itself(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny", beam=1, stretch=0.2, lm_weight=0.3)
    lm = NgramModel.fit([[3, 2], [1, 3]], VOCABULARY, 2)
    lm.save(folder / LANGUAGE_MODEL)
    (folder / "vocabularies").mkdir()
    (folder / "vocabularies" / "few.txt").write_text("HELLO\nYOU")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocabularies": {"few": {"decoder": {"lm_weight": 0.0}}}}))
    recogniser = Recogniser.load(folder)
    few, own = recogniser.reading_with("few"), recogniser.reading_with(["NAME", "HELLO"])
    assert (few.config.decoder.lm_weight, own.config.decoder.lm_weight) == (0.0, 0.0)
    assert (few.around, recogniser.around is not None) == (None, True)
    assert few.lm is not None
    assert own.lm is not None
    assert few.lm.vocabulary == ("HELLO", "YOU")
    assert list(own.lm.log_probs((1,))) == list(lm.narrowed(["HELLO", "NAME"]).log_probs((1,)))
    assert Recogniser.load(folder, lm_weight=0.5).reading_with("few").config.decoder.lm_weight == 0.5


def test_a_damaged_language_model_is_refused(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    (folder / LANGUAGE_MODEL).write_text("{}")
    with pytest.raises(CheckpointError, match="is not a glossline-ngram file"):
        Recogniser.load(folder)


def test_reading_with_fewer_glosses_masks_the_others(recogniser: Recogniser) -> None:
    clip = varied(100)
    fewer = recogniser.reading_with(["you", "HELLO"])
    assert fewer.vocabulary == ("HELLO", "YOU")
    assert fewer.whole is recogniser
    ((whole, _),) = recogniser.lattices([recogniser.features(clip)])
    ((narrow, _),) = fewer.lattices([fewer.features(clip)])
    kept = whole[:, [0, 1, 3]]
    expected = kept - np.logaddexp.reduce(kept, axis=1, keepdims=True)
    np.testing.assert_allclose(narrow, expected, rtol=1e-3, atol=1e-4)
    assert {segment.gloss for segment in fewer.recognise(clip).segments} <= {"HELLO", "YOU"}
    assert recogniser.reading_with().vocabulary == VOCABULARY  # no "everyday" here
    assert recogniser.vocabulary == VOCABULARY  # unchanged


def test_a_named_vocabulary_brings_its_settings_and_a_list_those_of_the_next_larger(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    (folder / "vocabularies").mkdir()
    for name, text in {"everyday": "HELLO\nYOU", "core": "YOU"}.items():
        (folder / "vocabularies" / f"{name}.txt").write_text(text)
    config = json.loads((folder / "config.json").read_text())
    config["vocabularies"] = {
        "everyday": {"temperature": 2.5, "decoder": {"unsure": 0.999, "blank_bias": 3.0}, "dev": {"exact": 0.5}}
    }
    (folder / "config.json").write_text(json.dumps(config))
    recogniser = Recogniser.load(folder)
    everyday = recogniser.reading_with()
    assert (everyday.reads, everyday.config.temperature) == ("everyday", 2.5)
    assert recogniser.reading_with("everyday") is everyday
    assert recogniser.reading_with("core").config.temperature == recogniser.config.temperature
    assert recogniser.reading_with(["HELLO", "YOU"]).config.temperature == 2.5
    clip = varied(100)
    signs = everyday.recognise(clip).segments
    assert signs
    assert all(sign.unsure == (sign.confidence < 0.999) for sign in signs)
    assert not any(sign.unsure for sign in recogniser.recognise(clip).segments)
    # The bias comes off the blank's logit before the others are normalised.
    ((whole, _),) = recogniser.lattices([recogniser.features(clip)])
    kept = whole[:, [0, 1, 3]] - np.array([3.0, 0, 0], np.float32)
    expected = kept - np.logaddexp.reduce(kept, axis=1, keepdims=True)
    np.testing.assert_allclose(everyday.lattices([everyday.features(clip)])[0][0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("text", "says"), [("HELO", r"everyday.txt: .*HELO \(nearest: HELLO\)"), ("", "empty")])
def test_a_vocabulary_that_does_not_fit_its_checkpoint(tmp_path: Path, text: str, says: str) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    (folder / "vocabularies").mkdir()
    (folder / "vocabularies" / "everyday.txt").write_text(text)
    with pytest.raises(CheckpointError, match=says):
        Recogniser.load(folder)


def test_settings_of_a_vocabulary_are_checked(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocabularies": {"all": {"decoder": {"wings": 2}}}}))
    with pytest.raises(CheckpointError, match="wings"):
        read_config(folder)


def test_all_glosses_may_have_settings_of_their_own(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    settings = {"all": {"temperature": 2.5, "decoder": {"blank_bias": 3.0}}}
    (folder / "config.json").write_text(json.dumps(config | {"vocabularies": settings}))
    whole = Recogniser.load(folder)
    every = whole.reading_with("all")
    assert (every.vocabulary, every.config.temperature) == (VOCABULARY, 2.5)
    clip = varied(100)
    ((plain, _),) = whole.lattices([whole.features(clip)])
    biased = plain - np.array([3.0, 0, 0, 0], np.float32)
    expected = biased - np.logaddexp.reduce(biased, axis=1, keepdims=True)
    np.testing.assert_allclose(every.lattices([every.features(clip)])[0][0], expected, rtol=1e-3, atol=1e-4)
