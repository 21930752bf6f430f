"""Accounts over HTTP: from registering to signing out everywhere, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import statistics
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pyotp
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select, text, update

from app.core.settings import Settings
from app.db.models import ApiKey, RefreshToken, User
from app.services.accounts import passwords
from app.services.accounts.passwords import Passwords
from app.services.accounts.secret import Secret
from app.services.accounts.tokens import Token, Tokens
from tests.conftest import fresh_database
from tests.support.accounts import PASSWORD, SECRET, Person, client_of, guarded, key_of, person, running
from tests.support.problems import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tiny_settings: Settings, postgres: str) -> AsyncIterator[FastAPI]:
    with fresh_database(postgres) as database:
        async with running(guarded(tiny_settings, database)) as app:
            yield app


@pytest_asyncio.fixture(loop_scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def ann(app: FastAPI) -> Person:
    return await person(app)


async def sql(app: FastAPI, statement: Any) -> Any:
    async with app.state.services.database.session() as session:
        return await session.execute(statement)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def me(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.get("/api/users/me", headers=bearer(token))


# -- coming and going ------------------------------------------------------------------------------------------------


async def test_from_registering_to_signing_out(client: httpx.AsyncClient) -> None:
    given = {"email": "Ann.Lee@Example.ORG", "password": PASSWORD}
    answer = await client.post("/api/auth/register", json=given)
    assert answer.status_code == 201, answer.text
    assert answer.json()["user"]["email"] == "ann.lee@example.org"
    assert answer.headers["cache-control"] == "no-store"
    assert_problem(await client.post("/api/auth/register", json=given), 409, "email_taken")
    first = (await client.post("/api/auth/sign-in", json={**given, "email": "ANN.LEE@example.org"})).json()
    assert (await me(client, first["access_token"])).json()["role"] == "user"
    answer = await client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]})
    second = answer.json()
    assert second["refresh_token"] != first["refresh_token"]
    assert (await me(client, second["access_token"])).status_code == 200
    signed_out = await client.post("/api/auth/sign-out", json={"refresh_token": second["refresh_token"]})
    assert signed_out.status_code == 204
    again = await client.post("/api/auth/refresh", json={"refresh_token": second["refresh_token"]})
    assert_problem(again, 401, "unauthenticated")


async def test_a_refresh_token_that_is_used_twice_ends_its_whole_family_and_no_other(
    app: FastAPI, client: httpx.AsyncClient, ann: Person
) -> None:
    other = await app.state.services.accounts.sign_in(ann.email, PASSWORD, None)
    newer = (await client.post("/api/auth/refresh", json={"refresh_token": ann.refresh})).json()["refresh_token"]
    stolen = await client.post("/api/auth/refresh", json={"refresh_token": ann.refresh})
    assert_problem(stolen, 401, "unauthenticated")
    assert_problem(await client.post("/api/auth/refresh", json={"refresh_token": newer}), 401, "unauthenticated")
    untouched = await client.post("/api/auth/refresh", json={"refresh_token": other.refresh_token})
    assert untouched.status_code == 200


async def test_of_many_uses_of_one_refresh_token_at_once_one_succeeds(client: httpx.AsyncClient, ann: Person) -> None:
    body = {"refresh_token": ann.refresh}
    answers = await asyncio.gather(*(client.post("/api/auth/refresh", json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    given = next(answer for answer in answers if answer.status_code == 200).json()["refresh_token"]
    assert_problem(await client.post("/api/auth/refresh", json={"refresh_token": given}), 401, "unauthenticated")


async def test_signing_out_everywhere_ends_every_token_at_once_and_leaves_keys(
    app: FastAPI, client: httpx.AsyncClient, ann: Person
) -> None:
    key = await key_of(app, ann, "account")
    other = await app.state.services.accounts.sign_in(ann.email, PASSWORD, None)
    assert (await client.post("/api/auth/sign-out-everywhere", headers=ann.headers)).status_code == 204
    for access in (ann.access, other.access_token):
        assert_problem(await me(client, access), 401, "unauthenticated")
    for refresh in (ann.refresh, other.refresh_token):
        assert_problem(await client.post("/api/auth/refresh", json={"refresh_token": refresh}), 401, "unauthenticated")
    assert (await me(client, key)).status_code == 200
    assert (await app.state.services.accounts.sign_in(ann.email, PASSWORD, None)).user.email == ann.email


async def test_a_disabled_account_can_do_nothing_and_its_admin_cannot_be_the_last(
    app: FastAPI, client: httpx.AsyncClient, ann: Person
) -> None:
    admin, key = await person(app, "admin"), await key_of(app, ann, "captions")
    found = (await client.get("/api/users", params={"email": ann.email[:12]}, headers=admin.headers)).json()
    assert [user["id"] for user in found["users"]] == [ann.id]
    path = f"/api/users/{ann.id}"
    changed = await client.patch(path, json={"disabled": True, "role": "operator"}, headers=admin.headers)
    assert (changed.json()["disabled"], changed.json()["role"]) == (True, "operator")
    for token in (ann.access, key):
        assert_problem(await client.get("/api/labels", headers=bearer(token)), 401, "unauthenticated")
    body = {"email": ann.email, "password": PASSWORD}
    assert_problem(await client.post("/api/auth/sign-in", json=body), 401, "bad_credentials")
    assert_problem(await client.post("/api/auth/refresh", json={"refresh_token": ann.refresh}), 401, "unauthenticated")
    enabled = await client.patch(path, json={"disabled": False}, headers=admin.headers)
    assert not enabled.json()["disabled"]
    assert (await client.post("/api/auth/sign-in", json=body)).status_code == 200
    await sql(app, update(User).where(User.id != UUID(admin.id), User.role == "admin").values(role="user"))
    for change in ({"role": "user"}, {"disabled": True}):
        answer = await client.patch(f"/api/users/{admin.id}", json=change, headers=admin.headers)
        assert_problem(answer, 403, "forbidden")
    missing = await client.patch(f"/api/users/{uuid4()}", json={"role": "user"}, headers=admin.headers)
    assert_problem(missing, 404, "not_found")


async def test_nobody_can_register_where_registration_is_closed(tiny_settings: Settings, database_url: str) -> None:
    async with running(guarded(tiny_settings, database_url, registration=False)) as app, client_of(app) as client:
        answer = await client.post("/api/auth/register", json={"email": "bob@example.org", "password": PASSWORD})
        assert_problem(answer, 403, "forbidden")


# -- passwords -------------------------------------------------------------------------------------------------------


async def test_a_new_password_ends_the_other_sign_ins(client: httpx.AsyncClient, ann: Person) -> None:
    body = {"old_password": PASSWORD, "new_password": "eight loud herons"}
    wrong = await client.post("/api/auth/password", json={**body, "old_password": "x"}, headers=ann.headers)
    assert_problem(wrong, 401, "bad_credentials")
    changed = await client.post("/api/auth/password", json=body, headers=ann.headers)
    assert changed.status_code == 200, changed.text
    assert_problem(await me(client, ann.access), 401, "unauthenticated")
    assert_problem(await client.post("/api/auth/refresh", json={"refresh_token": ann.refresh}), 401, "unauthenticated")
    assert (await me(client, changed.json()["access_token"])).status_code == 200
    for password, status in ((PASSWORD, 401), ("eight loud herons", 200)):
        answer = await client.post("/api/auth/sign-in", json={"email": ann.email, "password": password})
        assert answer.status_code == status


@pytest.mark.parametrize(
    "password",
    ["", "short", "a" * 20, "Password123", "abababababab", "x" * 300, "aáàâä" * 1000],
    ids=["empty", "short", "one letter", "common", "two letters", "long", "very long"],
)
async def test_weak_passwords_are_refused(client: httpx.AsyncClient, password: str) -> None:
    answer = await client.post("/api/auth/register", json={"email": "weak@example.org", "password": password})
    code = "invalid_request" if len(password) > 4096 else "weak_password"
    assert_problem(answer, 422, code)
    if password:
        assert password not in answer.text


async def test_a_password_of_ten_megabytes_is_not_read(client: httpx.AsyncClient) -> None:
    for path in ("register", "sign-in"):
        answer = await client.post(f"/api/auth/{path}", json={"email": "a@example.org", "password": "x" * 10_000_000})
        assert_problem(answer, 413, "upload_too_large")


async def test_a_password_that_follows_from_the_address_is_refused(client: httpx.AsyncClient) -> None:
    for password in ("jonathan.k2026", "jonathan.k@example.org"):
        body = {"email": "jonathan.k@example.org", "password": password}
        assert_problem(await client.post("/api/auth/register", json=body), 422, "weak_password")


async def test_a_password_is_the_same_however_its_letters_are_composed(client: httpx.AsyncClient) -> None:
    email = f"{secrets.token_hex(4)}@example.org"
    composed, decomposed = "caf\u00e9 und gr\u00fcn", "cafe\u0301 und gru\u0308n"
    assert (await client.post("/api/auth/register", json={"email": email, "password": composed})).status_code == 201
    answer = await client.post("/api/auth/sign-in", json={"email": email, "password": decomposed})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "email",
    [
        "", "ann", "ann@", "@example.org", "ann@@example.org", "ann@example", "ann lee@example.org", "ann@exa mple.org",
        "ann@example.org\r\nBcc: bob@example.org", "ann@example.org\x00", "ann@localhost", "ann@[127.0.0.1]",
        "a" * 70 + "@example.org", "ann@" + "a" * 250 + ".org", "ann..lee@example.org", ".ann@example.org",
        "ann@example.org, bob@example.org", "Ann <ann@example.org>", "ann@-example.org", "ann@example..org",
        "'; DROP TABLE users; --", "ann\u202e@example.org",
    ],
)  # fmt: skip
async def test_odd_addresses_are_refused_and_have_no_account(client: httpx.AsyncClient, email: str) -> None:
    body = {"email": email, "password": PASSWORD}
    assert_problem(await client.post("/api/auth/register", json=body), 422, "invalid_email")
    assert_problem(await client.post("/api/auth/sign-in", json=body), 401, "bad_credentials")
    assert (await client.post("/api/auth/password-reset", json={"email": email})).status_code == 202


async def test_two_spellings_of_an_address_are_one_account(client: httpx.AsyncClient) -> None:
    name = secrets.token_hex(4)
    first = {"email": f"{name}@b\u00fccher.example.org", "password": PASSWORD}
    assert (await client.post("/api/auth/register", json=first)).status_code == 201
    for spelling in (f"{name.upper()}@B\u00dcCHER.example.org", f"{name}@bu\u0308cher.example.org"):
        answer = await client.post("/api/auth/register", json={**first, "email": spelling})
        assert_problem(answer, 409, "email_taken")


async def test_the_time_of_a_sign_in_does_not_tell_whether_an_address_exists(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same work: nearly all of it is the hash (here of the service's parameters), which is made in both cases."""
    monkeypatch.setattr(passwords, "Argon2Hasher", Argon2Hasher)
    monkeypatch.setattr(app.state.services.accounts, "_passwords", Passwords())
    ann = await person(app)

    async def seconds(email: str) -> float:
        began = time.perf_counter()
        answer = await client.post("/api/auth/sign-in", json={"email": email, "password": "not the password"})
        assert_problem(answer, 401, "bad_credentials")
        return time.perf_counter() - began

    known, unknown = [], []
    for number in range(9):  # in turn, so that a machine that gets busy slows both down
        known.append(await seconds(ann.email))
        unknown.append(await seconds(f"nobody-{number}@example.org"))
    assert 0.5 < statistics.median(known) / statistics.median(unknown) < 2


