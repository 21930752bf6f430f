from __future__ import annotations

import pytest

from app.training.corpora.glosses.settings import Settings, changed
from app.training.errors import ConfigError


def test_settings_are_changed_by_name() -> None:
    settings = changed(Settings(), ["steps=5", "recipe.sign_s=[0.3, 0.5]", "model.hidden=null", "objective.stretch=2"])
    assert (settings.steps, settings.recipe.sign_s, settings.model["hidden"]) == (5, (0.3, 0.5), None)
    assert settings.objective.stretch == 2.0


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [("recipe.cuts=1", "unknown setting 'cuts'"), ("steps=many", "should be like 8000"), ("steps", "should look like")],
)
def test_a_wrong_setting_is_refused_by_its_name(assignment: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        changed(Settings(), [assignment])
