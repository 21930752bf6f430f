from __future__ import annotations

from pathlib import Path

import pytest

from app.training.config import ConfigError, OptimConfig, load_config

CONFIGS = Path(__file__).parents[2] / "configs"


def load(tmp_path: Path, text: str = "{}", *overrides: str) -> OptimConfig:
    (tmp_path / "c.yaml").write_text(text)
    return load_config(tmp_path / "c.yaml", overrides).optim


@pytest.mark.parametrize(
    ("text", "overrides", "says"),
    [
        ("optim: {stepz: 3}", [], "stepz"),
        ("optim: 3", [], "mapping"),
        ("wings: 2", [], "wings"),
        (": :", [], "cannot read"),
        ("{}", ["optim.steps"], "should look like"),
        ("{}", ["optim.steps=[1"], "not YAML"),
        ("optim: {steps: 5}", ["optim.steps.more=1"], "no group of settings"),
        ("{}", ["model=3"], "a mapping of settings"),
        ("glosses: [NO, YES]", [], "quote it"),
        ("glosses: HELLO", [], "a list"),
        ("{}", ["phrases.mirrors=1"], "mirrors"),
        ("{}", ["optim.epochs=-1"], r"epochs should be 0 or more, got -1"),
        ("{}", ["optim.epochs=1.5"], "a whole number, got 1.5"),
        ("{}", ["optim.epochs=true"], "a whole number"),
        ("{}", ["optim.steps=0"], "at least 1"),
        ("{}", ["optim.batch_size=0"], "at least 1"),
        ("{}", ["optim.batch_size=10", "optim.accumulate=3"], "a divisor of 10"),
        ("{}", ["optim.learning_rate=0"], "over 0"),
        ("{}", ["optim.learning_rate=fast"], "a number, got 'fast'"),
        ("{}", ["optim.learning_rate=.nan"], "over 0"),
        ("{}", ["optim.learning_rate=.inf"], "over 0"),
        ("{}", ["optim.warmup=1"], "under 1"),
        ("{}", ["optim.ema=1.0"], "under 1"),
        ("{}", ["optim.gamma=0"], "gamma"),
        ("{}", ["optim.milestones=[0.5, 2]"], "shares of the run"),
        ("{}", ["optim.scheduler=lucky"], "one of one_cycle, cosine, plateau, step"),
        ("{}", ["optim.optimizer=rmsprop"], "one of adamw, adam, sgd"),
        ("{}", ["optim.amp=fp8"], "one of auto, off, bf16, fp16"),
        ("{}", ["optim.compile=3"], "true or false"),
        ("{}", ["optim.keep=0"], "at least 1"),
        ("{}", ["optim.seed=-1"], "0 or more"),
        ("{}", ["name=3"], "a text"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, overrides: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, text, *overrides)


@pytest.mark.parametrize(
    ("given", "kept"), [("true", "auto"), ("false", "off"), ("off", "off"), ("bf16", "bf16"), ("fp16", "fp16")]
)
def test_precision_by_name_or_as_a_switch(tmp_path: Path, given: str, kept: str) -> None:
    assert load(tmp_path, f"optim: {{amp: {given}}}").amp == kept


def test_numbers_as_yaml_and_people_write_them(tmp_path: Path) -> None:
    config = load(tmp_path, "optim: {clip_norm: 1, milestones: [0.25]}", "optim.learning_rate=1e-3")
    assert (config.clip_norm, config.learning_rate, config.milestones) == (1.0, 0.001, (0.25,))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_shipped_settings_are_accepted(path: Path) -> None:
    assert load_config(path).model_config(labels=3).labels == 3