async def test_what_is_sent_and_what_is_stored_cannot_be_read_from_the_log_or_the_database(
    app: FastAPI, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    body = {"email": f"{secrets.token_hex(4)}@example.org", "password": "a very visible password"}
    signed_in = (await client.post("/api/auth/register", json=body)).json()
    headers = bearer(signed_in["access_token"])
    key = (await client.post("/api/keys", json={"name": "k"}, headers=headers)).json()["key"]
    ticket = (await client.post("/api/auth/ticket", headers=headers)).json()["ticket"]
    await client.post("/api/auth/sign-in", json={**body, "password": "a wrong visible password"})
    await client.post("/api/auth/register", json={**body, "password": 5})
    secret = [body["password"], "wrong visible", key, ticket, signed_in["access_token"], signed_in["refresh_token"]]
    captured = capfd.readouterr()
    async with app.state.services.database.session() as session:
        tables = ("users", "refresh_tokens", "api_keys", "tickets", "password_resets")
        stored = [str(row) for table in tables for row in await session.execute(text(f"SELECT * FROM {table}"))]
    for word in secret:
        assert word not in captured.err + captured.out + caplog.text
        assert not any(word in row for row in stored)


# -- tokens ----------------------------------------------------------------------------------------------------------


def forged(ann: Person, **changes: Any) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(ann.access, options={"verify_signature": False})
    return {name: value for name, value in (claims | changes).items() if value is not None}


def without_signature(header: dict[str, str], claims: dict[str, Any]) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join(parts) + "."


@pytest.mark.filterwarnings("ignore:The HMAC key")
async def test_forged_and_misused_tokens_are_refused(client: httpx.AsyncClient, ann: Person) -> None:
    key, now = Secret(SECRET.encode()).key("tokens"), int(time.time())
    pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----"
    tokens = {
        "alg none": without_signature({"alg": "none", "typ": "JWT"}, forged(ann)),
        "alg None": without_signature({"alg": "None", "typ": "JWT"}, forged(ann)),
        "another algorithm": jwt.encode(forged(ann), key * 2, "HS512"),
        "the right key, another algorithm": jwt.encode(forged(ann), key, "HS384"),
        "swapped header": without_signature({"alg": "RS256", "typ": "JWT"}, forged(ann)) + ann.access.split(".")[2],
        "a public key as secret": jwt.encode(forged(ann), pem.encode().hex(), "HS256"),
        "another secret": jwt.encode(forged(ann), "x" * 32, "HS256"),
        "AUTH_SECRET itself": jwt.encode(forged(ann), SECRET, "HS256"),
        "refresh as access": ann.refresh,
        "expired": jwt.encode(forged(ann, iat=now - 7200, exp=now - 3600), key, "HS256"),
        "from the future": jwt.encode(forged(ann, iat=now + 3600, exp=now + 7200), key, "HS256"),
        "another issuer": jwt.encode(forged(ann, iss="somebody"), key, "HS256"),
        "another audience": jwt.encode(forged(ann, aud="something"), key, "HS256"),
        "somebody else": jwt.encode(forged(ann, sub=str(uuid4())), key, "HS256"),
        "nobody": jwt.encode(forged(ann, sub="' OR 1=1 --"), key, "HS256"),
        "number is text": jwt.encode(forged(ann, ver="many"), key, "HS256"),
        "one letter changed": ann.access[:-5] + ("A" if ann.access[-5] != "A" else "B") + ann.access[-4:],
        "cut short": ann.access[:-10],
        "no token": "x.y.z",
        "dots": "." * 2000,
        "very long": ann.access + "A" * 8000,
    }
    for missing in ("iss", "aud", "typ", "jti", "sub", "ver", "iat", "exp"):
        tokens[f"without {missing}"] = jwt.encode(forged(ann, **{missing: None}), key, "HS256")
    for name, token in tokens.items():
        answer = await me(client, token)
        assert answer.status_code == 401, (name, answer.text)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert_problem(answer, 401, "unauthenticated")
    for token in (ann.access, "x", tokens["alg none"], "a" * 4000):
        answer = await client.post("/api/auth/refresh", json={"refresh_token": token})
        assert_problem(answer, 401, "unauthenticated")
    assert (await me(client, jwt.encode(forged(ann), key, "HS256"))).status_code == 200  # the forger has the right key


async def test_a_clock_that_jumps_an_hour_ends_access_tokens_and_not_the_sign_in(
    client: httpx.AsyncClient, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Secret(SECRET.encode()).key("tokens")
    claims = jwt.decode(ann.refresh, options={"verify_signature": False})
    hour_ago = time.time() - 3600
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: hour_ago)
        old = Tokens(key).make("access", Token(uuid4(), UUID(ann.id), 0), 900)
        refresh = Tokens(key).make("refresh", Token(UUID(claims["jti"]), UUID(ann.id), 0), 86400)
    assert_problem(await me(client, old), 401, "unauthenticated")
    assert (await client.post("/api/auth/refresh", json={"refresh_token": refresh})).status_code == 200


async def test_a_refresh_token_whose_row_is_gone_is_refused(app: FastAPI, client: httpx.AsyncClient) -> None:
    bob = await person(app)
    await sql(app, text("DELETE FROM refresh_tokens"))
    assert_problem(await client.post("/api/auth/refresh", json={"refresh_token": bob.refresh}), 401, "unauthenticated")
    await sql(app, text("DELETE FROM users"))
    assert_problem(await me(client, bob.access), 401, "unauthenticated")


# -- keys and tickets ------------------------------------------------------------------------------------------------


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(
    app: FastAPI, client: httpx.AsyncClient, ann: Person
) -> None:
    answer = await client.post("/api/keys", json={"name": " kiosk ", "days": 90}, headers=ann.headers)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    key, info = made["key"], made["info"]
    assert (info["name"], info["scopes"], info["last_used_at"]) == ("kiosk", ["captions"], None)
    assert key.startswith(info["hint"])
    for headers in (bearer(key), {"X-API-Key": key}):
        assert (await client.get("/api/labels", headers=headers)).status_code == 200
    listed = await client.get("/api/keys", headers=ann.headers)
    assert key not in listed.text
    assert listed.json()["keys"][0]["last_used_at"] is not None
    stranger = await person(app)
    not_mine = await client.delete(f"/api/keys/{info['id']}", headers=stranger.headers)
    assert_problem(not_mine, 404, "not_found")
    assert (await client.delete(f"/api/keys/{info['id']}", headers=ann.headers)).status_code == 204
    assert (await client.delete(f"/api/keys/{info['id']}", headers=ann.headers)).status_code == 204
    assert_problem(await client.get("/api/labels", headers=bearer(key)), 401, "unauthenticated")
    assert (await client.get("/api/keys", headers=ann.headers)).json()["keys"][0]["revoked_at"] is not None


async def test_a_key_with_any_letter_changed_is_refused(app: FastAPI, client: httpx.AsyncClient, ann: Person) -> None:
    key = await key_of(app, ann, "captions")
    changed = [key[:n] + ("a" if key[n] != "a" else "b") + key[n + 1 :] for n in range(len(key))]
    for wrong in (*changed, key + "a", key[:-1], key.upper(), "gl_", "gl_' OR '1'='1", "gl_" + "x" * 5000):
        answer = await client.get("/api/labels", headers={"X-API-Key": wrong})
        assert answer.status_code == 401, wrong
        assert_problem(answer, 401, "unauthenticated")


async def test_a_key_that_has_expired_is_refused(app: FastAPI, client: httpx.AsyncClient, ann: Person) -> None:
    key = await key_of(app, ann, "captions")
    expired = update(ApiKey).where(ApiKey.user_id == UUID(ann.id))
    await sql(app, expired.values(expires_at=ApiKey.created_at - timedelta(seconds=1)))
    assert_problem(await client.get("/api/labels", headers=bearer(key)), 401, "unauthenticated")


async def test_a_key_does_what_its_scopes_say_and_never_manages_the_account(
    app: FastAPI, client: httpx.AsyncClient, ann: Person
) -> None:
    history, account = await key_of(app, ann, "history"), await key_of(app, ann, "account")
    assert_problem(await client.get("/api/labels", headers=bearer(history)), 403, "forbidden")
    assert_problem(await client.get("/api/users/me", headers=bearer(history)), 403, "forbidden")
    assert (await client.get("/api/users/me", headers=bearer(account))).status_code == 200
    for method, path, body in (
        ("GET", "/api/keys", None),
        ("POST", "/api/keys", {"name": "more"}),
        ("POST", "/api/auth/sign-out-everywhere", None),
        ("POST", "/api/auth/password", {"old_password": PASSWORD, "new_password": "nine loud herons"}),
        ("POST", "/api/auth/second-factor", None),
    ):
        assert_problem(await client.request(method, path, json=body, headers=bearer(account)), 403, "forbidden")


async def test_the_number_of_keys_is_limited_also_for_requests_at_once(
    app: FastAPI, client: httpx.AsyncClient, ann: Person
) -> None:
    limit = app.state.services.settings.max_api_keys
    body = {"name": "k"}
    answers = await asyncio.gather(
        *(client.post("/api/keys", json=body, headers=ann.headers) for _ in range(limit + 3))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * limit + [409] * 3
    assert_problem(next(answer for answer in answers if answer.status_code == 409), 409, "too_many_keys")


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""}, {"name": "   "}, {"name": "a\nb"}, {"name": "a\x00b"}, {"name": "x" * 101}, {"name": 5}, {},
        {"name": "k", "scopes": []}, {"name": "k", "scopes": ["everything"]}, {"name": "k", "scopes": ["'; --"]},
        {"name": "k", "days": 0}, {"name": "k", "days": -1}, {"name": "k", "days": 10**9}, {"name": "k", "role": "x"},
    ],
)  # fmt: skip
async def test_keys_that_cannot_be_made(client: httpx.AsyncClient, ann: Person, body: dict[str, Any]) -> None:
    assert_problem(await client.post("/api/keys", json=body, headers=ann.headers), 422, "invalid_request")


