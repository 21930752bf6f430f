"""Building prototypes: a made-up gloss by made-up signers comes back as what they share, and as nobody's clip."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.cli import main as app
from app.signer.making.build import build_gloss, ended_low, steady_presence, with_amplitude
from app.signer.making.clips import (
    LOWERED_Y,
    BodyClip,
    choose_clips,
    fill_gaps,
    hand_effort,
    hands_used,
    read_clip,
)
from app.signer.making.hands import (
    PALM,
    averaged_shape,
    bone_lengths,
    turned_to_viewer,
    weighted_median,
    with_bone_lengths,
)
from app.signer.performance import PARENTS
from app.signer.prototypes import load

SHAPE = np.zeros((21, 2))
for _finger, _angle in enumerate((-0.9, -0.3, 0.0, 0.25, 0.5)):
    for _joint in range(4):
        _length = (0.35, 0.3, 0.25, 0.2)[_joint] if _finger == 0 else (1.0, 0.45, 0.3, 0.22)[_joint]
        _point = 1 + 4 * _finger + _joint
        SHAPE[_point] = SHAPE[PARENTS[_point]] + _length * np.array([np.sin(_angle), -np.cos(_angle)])


def recording(
    rng: np.random.Generator, frames: int = 30, warp: float = 1.0, left_handed: bool = False, form: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One clip in the corpus' layout: a right hand that draws an arc beside the face, its shape unchanged."""
    t = np.linspace(0, 1, frames) ** warp
    unit, middle = rng.uniform(0.25, 0.4), np.array([0.5, 0.55]) + rng.normal(0, 0.02, 2)
    body = np.zeros((33, 2))
    body[0], body[7], body[8] = (0, -0.55), (0.2, -0.6), (-0.2, -0.6)
    body[11], body[12], body[13], body[14] = (0.5, 0), (-0.5, 0), (0.7, 0.8), (-0.7, 0.5)
    body[15], body[16] = (0.65, 1.6), (-0.6, 1.6)
    wrist = np.stack([-0.7 + 0.5 * np.sin(np.pi * t), -0.2 - 0.4 * t + form], axis=1)
    pose = np.tile(body, (frames, 1, 1))
    pose[:, 16] = wrist
    hand = wrist[:, None] + 0.34 * SHAPE + rng.normal(0, 0.01, (frames, 21, 2))
    scale = unit * np.array([1, 4 / 3])
    pose, hand = pose * scale + middle, hand * scale + middle
    full = np.concatenate([pose, np.full((frames, 33, 1), 0.99)], axis=2)
    empty = np.zeros((frames, 21, 2))
    if left_handed:
        order = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(i + 1 if i % 2 else i - 1 for i in range(11, 33))]
        full = full[:, order]
        full[..., 0], hand = 1 - full[..., 0], hand * [-1, 1] + [1, 0]
        return full, hand, empty
    return full, empty, hand


def clip(rng: np.random.Generator, signer: str = "a", **how: float | bool) -> BodyClip:
    found = read_clip(*recording(rng, **how), signer)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_clips_are_measured_in_shoulder_widths_whatever_the_camera_saw() -> None:
    rng = np.random.default_rng(0)
    first, second = clip(rng), clip(rng)
    np.testing.assert_allclose(first.wrists, second.wrists, atol=0.05)
    np.testing.assert_allclose(first.body[0, 11], [0.5, 0], atol=0.01)
    assert first.hand_size[1] == pytest.approx(0.34, abs=0.03)


def test_left_handers_are_mirrored() -> None:
    rng = np.random.default_rng(1)
    left, right = clip(rng, left_handed=True), clip(rng)
    np.testing.assert_allclose(left.wrists[:, 1], right.wrists[:, 1], atol=0.05)
    assert hand_effort(left)[1] > hand_effort(left)[0]
    assert hands_used(left) == 1
    np.testing.assert_allclose(left.mirrored().mirrored().shapes, left.shapes)


def test_unusable_recordings_are_left_out() -> None:
    rng = np.random.default_rng(2)
    pose, left, right = recording(rng)
    assert read_clip(pose * 0, left, right, "a") is None
    assert read_clip(pose, left, right * 0, "a") is None
    flicker = right.copy()
    flicker[5:25] = 0
    flicker[10], flicker[17] = right[10], right[17]
    assert read_clip(pose, left, flicker, "a") is None


