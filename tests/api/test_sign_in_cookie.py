"""The sign-in of the page: its refresh token is in a cookie that only the page's own requests may use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.api import sign_in_cookie
from app.core.settings import Settings
from tests.conftest import fresh_database
from tests.support.accounts import PASSWORD, client_of, guarded, person, running
from tests.support.problems import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "http://glossline"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tiny_settings: Settings, postgres: str) -> AsyncIterator[FastAPI]:
    with fresh_database(postgres) as database:
        async with running(guarded(tiny_settings, database, cors_origins=["https://friend.example"])) as app:
            yield app


@pytest_asyncio.fixture(loop_scope="module")
async def page(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A page that has signed in; httpx keeps its cookies."""
    someone = await person(app)
    async with client_of(app, origin=OWN) as client:
        body = {"email": someone.email, "password": PASSWORD, "cookie": True}
        answer = await client.post("/api/auth/sign-in", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["refresh_token"] is None
        parts = [part.strip().lower() for part in answer.headers["set-cookie"].split(";")]
        assert {"httponly", "samesite=strict", "path=/api/auth", f"max-age={30 * 86400}"} <= set(parts)
        assert "secure" not in parts  # over http, browsers would not keep it
        yield client


async def refreshed(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await client.post("/api/auth/refresh", json={"cookie": True}, headers=headers)


async def use(client: httpx.AsyncClient, cookie: str) -> httpx.Response:
    """Refresh with this cookie, whatever the client has."""
    client.cookies.clear()
    return await refreshed(client, cookie=f"{sign_in_cookie.NAME}={cookie}")


async def test_a_page_refreshes_and_signs_out_without_seeing_its_token(page: httpx.AsyncClient) -> None:
    first = page.cookies[sign_in_cookie.NAME]
    answer = await refreshed(page)
    assert answer.status_code == 200, answer.text
    assert answer.json()["refresh_token"] is None
    assert page.cookies[sign_in_cookie.NAME] != first
    me = await page.get("/api/users/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"})
    assert me.status_code == 200
    assert (await page.post("/api/auth/sign-out", json={"cookie": True})).status_code == 204
    assert sign_in_cookie.NAME not in page.cookies
    assert_problem(await refreshed(page), 401, "unauthenticated")


async def test_over_https_the_cookie_is_secure_even_where_tls_ends_at_a_proxy(app: FastAPI) -> None:
    someone = await person(app)
    async with client_of(app, origin="https://glossline") as client:
        body = {"email": someone.email, "password": PASSWORD, "cookie": True}
        answer = await client.post("/api/auth/sign-in", json=body)
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("origin", ["https://evil.example", "https://friend.example", "http://glossline:81", ""])
async def test_no_other_page_can_use_or_set_the_cookie(page: httpx.AsyncClient, app: FastAPI, origin: str) -> None:
    """Not even one of CORS_ORIGINS, nor a request that does not say where it comes from."""
    cookie = page.cookies[sign_in_cookie.NAME]
    code = "forbidden" if origin in ("https://friend.example", "") else "origin_refused"
    async with client_of(
        app, cookie=f"{sign_in_cookie.NAME}={cookie}", **({"origin": origin} if origin else {})
    ) as other:
        assert_problem(await refreshed(other), 403, code)
        assert_problem(await other.post("/api/auth/sign-out", json={"cookie": True}), 403, code)
        someone = await person(app)
        body = {"email": someone.email, "password": PASSWORD, "cookie": True}
        answer = await other.post("/api/auth/sign-in", json=body)
        assert_problem(answer, 403, code)
        assert "set-cookie" not in answer.headers
    assert (await refreshed(page)).status_code == 200


async def test_the_cookie_opens_nothing_but_the_next_access_token(page: httpx.AsyncClient) -> None:
    cookie = {"cookie": f"{sign_in_cookie.NAME}={page.cookies[sign_in_cookie.NAME]}"}
    for path in ("/api/users/me", "/api/keys", "/api/history", "/api/labels"):
        assert_problem(await page.get(path, headers=cookie), 401, "unauthenticated")
    assert_problem(await page.post("/api/auth/ticket", headers=cookie), 401, "unauthenticated")


async def test_a_page_that_was_left_while_it_refreshed_is_still_signed_in(page: httpx.AsyncClient) -> None:
    """It never got its answer; the page that came after it sends the same cookie."""
    first = page.cookies[sign_in_cookie.NAME]
    lost = (await refreshed(page)).cookies[sign_in_cookie.NAME]
    second = await use(page, first)
    assert second.status_code == 200, second.text
    assert (await use(page, second.cookies[sign_in_cookie.NAME])).status_code == 200
    assert lost != second.cookies[sign_in_cookie.NAME]


async def test_of_two_who_have_a_cookie_only_one_goes_on(
    page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thief is quick; but as soon as the page refreshes again, the sign-in ends for both."""
    first = page.cookies[sign_in_cookie.NAME]
    owners = (await refreshed(page)).cookies[sign_in_cookie.NAME]
    thiefs = (await use(page, first)).cookies[sign_in_cookie.NAME]
    monkeypatch.setattr(sign_in_cookie, "GRACE_S", 0.0)  # the time has passed
    assert_problem(await use(page, owners), 401, "unauthenticated")
    assert_problem(await use(page, thiefs), 401, "unauthenticated")


async def test_a_cookie_that_was_exchanged_long_ago_ends_the_sign_in(
    page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = page.cookies[sign_in_cookie.NAME]
    newer = (await refreshed(page)).cookies[sign_in_cookie.NAME]
    monkeypatch.setattr(sign_in_cookie, "GRACE_S", 1e-6)
    assert_problem(await use(page, first), 401, "unauthenticated")
    assert_problem(await use(page, newer), 401, "unauthenticated")


async def test_without_cookie_and_token_there_is_nothing_to_refresh(page: httpx.AsyncClient) -> None:
    assert_problem(await page.post("/api/auth/refresh", json={}), 422, "invalid_request")
    page.cookies.clear()
    assert_problem(await refreshed(page), 401, "unauthenticated")


async def test_the_page_learns_how_people_sign_in(app: FastAPI) -> None:
    async with client_of(app) as client:
        found = (await client.get("/api/auth/options")).json()
    assert found == {
        "auth_mode": "required",
        "accounts": True,
        "registration": True,
        "reset_by": "log",
        "charging": True,
        "payments": False,
        "history_days": None,
    }
