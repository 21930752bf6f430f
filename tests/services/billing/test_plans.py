"""The table of plans: prices, and what is wrong in a table of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import PlanLimit
from app.core.settings import Settings, SettingsError
from app.services.billing import limits
from app.services.billing.plans import TABLE, check_prices, load_plans


def test_the_three_plans() -> None:
    plans = load_plans()
    assert list(plans.plans) == ["free", "pro", "enterprise"]
    assert plans.free == "free"
    assert [plan.monthly_credits for plan in plans.plans.values()] == sorted(
        plan.monthly_credits for plan in plans.plans.values()
    )
    assert plans.known("gone") == "free"


@pytest.mark.parametrize(
    ("seconds", "credits"), [(0, 0), (1e-9, 0), (0.04, 1), (1, 1), (1.0000000001, 1), (1.01, 2), (119.99, 120)]
)
def test_a_part_of_a_second_counts_as_one(seconds: float, credits: int) -> None:
    assert load_plans().credits("clip", seconds) == credits


def test_other_prices(tmp_path: Path) -> None:
    table = tmp_path / "plans.toml"
    table.write_text(TABLE.read_text().replace("live = 1 ", "live = 2.5 "))
    plans = load_plans(table)
    assert plans.credits("live", 3) == 8
    assert plans.seconds("live", 5) == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("[plans", "cannot be read"),
        ("", "credits_per_second"),
        (TABLE.read_text().replace("monthly_credits = 72_000", "monthly_credits = -1"), "plans.pro.monthly_credits"),
        (TABLE.read_text().replace("voice = false", "voice = false\nvoices = 1"), "plans.free.voices"),
    ],
)
def test_a_wrong_table_says_where(tmp_path: Path, wrong: str, said: str) -> None:
    table = tmp_path / "plans.toml"
    table.write_text(wrong)
    with pytest.raises(SettingsError, match=said):
        load_plans(table)


def test_languages_and_voice_of_a_plan() -> None:
    """What every door asks before it translates or reads aloud."""
    free, pro = (load_plans().plans[name] for name in ("free", "pro"))
    assert limits.languages(pro, ["en", "es"]) == (("en", "es"), ())
    assert limits.languages(free, ["en", "es"]) == (("en",), ("es",))
    assert limits.languages(free, []) == ((), ())
    with pytest.raises(PlanLimit, match="in en, not in es, fr") as refused:
        limits.languages(free, ["es", "fr"])
    assert refused.value.extra == {"limit": "languages", "missing": ["es", "fr"]}
    limits.check_voice(pro)
    with pytest.raises(PlanLimit, match="The plan Free has no voice") as refused:
        limits.check_voice(free)
    assert (refused.value.status, refused.value.extra) == (403, {"limit": "voice"})


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_plans(tmp_path / "plans.toml")


def test_prices_name_plans() -> None:
    check_prices(load_plans(), {"pro": "price_1"})
    with pytest.raises(SettingsError, match="there is no plan 'gold'"):
        check_prices(load_plans(), {"gold": "price_1"})


@pytest.mark.parametrize("missing", ["stripe_webhook_secret", "stripe_prices"])
def test_a_stripe_key_alone_is_refused(missing: str) -> None:
    given = {"stripe_secret_key": "sk_test_1", "stripe_webhook_secret": "whsec_12", "stripe_prices": "pro=price_1"}
    Settings(_env_file=None, **given)  # type: ignore[arg-type]
    del given[missing]
    with pytest.raises(ValueError, match="STRIPE_SECRET_KEY needs"):
        Settings(_env_file=None, **given)  # type: ignore[arg-type]