async def test_sql_in_text_is_text(app: FastAPI, client: httpx.AsyncClient) -> None:
    admin = await person(app, "admin")
    name = "Robert'); DROP TABLE api_keys; --"
    made = await client.post("/api/keys", json={"name": name}, headers=admin.headers)
    assert made.json()["info"]["name"] == name
    assert [key["name"] for key in (await client.get("/api/keys", headers=admin.headers)).json()["keys"]] == [name]
    for part in ("%", "_", "' OR 1=1 --", "\\"):
        found = (await client.get("/api/users", params={"email": part}, headers=admin.headers)).json()
        assert found["total"] == 0, part
    assert_problem(
        await client.get("/api/users", params={"email": "a\x00b"}, headers=admin.headers), 422, "invalid_request"
    )
    for path in ("'; DROP TABLE users; --", "1", "%00"):
        answer = await client.delete(f"/api/keys/{path}", headers=admin.headers)
        assert_problem(answer, 422, "invalid_request")


async def test_a_role_cannot_be_given_with_a_registration(client: httpx.AsyncClient) -> None:
    body = {"email": f"{secrets.token_hex(4)}@example.org", "password": PASSWORD, "role": "admin"}
    assert_problem(await client.post("/api/auth/register", json=body), 422, "invalid_request")