def test_a_hand_at_the_nose_stays_at_the_nose_of_the_figure() -> None:
    rng = np.random.default_rng(3)
    stretched = read_clip(*recording(rng), "a", nose_y=-1.1)
    plain = clip(np.random.default_rng(3))
    assert stretched is not None
    np.testing.assert_allclose(stretched.body[:, 0, 1], -1.1, atol=0.02)
    above = plain.wrists[:, 1, 1] < 0
    np.testing.assert_allclose(stretched.wrists[above, 1, 1], 2 * plain.wrists[above, 1, 1], atol=0.05)


def test_prototype_recovers_what_the_signers_share() -> None:
    rng = np.random.default_rng(4)
    clips = [
        clip(
            rng,
            f"s{i % 6}",
            frames=int(rng.integers(24, 36)),
            warp=float(rng.uniform(0.7, 1.5)),
            left_handed=i % 3 == 0,
        )
        for i in range(24)
    ]
    found = build_gloss("ARC", clips, keep=0.5, at_most=20)
    assert found.clips >= 8
    assert found.signers >= 2
    assert found.present[:, 1].all()
    assert not found.present[:, 0].any()
    t = np.linspace(0, 1, 400)
    curve = np.stack([-0.7 + 0.5 * np.sin(np.pi * t), -0.2 - 0.4 * t], axis=1)
    away = np.linalg.norm(found.wrists[:, 1, None] - curve[None], axis=-1).min(axis=1)
    assert away.mean() < 0.03
    assert np.linalg.norm(found.wrists[[0, -1], 1] - curve[[0, -1]], axis=-1).max() < 0.15
    np.testing.assert_allclose(found.hands[:, 1].mean(axis=0), PALM * SHAPE, atol=0.04)


def test_the_most_common_form_wins_and_is_not_mixed() -> None:
    rng = np.random.default_rng(5)
    clips = [clip(rng, f"s{i}") for i in range(16)] + [clip(rng, f"t{i}", form=0.8) for i in range(8)]
    found = build_gloss("TWO-FORMS", clips, keep=0.5, at_most=20)
    assert found.wrists[:, 1, 1].max() < 0.05


def test_one_signer_is_still_averaged() -> None:
    rng = np.random.default_rng(6)
    found = build_gloss("RARE", [clip(rng, "only") for _ in range(10)], keep=0.4, at_most=20)
    assert (found.signers, found.clips) == (1, 8)


def test_a_sign_that_is_repeated_can_end_where_it_is_complete() -> None:
    rng = np.random.default_rng(10)
    arc = build_gloss("ARC", [clip(rng, f"s{i}") for i in range(10)], keep=1.0, at_most=20)
    down = ended_low(replace(arc, wrists=arc.wrists * [1, -1]))
    assert len(down.wrists) == len(down.present) == 31
    heights = down.wrists[:, 1, 1]
    np.testing.assert_allclose(heights[-6:], heights.max())
    assert heights.max() == (-arc.wrists[:, 1, 1]).max()


def test_averaged_hand_is_crisp() -> None:
    rng = np.random.default_rng(7)
    turned = []
    for _ in range(12):
        angle = rng.normal(0, 0.5)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turned.append(SHAPE @ turn.T + rng.normal(0, 0.02, (21, 2)))
    fist = SHAPE * 0.4
    shapes = np.stack([*turned, fist, fist, fist])
    mean, votes = averaged_shape(shapes, np.ones(15))
    np.testing.assert_allclose(bone_lengths(mean)[1:], bone_lengths(SHAPE)[1:], atol=0.06)
    assert votes[-3:].sum() < 0.1
    assert bone_lengths(shapes.mean(axis=0))[1:].sum() < 0.95 * bone_lengths(mean)[1:].sum()


def test_bone_lengths_are_set_and_directions_kept() -> None:
    lengths = np.linspace(0.5, 1.5, 21)
    lengths[0] = 0
    found = with_bone_lengths(SHAPE, lengths)
    np.testing.assert_allclose(bone_lengths(found), lengths)
    bones, before = (h - h[list(PARENTS)] for h in (found, SHAPE))
    cosine = (
        (bones[1:] * before[1:]).sum(axis=1) / np.linalg.norm(bones[1:], axis=1) / np.linalg.norm(before[1:], axis=1)
    )
    np.testing.assert_allclose(cosine, 1)


