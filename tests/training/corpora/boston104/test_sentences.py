from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.training.corpora.boston104.sentences import Sentence, SignSpan, hold_out, load_boston104
from app.training.corpora.boston104.splicing import SpliceConfig, Splicer, smooth
from app.training.errors import CorpusError
from tests.support.boston104_corpus import GLOSSES, PLACES, TRAIN, write_boston104

LABEL = {gloss: i for i, gloss in enumerate(GLOSSES, 1)}


def test_sentences_are_read_with_their_boundaries(tmp_path: Path) -> None:
    folder = write_boston104(tmp_path)
    sentences = load_boston104(folder, "train")
    assert [" ".join(s.glosses) for s in sentences] == list(TRAIN)
    first = sentences[0]
    assert first.segments[0] == SignSpan(3, 11, "JOHN")
    assert first.tracks.shape == (36, 6)
    labels = first.frame_labels(LABEL)
    assert labels[:14].tolist() == [0, 0, 0, *[1] * 8, 0, 0, 0]
    # The right hand while JOHN is signed: where the corpus has it, relative to the nose, in units of 50 pixels.
    there = first.tracks[labels == 1, 2:4].mean(axis=0)
    np.testing.assert_allclose(there, (np.array([200, 150]) + PLACES["JOHN"] - [160, 60]) / 50, atol=0.05)
    assert [" ".join(s.glosses) for s in load_boston104(folder, "test")] == ["JOHN BUY HOUSE", "CAR BUY JOHN"]


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("train_words.csv", "video,speaker", "film,speaker", "lacks the column video"),
        ("train_words.csv", "JOHN,3,10", "JOHN,3,2", "a sign from frame 3 to 2"),
        ("train_words.csv", "JOHN,3,10", "JOHN,x,10", "'x' is not a number"),
        ("train_words.csv", "1,woman-2,JOHN", "99,woman-2,JOHN", "names video 99"),
        ("train_words.csv", "JOHN,3,10", "JOHN,900,910", "has 36 frames, but a sign from 900 on"),
        ("hands_condensed.csv", "1,0,120", "1,0,nan", "not a number"),
        ("speaker.csv", "1,woman-2\r\n", "1\r\n", "fewer values"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, name: str, old: str, new: str, says: str) -> None:
    folder = write_boston104(tmp_path)
    text = (folder / name).read_bytes().decode()
    assert old in text
    (folder / name).write_bytes(text.replace(old, new, 1).encode())
    with pytest.raises(CorpusError, match=says):
        load_boston104(folder, "train")


def test_a_missing_file_and_an_unknown_split_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot read .*train_words\.csv"):
        load_boston104(tmp_path, "train")
    with pytest.raises(CorpusError, match="splits train and test"):
        load_boston104(write_boston104(tmp_path), "dev")


def sentence(video: str, glosses: str) -> Sentence:
    signs = tuple(SignSpan(4 * i, 4 * i + 4, g) for i, g in enumerate(glosses.split()))
    return Sentence(video, "man-1", np.zeros((4 * len(signs), 6), np.float32), signs)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_held_out_can_be_read_by_who_learnt_the_rest(seed: int) -> None:
    texts = ["A B", "A B", "A B", "B C", "B C", "C A", "A C", "D", "B A", "C B"]
    sentences = [sentence(str(i), text) for i, text in enumerate(texts)]
    kept, out = hold_out(sentences, seed, known=2, new=3)
    assert sorted(s.video for s in kept + out) == [str(i) for i in range(10)]
    wordings = {s.glosses for s in kept}
    assert sum(s.glosses in wordings for s in out) == 2
    assert sum(s.glosses not in wordings for s in out) == 3
    assert {g for s in out for g in s.glosses} <= {g for s in kept for g in s.glosses}
    assert "7" not in [s.video for s in out]  # the only one with D
    assert hold_out(sentences, seed, 2, 3) == (kept, out)


def test_spliced_samples_say_truly_what_is_where(tmp_path: Path) -> None:
    """Without disturbance the right hand is where the label of each frame says, but for rounded joints."""
    sentences = load_boston104(write_boston104(tmp_path), "train")
    config = SpliceConfig(splice=1.0, swap=0.6, drop=0.2, speed=1.0, scale=0.0, shift=0.0, noise=0.0)
    splicer = Splicer(sentences, LABEL, config)
    names = {i: g for g, i in LABEL.items()}
    rng = np.random.default_rng(5)
    seen, said = set(), set()
    for _ in range(60):
        sample = splicer.draw(rng)
        assert len(sample.tracks) == len(sample.frames)
        runs = sample.frames[np.flatnonzero(np.diff(sample.frames, prepend=-1))]
        assert [label for label in runs if label] == sample.labels
        said.add(tuple(sample.labels))
        for label in set(sample.labels):
            inside = sample.frames == label
            expected = (np.array([200, 150]) + PLACES[names[label]] - [160, 60]) / 50
            # The median: joints are rounded off and a part may stand still; sizes vary a little by design.
            np.testing.assert_allclose(np.median(sample.tracks[inside, 2:4], axis=0), expected, atol=0.35)
            seen.add(label)
    assert seen == set(LABEL.values())
    assert len(said) > len(set(TRAIN))  # new sentences come up


def test_samples_without_splicing_keep_their_sentence(tmp_path: Path) -> None:
    sentences = load_boston104(write_boston104(tmp_path), "train")
    splicer = Splicer(sentences, LABEL, SpliceConfig(splice=0.0))
    known = {tuple(LABEL[g] for g in s.glosses) for s in sentences}
    rng = np.random.default_rng(1)
    lengths = set()
    for _ in range(20):
        sample = splicer.draw(rng)
        assert tuple(sample.labels) in known
        lengths.add(len(sample.tracks))
    assert len(lengths) > 3  # tempo changes


def test_a_joint_is_rounded_off_and_the_rest_left_alone() -> None:
    tracks = np.zeros((10, 6), np.float32)
    tracks[5:] = 1
    smooth(tracks, 5)
    np.testing.assert_allclose(tracks[:, 0], [0, 0, 0, 0, 0.25, 0.75, 1, 1, 1, 1])
    alone = np.ones((1, 6), np.float32)
    smooth(alone, 0)
    assert alone.tolist() == [[1] * 6]
