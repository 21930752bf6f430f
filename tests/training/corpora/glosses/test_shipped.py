"""The shipped large vocabulary: what it is, its lists, and that the service's recogniser reads with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from app.pipeline.checkpoint import read_config
from app.pipeline.keypoints import LEFT_HAND, RIGHT_HAND, Keypoints
from app.pipeline.recogniser import Recogniser
from app.training.corpora.glosses.names import left_out
from tests.support.recognisers import varied

CHECKPOINTS = Path(__file__).parents[4] / "checkpoints"
FOLDER = CHECKPOINTS / "asl-large"


def test_it_is_small_whole_and_reads_landmarks() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size < 11.5e6
    recogniser = Recogniser.load(FOLDER)
    assert len(recogniser.vocabulary) == 1616
    assert set(read_config(CHECKPOINTS / "asl-everyday").vocabulary) < set(recogniser.vocabulary)
    assert not left_out() & set(recogniser.vocabulary)
    assert {p.dtype for p in recogniser.model.parameters()} == {torch.float32}
    recogniser.recognise(varied(80))


def test_where_no_hand_appears_it_reads_nothing_with_any_vocabulary() -> None:
    clip = varied(80)
    clip.points[:, LEFT_HAND] = clip.points[:, RIGHT_HAND] = 0
    recogniser = Recogniser.load(FOLDER)
    for name in recogniser.vocabularies:
        assert recogniser.reading_with(name).recognise(clip).gloss == []  # no second look either


def test_its_card_and_config_name_no_paths_of_a_machine() -> None:
    for name in ("config.json", "MODEL_CARD.md", "glosses.json"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert not any(place in text for place in ("/work", "/home", "/tmp", "/root"))


def vocabulary(name: str) -> list[str]:
    lines = (FOLDER / "vocabularies" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_every_gloss_has_its_signers_and_dev_figures() -> None:
    glosses = json.loads((FOLDER / "glosses.json").read_text(encoding="utf-8"))
    assert tuple(glosses) == read_config(FOLDER).vocabulary
    for gloss, row in glosses.items():
        assert 1 <= row["signers"] <= row["clips"], gloss
        assert ("dev_recall_all" in row) == (row["dev_clips"] > 0), gloss
        assert all(0 <= row[key] <= 1 for key in row if key.startswith("dev_recall")), gloss


def test_vocabularies_are_sorted_and_known_and_everyday_holds_core_and_well_recorded_glosses() -> None:
    known = set(read_config(FOLDER).vocabulary)
    recogniser = Recogniser.load(FOLDER)
    files = {path.stem for path in (FOLDER / "vocabularies").glob("*.txt")}
    assert {*files, "all"} == set(recogniser.config.vocabularies) == set(recogniser.vocabularies)
    for name in files:
        glosses = vocabulary(name)
        assert glosses == sorted(set(glosses))
        assert set(glosses) <= known
        assert recogniser.reading_with(name).vocabulary == tuple(glosses)
    assert recogniser.reading_with().reads == "everyday"
    assert recogniser.reading_with("core").config.temperature == pytest.approx(1.916)
    assert recogniser.reading_with("all").config.temperature == pytest.approx(1.258)
    assert set(vocabulary("core")) == set(read_config(CHECKPOINTS / "asl-everyday").vocabulary)
    assert set(vocabulary("core")) < set(vocabulary("everyday"))
    signers = json.loads((FOLDER / "glosses.json").read_text(encoding="utf-8"))
    assert min(signers[gloss]["signers"] for gloss in vocabulary("everyday")) >= 5


@pytest.mark.parametrize("kept", [0, 33])
def test_an_empty_picture_and_a_person_without_hands_in_sight_say_nothing(kept: int) -> None:
    clip = varied(90)
    points = clip.points.copy()
    points[:, kept:] = 0
    assert Recogniser.load(FOLDER).recognise(Keypoints(points, clip.times)).gloss == []


def test_its_language_model_weighs_in_and_knows_every_vocabulary() -> None:
    recogniser = Recogniser.load(FOLDER)
    for name in recogniser.vocabularies:
        reader = recogniser.reading_with(name)
        assert reader.around is not None, name
        assert reader.around.lm.vocabulary == reader.vocabulary
    assert Recogniser.load(FOLDER, lm_weight=0.0).reading_with().around is None