def test_edge_on_hands_are_opened_and_open_ones_left_alone() -> None:
    flat = np.tile(SHAPE * PALM, (20, 1, 1))
    np.testing.assert_allclose(turned_to_viewer(flat), flat, atol=1e-9)
    edge = flat * [0.2, 1.0]
    opened = turned_to_viewer(edge)
    assert np.ptp(opened[0, 5:, 0]) > 1.5 * np.ptp(edge[0, 5:, 0])
    np.testing.assert_allclose(opened[..., 1], edge[..., 1], atol=0.02)


def test_repeated_movement_gets_its_size_back() -> None:
    rng = np.random.default_rng(8)
    t = np.linspace(0, 1, 36)
    single = np.zeros((10, 36, 2, 2))
    for one in single:
        one[:, 1, 0] = 0.2 * np.sin(2 * np.pi * 3 * t + rng.uniform(-1.2, 1.2))
    average = single.mean(axis=0)
    assert np.abs(average).max() < 0.17
    restored = with_amplitude(average, single)
    assert np.abs(average).max() < np.abs(restored).max() < 0.25
    np.testing.assert_allclose(with_amplitude(single[0], np.zeros_like(single)), single[0])


def test_presence_is_decided_by_majority_without_flicker() -> None:
    seen = np.ones((20, 2), bool)
    seen[7, 0] = False
    seen[:, 1] = False
    seen[4:6, 1] = True
    steady = steady_presence(seen)
    assert steady[:, 0].all()
    assert not steady[:, 1].any()


def test_gaps_are_filled_only_when_short() -> None:
    values = np.arange(12.0)[:, None]
    values[2:4] = np.nan
    values[6:11] = np.nan
    filled = fill_gaps(values, 3)
    np.testing.assert_allclose(filled[:6, 0], np.arange(6.0))
    assert np.isnan(filled[6:11]).all()


def test_clips_are_spread_over_signers() -> None:
    signers = ["a"] * 50 + ["b"] * 3 + ["c"]
    chosen = choose_clips(signers, 10, 4, np.random.default_rng(0))
    counts = {name: sum(signers[i] == name for i in chosen) for name in "abc"}
    assert counts == {"a": 4, "b": 3, "c": 1}
    assert len(choose_clips(signers, 5, 4, np.random.default_rng(0))) == 5


def test_weighted_median_follows_the_weight() -> None:
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.ones(3)) == 2
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([5.0, 1, 1])) == 3


def corpus(data: Path, seed: int) -> None:
    folder = data / "signs"
    folder.mkdir()
    rng = np.random.default_rng(seed)
    blocks: list[list[np.ndarray]] = [[], [], []]
    offsets, rows = [0], []
    for gloss, form in (("ARC", 0.0), ("LOW-ARC", 0.6)):
        for number in range(12):
            for block, part in zip(blocks, recording(rng, form=form, warp=float(rng.uniform(0.8, 1.3))), strict=True):
                block.append(part.astype(np.float16))
            offsets.append(offsets[-1] + 30)
            rows.append({"clip": len(rows), "gloss": gloss, "signer": f"s{number % 4}", "split": "train"})
    names = ("pose", "left", "right")
    arrays = {name: np.concatenate(block) for name, block in zip(names, blocks, strict=True)}
    np.savez(folder / "train.npz", offsets=np.array(offsets), **arrays)
    with (folder / "clips.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows([*rows, {**rows[0], "split": "dev", "gloss": "UNSEEN"}])


def test_command_writes_what_the_signer_reads(tmp_path: Path) -> None:
    corpus(tmp_path, 9)
    out = tmp_path / "made" / "prototypes.zip"
    app(["prototypes", "--data", str(tmp_path), "--out", str(out)])
    signer = load(out)
    assert set(signer) == {"ARC", "LOW-ARC"}
    made = signer.about("ARC").origin
    assert made.signers >= 2
    assert made.clips >= 8
    assert made.corpus == "signs"
    assert signer.about("LOW-ARC").sign.wrists[:, 1, 1].mean() > signer.about("ARC").sign.wrists[:, 1, 1].mean() + 0.3
    assert signer.about("ARC").sign.wrists[:, 1, 1].max() < LOWERED_Y
    first = out.read_bytes()
    app(["prototypes", "--data", str(tmp_path), "--out", str(out)])
    assert out.read_bytes() == first


def test_command_names_a_gloss_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus(tmp_path, 9)
    assert app(["prototypes", "--data", str(tmp_path), "--gloss", "UNSEEN"]) == 2
    assert "no training clip of UNSEEN" in capsys.readouterr().err