# -- the second factor -----------------------------------------------------------------------------------------------


async def test_a_second_factor_is_asked_for_and_each_code_counts_once(client: httpx.AsyncClient, ann: Person) -> None:
    body = {"email": ann.email, "password": PASSWORD}
    early = await client.post("/api/auth/second-factor/on", json={"code": "123456"}, headers=ann.headers)
    assert_problem(early, 422, "invalid_code")
    secret = (await client.post("/api/auth/second-factor", headers=ann.headers)).json()["secret"]
    assert (await client.post("/api/auth/sign-in", json=body)).status_code == 200  # not on yet
    totp, step = pyotp.TOTP(secret), int(time.time() // 30)
    wrong = await client.post("/api/auth/second-factor/on", json={"code": "000000"}, headers=ann.headers)
    assert_problem(wrong, 422, "invalid_code")
    code = totp.generate_otp(step)
    on = await client.post("/api/auth/second-factor/on", json={"code": code}, headers=ann.headers)
    assert on.status_code == 204, on.text
    assert_problem(await client.post("/api/auth/second-factor", headers=ann.headers), 403, "forbidden")
    assert_problem(await client.post("/api/auth/sign-in", json=body), 401, "second_factor_required")
    assert_problem(await client.post("/api/auth/sign-in", json={**body, "code": code}), 401, "bad_credentials")
    newer = totp.generate_otp(step + 1)  # a clock may be half a minute ahead
    assert (await client.post("/api/auth/sign-in", json={**body, "code": newer})).status_code == 200
    assert_problem(await client.post("/api/auth/sign-in", json={**body, "code": newer}), 401, "bad_credentials")
    far = totp.generate_otp(step + 20)
    assert_problem(await client.post("/api/auth/sign-in", json={**body, "code": far}), 401, "bad_credentials")
    for odd in ("12345", "1234567", "abcdef", "١٢٣٤٥٦"):
        assert_problem(await client.post("/api/auth/sign-in", json={**body, "code": odd}), 422, "invalid_request")
    no_password = {**body, "password": "x", "code": far}
    assert_problem(await client.post("/api/auth/sign-in", json=no_password), 401, "bad_credentials")
    off = {"password": "wrong"}
    refused = await client.post("/api/auth/second-factor/off", json=off, headers=ann.headers)
    assert_problem(refused, 401, "bad_credentials")
    off = {"password": PASSWORD}
    assert (await client.post("/api/auth/second-factor/off", json=off, headers=ann.headers)).status_code == 204
    assert (await client.post("/api/auth/sign-in", json=body)).status_code == 200


async def test_expired_rows_are_removed(app: FastAPI, ann: Person) -> None:
    from app.services.accounts import repository

    async with app.state.services.database.session() as session:
        mine = RefreshToken.user_id == UUID(ann.id)
        await session.execute(update(RefreshToken).where(mine).values(expires_at=text("now() - interval '1 second'")))
        await repository.remove_expired(session)
        assert (await session.scalars(select(RefreshToken).where(mine))).all() == []
