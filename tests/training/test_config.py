from __future__ import annotations

from pathlib import Path

import pytest
from loguru import logger

from app.training.augment import AugmentConfig
from app.training.config import OptimConfig, load_config
from app.training.corpora.boston104.source import BostonSections
from app.training.corpora.glosses.settings import load_plan
from app.training.corpora.opening import check_sections
from app.training.corpora.signs.phrases import PhraseConfig
from app.training.corpora.signs.source import SignsConfig
from app.training.errors import ConfigError
from app.training.kinds import config_kind, read_yaml

CONFIGS = Path(__file__).parents[2] / "configs"
OF_A_CORPUS = [path for path in sorted(CONFIGS.glob("*.yaml")) if config_kind(path) == "corpus"]


def load(tmp_path: Path, text: str = "{}", *overrides: str) -> OptimConfig:
    (tmp_path / "c.yaml").write_text(text)
    config = load_config(tmp_path / "c.yaml", overrides)
    check_sections(config)
    return config.optim


@pytest.mark.parametrize(
    ("text", "overrides", "says"),
    [
        ("optim: {stepz: 3}", [], "stepz"),
        ("optim: 3", [], "mapping"),
        ("wings: 2", [], "wings"),
        (": :", [], "cannot read"),
        ("{}", ["optim.steps"], "should look like"),
        ("{}", ["optim.steps=[1"], "not YAML"),
        ("optim: {steps: 5}", ["optim.steps.more=1"], "not a group of settings"),
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
        ("{}", ["name=3"], "a string"),
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


@pytest.mark.parametrize("path", OF_A_CORPUS, ids=lambda p: p.stem)
def test_the_shipped_settings_are_accepted(path: Path) -> None:
    assert load_config(path).model_config(labels=3).labels == 3


def test_steps_that_are_asked_for_switch_the_configs_epochs_off(tmp_path: Path) -> None:
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    try:
        assert load(tmp_path, "optim: {epochs: 40}", "optim.steps=60").for_corpus(3).steps == 60
        assert "overrides optim.epochs of c.yaml" in said[0]
        assert load(tmp_path, "optim: {epochs: 40, steps: 9}").for_corpus(3).steps == 120
        assert load(tmp_path, "optim: {steps: 9}", "optim.epochs=2").for_corpus(3).steps == 6
        assert load(tmp_path, "optim: {epochs: 40}", "optim.steps=60", "optim.epochs=0").for_corpus(3).steps == 60
        assert len(said) == 2
    finally:
        logger.remove(sink)
    with pytest.raises(ConfigError, match="both given"):
        load(tmp_path, "{}", "optim.steps=60", "optim.epochs=2")


@pytest.mark.parametrize(
    ("text", "epoch_steps", "every"),
    [
        ("{epochs: 40}", 3, (3, 3)),  # 18 clips in batches of 8: a figure an epoch
        ("{epochs: 400}", 1, (8, 8)),  # not more than fifty of them
        ("{epochs: 40}", 709, (400, 50)),  # a large corpus: now and then
        ("{steps: 2600}", 314, (314, 50)),
        ("{steps: 4000, eval_every: 2000, log_every: 7}", 3, (2000, 7)),  # what is asked for stays
    ],
)
def test_evaluations_and_log_lines_follow_the_size_of_the_corpus(
    tmp_path: Path, text: str, epoch_steps: int, every: tuple[int, int]
) -> None:
    config = load(tmp_path, f"optim: {text}").for_corpus(epoch_steps)
    assert (config.eval_every, config.log_every) == every


def test_settings_of_augmentation_are_found_under_their_former_names(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("phrases: {phrase_speed: 0.4, mirror: 0.0, stretch: 1.4}")
    config = load_config(path, ["phrases.rotation=0.5", "augment.shift=0.2"])
    check_sections(config)
    assert config.augment == AugmentConfig(speed=0.4, mirror=0.0, rotation=0.5, shift=0.2)
    assert config.own(SignsConfig).phrases == PhraseConfig(stretch=1.4)
    path.write_text("{phrases: {mirror: 0.1}, augment: {mirror: 0.2}}")
    with pytest.raises(ConfigError, match=r"both augment\.mirror and its old name phrases\.mirror"):
        load_config(path)


def test_a_config_may_serve_several_corpora_but_not_none(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("{boston104: {held_out: 3}, dev_phrases: 2, phrases: {single: 1}}")
    config = load_config(path)
    check_sections(config)
    assert (config.own(SignsConfig).dev_phrases, config.own(BostonSections).boston104.held_out) == (2, 3)
    path.write_text("boston105: {held_out: 3}")
    with pytest.raises(ConfigError, match=r"unknown setting boston105; known: .*boston104"):
        check_sections(load_config(path))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_config_says_what_it_is_for(path: Path) -> None:
    if config_kind(path) == "corpus":
        check_sections(load_config(path))
    else:
        load_plan(path)
    assert len(read_yaml(path)["description"]) > 40


def test_a_config_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is of kind glosses; here a config of one corpus"):
        load_config(CONFIGS / "asl_large.yaml")
    (tmp_path / "odd.yaml").write_text("kind: other\n")
    with pytest.raises(ConfigError, match="kind should be corpus"):
        config_kind(tmp_path / "odd.yaml")
