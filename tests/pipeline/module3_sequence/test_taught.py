from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.clip_reading import RecordingReading
from app.pipeline.module3_sequence.ngram import NgramModel
from app.pipeline.module3_sequence.prototypes import (
    InvalidPrototypes,
    NoPrototypes,
    Prototypes,
    balanced,
    read_prototypes,
    write_prototypes,
)
from app.pipeline.module3_sequence.taught import (
    OTHER,
    NoHands,
    TaughtConfig,
    TaughtSign,
    TaughtSigns,
    embedding,
    joined_columns,
    smoothed,
    unit,
    with_taught,
)
from app.pipeline.module3_sequence.vocabularies import UnknownVocabulary
from app.pipeline.recogniser import Recogniser, WindowOutput
from app.pipeline.streaming import CaptionStream, StreamConfig
from tests.support.recognisers import tiny_checkpoint, varied

DIM = 5


def example(
    seed: int, steps: int = 9, known: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    """Log-probabilities (S, 1 + V), looks (S, D), prototypes (V, D)."""
    rng, steps, known = np.random.default_rng(seed), 9, 4
    logits = rng.normal(0, 3, (steps, 1 + known))
    log_probs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    return log_probs, unit(rng.normal(size=(steps, DIM))), unit(rng.normal(size=(known, DIM))), rng


def taught_signs(rng: np.random.Generator, count: int = 3) -> TaughtSigns:
    return TaughtSigns(
        tuple(TaughtSign.of(f"MINE-{i}", unit(rng.normal(size=(int(rng.integers(1, 12)), DIM)))) for i in range(count))
    )


@given(st.integers(0, 10_000), st.integers(0, 3), st.floats(1, 30), st.floats(-0.5, 0.9))
def test_the_columns_are_those_of_the_rule_written_out(seed: int, reach: int, scale: float, other: float) -> None:
    log_probs, looks, prototypes, rng = example(seed)
    taught, config = taught_signs(rng), TaughtConfig(scale=scale, other=other, reach=reach, margin=0.1)
    columns = np.array([0, 2, 3])
    table = with_taught(log_probs, looks, taught, columns, prototypes[columns[1:] - 1], config)
    assert table.shape == (9, 3 + 3 + 1)
    for step in range(9):
        around = looks[max(0, step - reach) : step + reach + 1].sum(axis=0)
        around = around / np.linalg.norm(around)
        cosines = [max(float(row @ around) for row in sign.rows) for sign in taught.signs]
        rivals = [float(prototypes[column - 1] @ around) for column in columns[1:]]
        total = sum(np.exp(scale * c) for c in (*[c - 0.1 for c in cosines], *rivals))
        share = sum(np.exp(scale * (c - 0.1)) for c in cosines) / total
        is_taught = 1 / (1 + np.exp(-scale * (max(cosines) - other)))
        probs = np.exp(log_probs[step].astype(np.float64))
        expected = [probs[0], *(probs[column] * (1 - share) for column in columns[1:])]
        expected += [(1 - probs[0]) * np.exp(scale * (c - 0.1)) / total * is_taught for c in cosines]
        expected += [(1 - probs[0]) * share * (1 - is_taught)]
        assert np.allclose(np.exp(table[step]), expected, rtol=1e-3, atol=1e-6)


@given(st.integers(0, 10_000))
def test_with_every_known_gloss_beside_them_it_stays_a_distribution(seed: int) -> None:
    log_probs, looks, prototypes, rng = example(seed)
    table = with_taught(log_probs, looks, taught_signs(rng), np.arange(5), prototypes, TaughtConfig())
    assert np.allclose(np.exp(table).sum(axis=1), 1, atol=1e-4)


@given(st.integers(0, 10_000))
def test_known_glosses_keep_their_odds_among_themselves(seed: int) -> None:
    log_probs, looks, prototypes, rng = example(seed)
    table = with_taught(log_probs, looks, taught_signs(rng), np.arange(5), prototypes, TaughtConfig())
    before, after = log_probs[:, 1:], table[:, 1:5]
    assert np.allclose(after - after[:, :1], before - before[:, :1], atol=1e-3)


def test_a_taught_sign_with_a_known_gloss_adds_to_it_and_no_other_moves() -> None:
    table = np.log(np.array([[0.1, 0.2, 0.3, 0.25, 0.1, 0.05]], np.float32))
    rows = joined_columns(table, 3, np.array([2, 3, 4]), 4)
    assert np.allclose(np.exp(rows), [[0.1, 0.2, 0.55, 0.1, 0.05]], atol=1e-5)


def test_steps_are_averaged_with_those_around_them_and_none_beyond_the_ends() -> None:
    looks = unit(np.random.default_rng(1).normal(size=(6, DIM)))
    assert np.allclose(smoothed(looks, 0), looks, atol=1e-6)
    assert np.allclose(smoothed(looks, 2)[0], unit(looks[:3].mean(axis=0)), atol=1e-5)
    assert np.allclose(smoothed(looks, 2)[3], unit(looks[1:6].mean(axis=0)), atol=1e-5)
    assert np.allclose(smoothed(looks, 9), unit(looks.mean(axis=0))[None].repeat(6, axis=0), atol=1e-5)


def test_rows_of_a_sign_are_its_mean_and_at_most_seven_recordings() -> None:
    rng = np.random.default_rng(2)
    recordings = unit(rng.normal(size=(40, DIM)))
    sign = TaughtSign.of("MANY", recordings)
    assert sign.rows.shape == (8, DIM)
    assert np.allclose(sign.rows[0], unit(recordings.mean(axis=0)), atol=1e-6)
    assert np.allclose(np.linalg.norm(sign.rows, axis=1), 1, atol=1e-5)
    assert TaughtSign.of("ONE", recordings[:1]).rows.shape == (1, DIM)
    for bad in (np.zeros((0, DIM)), np.full((2, DIM), np.nan), np.zeros(DIM)):
        with pytest.raises(ValueError, match="expected finite embeddings"):
            TaughtSign.of("NONE", bad)


def test_a_recording_without_hands_has_no_embedding() -> None:
    with pytest.raises(NoHands):
        embedding(np.ones((3, DIM)), np.zeros(3, bool))


def test_people_with_many_recordings_do_not_count_for_more() -> None:
    rows = [("ann", np.array([1.0, 0.0]))] * 9 + [("bob", np.array([0.0, 1.0]))]
    assert np.allclose(balanced(rows), [0.5, 0.5])


# -- a recogniser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    folder = tiny_checkpoint(tmp_path_factory.mktemp("taught") / "tiny", stretch=0.2)
    rng = np.random.default_rng(3)
    write_prototypes(folder, Prototypes(unit(rng.normal(size=(3, 16))), np.zeros(16, np.float32)))
    return Recogniser.load(folder)


def taught_to(recogniser: Recogniser, **signs: int) -> TaughtSigns:
    """Each sign from two recordings that differ by noise; the number is a seed."""
    rows = []
    for gloss, seed in signs.items():
        clips = [varied(40, seed), varied(40, seed)]
        rng = np.random.default_rng(seed)
        clips[1].points[..., :2] += rng.normal(0, 0.002, clips[1].points[..., :2].shape)
        rows.append(TaughtSign.of(gloss, np.stack([embedded(recogniser, clip) for clip in clips])))
    return TaughtSigns(tuple(rows), "mine", space=recogniser.embedding_space)


def embedded(recogniser: Recogniser, clip: object) -> np.ndarray:
    reading = RecordingReading(recogniser, clip)  # type: ignore[arg-type]
    for job in reading.next_jobs(9):
        reading.apply(job, recogniser.whole.log_probs([job.features])[0])
    return reading.embedding


def test_taught_signs_are_read_alone_and_beside_a_vocabulary(recogniser: Recogniser) -> None:
    taught = taught_to(recogniser, GRANDMA=11, GARDEN=12)
    alone = recogniser.taught_with(taught)
    assert alone.vocabulary == ("GRANDMA", "GARDEN", OTHER)
    assert (alone.reads, alone.sign_language) == ("mine", "ase")
    assert set(alone.recognise(varied(40, 11)).gloss) == {"GRANDMA"}
    assert set(alone.recognise(varied(40, 12)).gloss) == {"GARDEN"}
    both = recogniser.taught_with(taught, ["HELLO", "YOU"])
    assert both.vocabulary == ("HELLO", "YOU", "GRANDMA", "GARDEN", OTHER)
    assert both.reads == "custom+mine"
    known = recogniser.taught_with(taught_to(recogniser, YOU=11), ["HELLO", "YOU"])
    assert known.vocabulary == ("HELLO", "YOU", OTHER)


def test_an_other_sign_is_never_shown(recogniser: Recogniser) -> None:
    view = recogniser.taught_with(taught_to(recogniser, GRANDMA=11))
    lattice = np.log(np.array([[0.02, 0.01, 0.97]] * 6, np.float32))
    assert view.read(lattice, view.new_decoder()) == ()


def test_a_stream_of_one_window_reads_what_the_whole_clip_gives(recogniser: Recogniser) -> None:
    view = recogniser.taught_with(taught_to(recogniser, GRANDMA=11, GARDEN=12), ["HELLO", "NAME"])
    clip = varied(100, 12)
    stream = CaptionStream(view, StreamConfig(window=128, stride=128), clip.aspect)
    stream.add(clip.points, [float(t) for t in clip.times])
    live = stream.finish()
    whole = view.recognise(clip)
    assert [s.gloss for s in live.segments] == whole.gloss
    assert np.allclose([s.confidence for s in live.segments], [s.confidence for s in whole.segments], atol=1e-3)


def test_many_views_share_one_pass_of_the_network(recogniser: Recogniser) -> None:
    views = [recogniser.taught_with(taught_to(recogniser, **{f"S{seed}": seed})) for seed in (11, 12, 13)]
    assert {id(view.whole) for view in views} == {id(recogniser)}
    features = recogniser.features(varied(40, 11))
    (output,) = recogniser.log_probs([features])
    for view in views:
        (own,) = view.log_probs([features])
        assert np.array_equal(view.narrow(output).log_probs, own.log_probs)


def test_without_prototypes_they_are_read_alone(tmp_path: Path) -> None:
    bare = Recogniser.load(tiny_checkpoint(tmp_path / "tiny"))
    taught = taught_to(bare, GRANDMA=11)
    assert set(bare.taught_with(taught).recognise(varied(40, 11)).gloss) <= {"GRANDMA"}
    with pytest.raises(NoPrototypes, match="python -m app signs prototypes"):
        bare.taught_with(taught, "all")


def test_signs_of_another_recogniser_are_refused(recogniser: Recogniser, tmp_path: Path) -> None:
    other = Recogniser.load(tiny_checkpoint(tmp_path / "tiny"))
    assert other.embedding_space != recogniser.embedding_space
    with pytest.raises(UnknownVocabulary, match="another recogniser"):
        other.taught_with(taught_to(recogniser, GRANDMA=11))
    with pytest.raises(UnknownVocabulary, match="another recogniser"):
        recogniser.taught_with(TaughtSigns((TaughtSign.of("A", unit(np.ones((1, 3)))),)))


def test_prototypes_that_do_not_fit_are_refused(recogniser: Recogniser, tmp_path: Path) -> None:
    write_prototypes(tmp_path, Prototypes(np.ones((2, 16), np.float32), np.zeros(16, np.float32)))
    with pytest.raises(InvalidPrototypes, match="signs prototypes"):
        read_prototypes(tmp_path, ("HELLO", "NAME", "YOU"))
    (tmp_path / "prototypes.safetensors").write_bytes(b"not one")
    with pytest.raises(InvalidPrototypes, match="cannot read"):
        read_prototypes(tmp_path, ("HELLO", "NAME", "YOU"))


def test_a_language_model_says_nothing_about_taught_signs() -> None:
    lm = NgramModel.fit([[1, 2], [2, 3], [1, 2, 3]], ("A", "B", "C"), order=2)
    wide = lm.beside(("MINE", OTHER))
    assert wide.num_labels == 6
    for context in (wide.start(), wide.advance(wide.start(), 1), wide.advance(wide.start(), 4)):
        own = wide.log_probs(context)
        assert own[4] == own[5] == wide.log_probs(())[4]
    assert list(wide.log_probs(wide.advance((), 1))[:4]) == list(lm.log_probs(lm.advance((), 1)))
    assert list(wide.log_probs(wide.advance((), 4))[:4]) == list(lm.log_probs(()))


def test_reading_without_taught_signs_needs_no_looks(recogniser: Recogniser) -> None:
    output = WindowOutput(np.log(np.full((3, 4), 0.25, np.float32)), np.zeros(3, np.float32))
    assert recogniser.narrow(output) is output
