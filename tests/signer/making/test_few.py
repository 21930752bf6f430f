"""Prototypes of few clips: one form of the sign, however many there are, and arms where arms are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.signer.making.arms import FOREARM, SHOULDERS, UPPER_ARM, learn_elbows
from app.signer.making.clips import REST_WRIST, BodyClip, resampled
from app.signer.making.few import candidates, density, most_common_form, neighbourhood
from tests.signer.making.test_build import clip


def two_handed(one: BodyClip) -> BodyClip:
    """The clip with the other hand doing the same in the mirror."""
    mirror = one.mirrored()
    wrists = np.stack([mirror.wrists[:, 0], one.wrists[:, 1]], axis=1)
    return replace(one, wrists=wrists, shapes=np.stack([mirror.shapes[:, 0], one.shapes[:, 1]], axis=1))


def test_another_form_of_the_sign_is_not_averaged_in() -> None:
    rng = np.random.default_rng(0)
    clips = [*(clip(rng, f"s{i}") for i in range(4)), clip(rng, "t", form=0.8), clip(rng, "u", form=0.7)]
    elbows = learn_elbows(clips)
    first = next(candidates("TWO-FORMS", clips, elbows))
    assert (first.clips, first.signers) == (4, 4)
    assert first.wrists[:, 1, 1].max() < 0.1
    group, turned = neighbourhood(1, [resampled(c, 36) for c in clips], 10)
    assert group[0] == 1
    assert sorted(group) == [0, 1, 2, 3]
    assert len(turned) == 4


def test_a_left_hander_is_turned() -> None:
    rng = np.random.default_rng(1)
    clips = [clip(rng, "a"), clip(rng, "b"), clip(rng, "c").mirrored()]
    _, turned = neighbourhood(0, [resampled(c, 36) for c in clips], 10)
    assert all(np.isnan(c.shapes[:, 0]).all() for c in turned)


def test_neighbourhoods_differ_and_end() -> None:
    rng = np.random.default_rng(2)
    clips = [clip(rng, f"s{i}", warp=float(rng.uniform(0.6, 1.8))) for i in range(6)]
    made = list(candidates("ARC", clips, learn_elbows(clips)))
    assert 1 <= len(made) <= 12
    assert all(sign.clips >= 3 and sign.signers >= 2 for sign in made)


@pytest.mark.parametrize("signers", ["ab", "aaaa"])
def test_too_few_clips_or_signers_give_no_average(signers: str) -> None:
    rng = np.random.default_rng(3)
    clips = [clip(rng, signer) for signer in signers]
    assert list(candidates("RARE", clips, learn_elbows(clips))) == []


def test_a_lost_hand_does_not_make_a_one_handed_sign() -> None:
    rng = np.random.default_rng(4)
    clips = [clip(rng, f"s{i}") for i in range(5)]
    clips[:3] = [two_handed(c) for c in clips[:3]]
    assert most_common_form(clips) == clips[:3]
    assert most_common_form(clips[2:]) == clips[3:]
    first = next(candidates("BOTH", clips, learn_elbows(clips)))
    assert first.present.all()


def test_density_counts_other_signers() -> None:
    distances = np.array([[0.0, 0.1, 5.0, 5.0], [0.1, 0.0, 5.0, 5.0], [5.0, 5.0, 0.0, 1.0], [5.0, 5.0, 1.0, 0.0]])
    found = density(distances, ["a", "a", "b", "c"])
    assert found.argmin() in (2, 3)
    assert np.isinf(density(np.zeros((2, 2)), ["a", "a"])).all()


def test_elbows_are_learned_and_within_the_arm() -> None:
    rng = np.random.default_rng(5)
    elbows = learn_elbows([clip(rng, f"s{i}") for i in range(6)])
    wrists = np.stack([REST_WRIST, REST_WRIST * [-1, 1]])[None] * np.linspace(-0.6, 1, 9)[:, None, None]
    found = elbows(wrists)
    np.testing.assert_allclose(found[:, 0] * [-1, 1], found[:, 1], atol=1e-9)
    assert np.linalg.norm(found - SHOULDERS, axis=-1).max() <= UPPER_ARM + 1e-9
    near = np.linalg.norm(wrists - SHOULDERS, axis=-1) < UPPER_ARM + FOREARM - 0.1
    assert np.linalg.norm(found - wrists, axis=-1)[near].max() <= FOREARM + 0.1
    with pytest.raises(ValueError, match="no recording shows them"):
        learn_elbows([])
