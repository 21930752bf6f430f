"""The stored prototypes: what they promise to everybody who performs, draws or recognises them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.pipeline.keypoints import (
    LEFT_EAR,
    LEFT_HAND,
    LEFT_SHOULDER,
    NOSE,
    RIGHT_EAR,
    RIGHT_HAND,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
    hand_present,
    person_present,
)
from app.signer.prototypes import ASSET, CORE, PHRASES, SHOULDERS, UnknownGloss, load
from app.signer.store import InvalidPrototypes, read_sign, write

TWO_HANDED = {"HELP", "HOW", "NAME", "GOOD"}
EVERYDAY = Path(__file__).resolve().parents[2] / "checkpoints/asl-large/vocabularies/everyday.txt"


def test_all_core_glosses_and_the_further_ones_are_there() -> None:
    signer = load()
    assert set(CORE) <= set(signer)
    everyday = [line for line in EVERYDAY.read_text().splitlines() if line and not line.startswith("#")]
    assert set(everyday) <= set(signer)
    assert len(signer) == 291
    assert "NONE" not in signer
    assert {gloss for phrase in PHRASES for gloss in phrase} <= set(CORE)


def test_it_is_small() -> None:
    assert ASSET.stat().st_size < 1_200_000


def test_a_prototype_is_nobodys_recording() -> None:
    for gloss, about in load().prototypes.items():
        made = about.origin
        assert made.clips >= (8 if made.corpus == "signs" else 3), gloss
        assert made.signers >= 2, gloss


def test_landmarks_are_in_the_picture_at_25_frames_a_second() -> None:
    for gloss, clip in load().items():
        assert 1.4 <= clip.duration_s <= 3.0, gloss
        np.testing.assert_allclose(np.diff(clip.times), 0.04)
        assert clip.aspect == pytest.approx(4 / 3)
        assert person_present(clip.points).all()
        width = clip.points[:, LEFT_SHOULDER, 0] - clip.points[:, RIGHT_SHOULDER, 0]
        np.testing.assert_allclose(width, SHOULDERS, atol=1e-3)
        head = clip.points[:, [NOSE, LEFT_EAR, RIGHT_EAR], :2]
        assert ((head > 0.1) & (head < 0.9)).all(), gloss
        for side, where in enumerate((LEFT_HAND, RIGHT_HAND)):
            seen = clip.points[hand_present(clip.points)[:, side], where]
            assert ((seen[..., :2] > -0.1) & (seen[..., :2] < 1.15)).all(), gloss


def test_it_starts_and_ends_with_the_hands_out_of_sight() -> None:
    for gloss, clip in load().items():
        present = hand_present(clip.points)
        assert not present[[0, -1]].any(), gloss
        assert present[:, 1].mean() > 0.5, gloss


def test_arms_are_no_longer_than_arms_and_hands_do_not_jump() -> None:
    for gloss, about in load().prototypes.items():
        if about.origin.corpus != "wlasl":  # where the elbows were seen they are where they were seen
            continue
        sign = about.sign
        upper = np.linalg.norm(sign.elbows - np.array([[0.5, 0], [-0.5, 0]]), axis=-1)
        assert upper.max() < 1.1, gloss
        assert np.linalg.norm(sign.wrists - sign.elbows, axis=-1).max() < 1.2, gloss
        assert np.linalg.norm(np.diff(sign.wrists, axis=0), axis=-1).max() < 0.4, gloss


@pytest.mark.parametrize("gloss", CORE)
def test_the_left_hand_takes_part_only_in_two_handed_signs(gloss: str) -> None:
    share = hand_present(load()[gloss].points)[:, 0].mean()
    assert share > 0.5 if gloss in TWO_HANDED else share == 0


def test_signs_are_where_they_belong() -> None:
    signer = load()

    def middle(gloss: str, point: int) -> np.ndarray:
        points = signer[gloss].points
        return np.asarray(np.median(points[hand_present(points)[:, 1], point, :2], axis=0))

    nose = signer["HELLO"].points[0, NOSE]
    shoulder = signer["HELLO"].points[0, RIGHT_SHOULDER]
    tip = RIGHT_HAND.start + 12
    assert middle("HELLO", tip)[1] < nose[1]
    assert middle("PLEASE", RIGHT_WRIST)[1] > shoulder[1]
    highest = signer["THANK-YOU"].points[:, tip, 1].min()
    assert nose[1] - 0.06 < highest < shoulder[1]
    index, ring, pinky = (middle("I-LOVE-YOU", RIGHT_HAND.start + k)[1] for k in (8, 16, 20))
    assert index < ring
    assert pinky < ring


def test_a_phrase_is_shorter_than_its_signs_and_keeps_the_hand_up() -> None:
    signer = load()
    for phrase in PHRASES:
        whole = signer.phrase(phrase)
        assert whole.duration_s < sum(signer[gloss].duration_s for gloss in phrase)
        seen = np.flatnonzero(hand_present(whole.points)[:, 1])
        assert len(seen) == seen[-1] - seen[0] + 1


def test_unknown_glosses_are_named() -> None:
    with pytest.raises(UnknownGloss, match=r"no prototype of MOTER \(nearest: MOTHER, OTHER, BOTHER\); .* the 291"):
        load()["MOTER"]
    with pytest.raises(UnknownGloss, match=r"no prototype of XYZ; .* the 291"):
        load()["XYZ"]
    assert "HELLO" in load()
    assert "XYZ" not in load()


def test_no_gloss_is_no_phrase() -> None:
    with pytest.raises(ValueError, match="at least one sign"):
        load().phrase([])


def with_index(path: Path, index: object) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("index.json", json.dumps(index))
    return path


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidPrototypes, match="format 3"):
        load(with_index(tmp_path / "later.zip", {"format": 3}))


def test_what_is_no_file_of_prototypes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.zip"
    path.write_bytes(ASSET.read_bytes()[:5000])
    with pytest.raises(InvalidPrototypes, match="not a file of prototypes"):
        load(path)


def test_a_sign_is_stored_to_a_thousandth(tmp_path: Path) -> None:
    signer, path = load(), tmp_path / "two.zip"
    wanted = [(gloss, signer.about(gloss).origin, signer.about(gloss).sign) for gloss in ("SCHOOL", "MOTHER")]
    write(path, signer.body, wanted)
    for gloss, origin, sign in wanted:
        assert load(path).about(gloss).origin == origin
        found = read_sign(path, gloss)
        for name in ("nose", "elbows", "wrists", "hands", "raised"):
            np.testing.assert_allclose(getattr(found, name), getattr(sign, name), atol=1e-9)
    first = path.read_bytes()
    write(path, signer.body, wanted[::-1])
    assert path.read_bytes() == first
