"""A clock that jumps by an hour: what is short-lived ends, what is long-lived stays, and limits hold again at once."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from app.core.errors import InvalidResetLink, TooManyRequests, Unauthenticated
from app.core.principal import ALL_SCOPES, Principal
from app.core.settings import Settings
from app.services.accounts.offline import accounts_of
from app.services.accounts.rate_limits import RateLimits
from tests.support.accounts import PASSWORD, guarded
from tests.support.clock import movable_clock

NEW = "eight loud herons"


@pytest.mark.parametrize("by", ["1 hour", "-1 hour"])
async def test_tickets_links_keys_and_sign_ins(
    tiny_settings: Settings, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    clock = await movable_clock(database_url)
    async with accounts_of(guarded(tiny_settings, database_url, data_dir=tmp_path)) as (accounts, keys):
        links: list[str] = []
        monkeypatch.setattr(accounts._mailer, "reset", lambda to, token: links.append(token))
        signed_in = await accounts.register("ann@example.org", PASSWORD)
        user_id = signed_in.user.id
        _, key = await keys.create(user_id, "kiosk", {"captions"}, timedelta(days=1))
        ticket = await keys.make_ticket(Principal(user_id, "user", ALL_SCOPES, None, ""))
        await accounts.request_reset("ann@example.org")
        await clock.move(f"interval '{by}'")
        assert (await keys.owner_of(key))[1].id == user_id
        pair = await accounts.refresh(signed_in.refresh_token)
        assert (await accounts.user_of(pair.access_token)).id == user_id
        if by == "1 hour":  # they were to last for minutes
            with pytest.raises(Unauthenticated):
                await keys.take_ticket(ticket)
            with pytest.raises(InvalidResetLink):
                await accounts.reset_password(links[0], NEW)
        else:  # they last longer, and still work once
            assert (await keys.take_ticket(ticket))[0].id == user_id
            with pytest.raises(Unauthenticated):
                await keys.take_ticket(ticket)
            await accounts.reset_password(links[0], NEW)
            with pytest.raises(InvalidResetLink):
                await accounts.reset_password(links[0], NEW)


@pytest.mark.parametrize("by", [3600, -3600])
async def test_rate_limits_hold_before_and_after(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, by: int
) -> None:
    """What was counted before is forgotten; nobody is locked out for an hour, and nobody is without a limit."""
    now = 1_900_000_020.0
    monkeypatch.setattr(time, "time", lambda: now)
    limits = RateLimits(tiny_settings.model_copy(update={"requests_per_minute": 3}))

    async def allowed() -> int:
        for number in range(10):
            try:
                await limits.request("user/ann")
            except TooManyRequests:
                return number
        return 10

    assert await allowed() == 3
    now += by
    assert await allowed() == 3
    now -= by
    assert await allowed() <= 3
