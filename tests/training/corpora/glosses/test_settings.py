from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from app.training.config import load_config
from app.training.corpora.glosses.settings import Settings, changed, load_plan
from app.training.errors import ConfigError

ROOT = Path(__file__).parents[4]
CONFIG = """
kind: glosses
description: small
steps: 8
recipe: {cut: 0.1}
stages:
  first: {batch_size: 4, recipe: {mixed: 0.5}}
  second: {seed: 7}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    return path


def test_settings_are_changed_by_name() -> None:
    settings = changed(Settings(), ["steps=5", "recipe.sign_s=[0.3, 0.5]", "model.hidden=null", "objective.stretch=2"])
    assert (settings.steps, settings.recipe.sign_s, settings.model["hidden"]) == (5, (0.3, 0.5), None)
    assert settings.objective.stretch == 2.0


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("recipe.cuts=1", "unknown setting recipe.cuts; known: cut"),
        ("steps=many", "steps should be a whole number"),
        ("steps", "should look like"),
        ("steps=0", "steps should be 1 or more"),
        ("average=1", "average should be"),
        ("model.wings=2", "model: .*wings"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(assignment: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        changed(Settings(), [assignment])


def test_stages_differ_from_what_is_common_in_what_they_name(config: Path) -> None:
    first, second = load_plan(config).stages
    assert (first.steps, first.batch_size, first.recipe.cut, first.recipe.mixed) == (8, 4, 0.1, 0.5)
    assert second == replace(Settings(steps=8, seed=7), recipe=replace(Settings().recipe, cut=0.1))


def test_overrides_are_for_all_stages_or_for_one(config: Path) -> None:
    overrides = ["batch_size=6", "stages.second.recipe.cut=0.2", "clips_per_gloss=3"]
    plan = load_plan(config, overrides)
    assert [(s.batch_size, s.recipe.cut) for s in plan.stages] == [(6, 0.1), (6, 0.2)]
    assert (plan.clips_per_gloss, load_plan(config).clips_per_gloss) == (3, None)


def test_a_config_without_stages_is_one(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("kind: glosses\nsteps: 3\n")
    assert load_plan(tmp_path / "one.yaml").stages == (Settings(steps=3),)


@pytest.mark.parametrize(
    ("text", "overrides", "problem"),
    [
        ("wings: 2", (), "unknown setting wings"),
        ("recipe: {cuts: 1}", (), "unknown setting recipe.cuts"),
        ("recipe: 5", (), "recipe. should be a mapping"),
        ("stages: {a: {recipe: {cuts: 1}}}", (), "unknown setting stages.a.recipe.cuts"),
        ("stages: [a]", (), "stages should be a mapping"),
        ("stages: {a: {}, b: {model: {hidden: 5}}}", (), "all train one network"),
        ("clips_per_gloss: many", (), "clips_per_gloss should be a whole number"),
        ("stages: {a: {}}", ("stages.b.steps=1",), "unknown setting stages.b.steps; known: stages.a"),
        ("stages: {a: {}}", ("recipe.cuts=1",), "unknown setting recipe.cuts"),
        ("", ("optim.steps=1",), "unknown setting optim"),
        ("objective: {distil: 0.5}", (), "needs teachers"),
    ],
)
def test_a_wrong_config_is_refused_by_name(tmp_path: Path, text: str, overrides: tuple[str, ...], problem: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(f"kind: glosses\n{text}\n")
    with pytest.raises(ConfigError, match=problem):
        load_plan(path, overrides)


def test_the_shipped_config_holds_the_settings_that_the_released_weights_were_trained_with() -> None:
    """What the version of then did not have is off in the first stage; the steps are those made in `seconds`."""
    plan = load_plan(ROOT / "configs/asl_large.yaml")
    released = json.loads((ROOT / "checkpoints/asl-large/config.json").read_text())["provenance"]
    assert plan.clips_per_gloss == 16
    for settings, step in zip(plan.stages, (released["first_step"], released["second_step"]), strict=True):
        made = json.loads(json.dumps(asdict(settings)))
        assert made["steps"] == step["step"]
        for name in ("batch_size", "learning_rate", "warm_up", "weight_decay", "clip", "average", "seed", "model"):
            assert made[name] == step["settings"][name], name
        for section in ("recipe", "disturbance", "objective"):
            known = {k: v for k, v in step["settings"][section].items() if k in made[section]}
            assert {k: made[section][k] for k in known} == known, section
    off = plan.stages[0]
    assert (off.objective.extend, off.objective.masked, off.objective.inside, off.disturbance.burst) == (0, 0, 0, 0)


def test_a_config_of_a_corpus_is_not_one_of_glosses(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text("kind: corpus\noptim: {steps: 5}\n")
    assert load_config(tmp_path / "plain.yaml").optim.steps == 5
