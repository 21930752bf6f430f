from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.services.training_jobs.plan import _yaml
from app.services.training_jobs.request import TrainingRequest


def asked(**more: Any) -> TrainingRequest:
    return TrainingRequest.model_validate({"dataset": "signs", "config": "tiny", **more})


def test_the_dataset_may_be_called_data_dir() -> None:
    assert TrainingRequest.model_validate({"data_dir": "signs", "config": "tiny"}) == asked()
    assert TrainingRequest.model_validate(asked(seed=3).model_dump(mode="json")) == asked(seed=3)


def test_only_what_was_given_differs_from_the_config() -> None:
    assert asked().settings() == {}
    assert asked(
        num_epochs=2, batch_size=4, learning_rate=1e-5, seed=0, overrides={"model.dropout": 0.1}
    ).settings() == {
        "optim.epochs": 2,
        "optim.batch_size": 4,
        "optim.learning_rate": 1e-5,
        "optim.seed": 0,
        "model.dropout": 0.1,
    }
    glosses = asked(batch_size=4, learning_rate=1e-5, seed=0, overrides={"recipe.cut": 0.1}).settings("glosses")
    assert glosses == {"batch_size": 4, "learning_rate": 1e-5, "seed": 0, "recipe.cut": 0.1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dataset": "../signs"}, "not given as a path"),
        ({"dataset": "/etc"}, "not given as a path"),
        ({"dataset": ".."}, "not given as a path"),
        ({"dataset": "signs\n"}, "not given as a path"),
        ({"config": "../../x.yaml"}, "not given as a path"),
        ({"config": ""}, "not given as a path"),
        ({"num_epochs": -1}, "greater than or equal to 1"),
        ({"num_epochs": 0}, "greater than or equal to 1"),
        ({"batch_size": 0}, "greater than or equal to 1"),
        ({"learning_rate": 0}, "greater than 0"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"nproc": 0}, "greater than or equal to 1"),
        ({"device": "tpu"}, "pattern"),
        ({"gpu_sharing": "yes"}, "'share' or 'exclusive'"),
        ({"epochs": 3}, "Extra inputs"),
        ({"overrides": {"--resume": 1}}, "is an unknown setting"),
        ({"overrides": {"optim.steps=1 model.x": 1}}, "is an unknown setting"),
        ({"overrides": {"optim.epochs": 1}}, "a field of its own: num_epochs"),
        ({"overrides": {"model.rgb.weights": "/etc/passwd"}}, "only default or null is allowed"),
        ({"overrides": {"model.rgb.weights": "..\\x"}}, "only default or null is allowed"),
        ({"overrides": {"teachers": ["runs"]}}, "only null is allowed"),
        ({"overrides": {"stages.second.teachers": ["runs"]}}, "only null is allowed"),
        ({"overrides": {"model.x": ["a", "~root"]}}, "paths cannot be given"),
        ({"overrides": {"model.x": {"a": 1}}}, "give a number"),
        ({"overrides": {"model.x": "a\nb"}}, "printable"),
        ({"overrides": {"model.x": float("inf")}}, "not finite"),
        ({"overrides": {f"model.x{i}": 1 for i in range(65)}}, "at most 64"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        asked(**change)


def test_glosses_may_hold_any_character() -> None:
    assert asked(overrides={"glosses": ["GO/WALK", "..."]}).settings() == {"glosses": ["GO/WALK", "..."]}


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=60).filter(str.isprintable),
)


@given(st.one_of(VALUES, st.lists(VALUES, max_size=5)))
def test_values_reach_the_trainer_as_they_are(value: Any) -> None:
    """Texts that look like something else (YES, 1e-05, null) and small numbers included."""
    text = _yaml(value)
    again = yaml.safe_load(text)
    assert again == value
    assert type(again) is type(value)
