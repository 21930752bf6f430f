"""Whatever the OpenAPI document allows to be sent to the routes of credits gets an answer that it describes."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from tests.api.test_schema_properties import check
from tests.conftest import _sql, fresh_database
from tests.support.accounts import PASSWORD, guarded
from tests.support.serving import in_a_thread
from tests.support.stripe_server import KEY, PRICES, SECRET, stripe_in_a_thread


@pytest.fixture(scope="module")
def billing(tiny_settings: Settings, postgres: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """An application that charges and takes payments: its address, the headers of an admin, the id of a user."""
    with fresh_database(postgres) as database, stripe_in_a_thread() as stripe:
        payments = {
            "stripe_secret_key": SecretStr(KEY),
            "stripe_webhook_secret": SecretStr(SECRET),
            "stripe_prices": PRICES,
            "stripe_api": stripe.url,
        }
        with in_a_thread(guarded(tiny_settings, database, **payments)) as address:
            account = {"email": "ann@example.org", "password": PASSWORD}
            httpx.post(f"{address}/api/auth/register", json=account)
            _sql(database, "UPDATE users SET role = 'admin'")
            token = httpx.post(f"{address}/api/auth/sign-in", json=account).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            user = httpx.get(f"{address}/api/users/me", headers=headers).json()["id"]
            yield address, headers, user


@pytest.mark.slow
@pytest.mark.parametrize(
    "route",
    [
        "GET /api/billing/plans",
        "GET /api/billing/usage",
        "GET /api/billing/ledger",
        "POST /api/billing/checkout",
        "POST /api/billing/portal",
        "POST /api/billing/webhook",
        "GET /api/billing/users/{user_id}",
        "POST /api/billing/users/{user_id}/credits",
        "POST /api/billing/users/{user_id}/plan",
    ],
)
def test_answers_about_credits_are_as_documented(billing: tuple[str, dict[str, str], str], route: str) -> None:
    address, headers, user = billing
    check(address, route, headers)
    if "{user_id}" in route:
        check(address, route, headers, {"user_id": user})
