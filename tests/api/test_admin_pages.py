"""The pages at /admin: for admins alone, off by default; what they change goes through the services, once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pyotp
import pytest
import pytest_asyncio
from fastapi import FastAPI
from loguru import logger
from sqlalchemy import text
from starlette.routing import Mount, Route

from app.api.admin.sign_in import COOKIE
from app.core.settings import Settings
from app.main import create_app
from tests.conftest import fresh_database
from tests.support.accounts import PASSWORD, Person, client_of, guarded, person, running
from tests.support.ledger import balance

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = "<script>alert(1)</script>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tiny_settings: Settings, postgres: str) -> AsyncIterator[FastAPI]:
    with fresh_database(postgres) as database:
        async with running(guarded(tiny_settings, database, admin_pages=True)) as app:
            yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(app: FastAPI) -> Person:
    return await person(app, "admin")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(app: FastAPI, admin: Person) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in at the pages."""
    async with client_of(app) as client:
        answer = await sign_in(client, admin.email)
        assert answer.status_code == 303, answer.text
        yield client


async def sign_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    return await client.post("/admin/login", data={"email": email, "password": password, **more})


async def form_of(client: httpx.AsyncClient, user_id: str) -> dict[str, str]:
    """The hidden fields of the page of an account."""
    page = await client.get(f"/admin/account/{user_id}")
    assert page.status_code == 200, page.text
    found = dict(re.findall(r'name="(token|once)" value="([^"]+)"', page.text))
    assert found.keys() >= {"token", "once"}
    return found


async def rows(app: FastAPI, statement: str, **values: Any) -> list[Any]:
    async with app.state.services.database.session() as session:
        found = await session.execute(text(statement), values)
        return list(found.all()) if found.returns_rows else []


def paths(app: FastAPI) -> list[tuple[str, str]]:
    """Every (method, path) below /admin, with values in place of parameters."""
    (mount,) = (route for route in app.routes if isinstance(route, Mount) and route.path == "/admin")
    values = {"identity": "user", "pk:path": str(uuid4()), "user_id:uuid": str(uuid4()), "export_type": "csv"}
    found = []
    for route in mount.routes:
        if isinstance(route, Route):
            path = re.sub(r"{([^}]+)}", lambda name: values.get(name[1], "email"), route.path)
            found += [(method, f"/admin{path}") for method in sorted((route.methods or set()) - {"HEAD"})]
    return found


# -- who ---------------------------------------------------------------------------------------------------------------


async def test_off_by_default(tiny_settings: Settings) -> None:
    assert Settings(_env_file=None).admin_pages is False
    async with client_of(create_app(tiny_settings)) as client:
        for path in ("/admin", "/admin/", "/admin/login", "/admin/user/list", "/admin/statics/js/main.js"):
            assert (await client.get(path)).status_code == 404, path


async def test_nobody_but_an_admin_who_signed_in_here_gets_anything(app: FastAPI, admin: Person) -> None:
    """Access tokens of the API open nothing here, an admin's neither, not even as the cookie."""
    found = paths(app)
    assert len(found) > 15
    people = [await person(app), await person(app, "operator"), admin]
    sent: list[dict[str, str]] = [{}, {"Cookie": f"{COOKIE}=x"}]
    for who in people:
        sent += [who.headers, {"Cookie": f"{COOKIE}={who.access}"}, {"Cookie": f"{COOKIE}={who.refresh}"}]
    async with client_of(app) as client:
        for method, path in found:
            if path in ("/admin/login", "/admin/logout"):
                continue
            for headers in sent:
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code == 302, (method, path, answer.text)
                assert answer.headers["location"].endswith("/admin/login")
                assert answer.text == ""


async def test_sign_in_needs_an_admins_password_and_code(app: FastAPI) -> None:
    boss, accounts = await person(app, "admin"), app.state.services.accounts
    secret, _ = await accounts.begin_second_factor(UUID(boss.id))
    await accounts.turn_on_second_factor(UUID(boss.id), pyotp.TOTP(secret).now())
    async with client_of(app) as client:
        for email in ((await person(app)).email, (await person(app, "operator")).email):
            assert (await sign_in(client, email)).status_code == 403
        assert (await sign_in(client, boss.email, "wrong password")).status_code == 401
        assert (await sign_in(client, "nobody@example.org")).status_code == 401
        assert (await sign_in(client, "'\" OR 1=1 --\x00")).status_code == 401
        assert (await client.post("/admin/login")).status_code == 401
        missing = await sign_in(client, boss.email)
        assert missing.status_code == 401
        assert "second factor" in missing.text
        assert (await sign_in(client, boss.email, code="000000")).status_code == 401
        assert COOKIE not in client.cookies
        await rows(app, "UPDATE users SET totp_step = NULL WHERE id = :id", id=boss.id)
        answer = await sign_in(client, boss.email, code=pyotp.TOTP(secret).now())
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=strict", "Path=/admin", "Max-Age=1800"):
            assert part in cookie
        assert (await client.get("/admin/")).status_code == 200
        # Signing out everywhere, another role and being disabled end it with the next page.
        await accounts.change(UUID(boss.id), "operator", None)
        assert (await client.get("/admin/")).status_code == 302
        await accounts.change(UUID(boss.id), "admin", None)
        assert (await client.get("/admin/")).status_code == 200
        await accounts.sign_out_everywhere(UUID(boss.id))
        assert (await client.get("/admin/")).status_code == 302


async def test_the_cookie_opens_nothing_of_the_api_and_is_for_https_where_there_is_https(
    app: FastAPI, client: httpx.AsyncClient, admin: Person
) -> None:
    token = client.cookies[COOKIE]
    for headers in ({"Cookie": f"{COOKIE}={token}"}, {"Authorization": f"Bearer {token}"}):
        assert (await client.get("/api/users", headers=headers)).status_code == 401
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="https://glossline") as other:
        assert "Secure" in (await sign_in(other, admin.email)).headers["set-cookie"]
        assert (await other.get("/admin/logout")).status_code == 303
        assert COOKIE not in other.cookies


# -- pages -------------------------------------------------------------------------------------------------------------


async def test_pages_load_only_from_here_and_are_not_kept(client: httpx.AsyncClient) -> None:
    for path in ("/admin/", "/admin/usage", "/admin/user/list"):
        page = await client.get(path)
        assert page.status_code == 200, page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"  # else browsers send their forms with `Origin: null`
        assert "<script>" not in page.text
        assert not re.search(r"\son\w+=", page.text)
        loaded = re.findall(r'(?:src|href)="(http[^"]+)"', page.text)
        assert all(address.startswith("http://glossline/admin") for address in loaded)
        for address in {address for address in loaded if "/statics/" in address}:
            assert (await client.get(address)).status_code == 200


async def test_tables_show_no_secrets_and_nobodys_captions(app: FastAPI, client: httpx.AsyncClient) -> None:
    ann = await person(app)
    session_id = uuid4()
    await rows(
        app,
        "INSERT INTO caption_sessions (id, user_id, kind, sign_language, model, vocabulary, started_at)"
        " VALUES (:id, :user, 'live', 'ase', 'tiny', 'MY OWN WORDS', now())",
        id=session_id,
        user=ann.id,
    )
    for number in range(3):
        await rows(
            app,
            "INSERT INTO caption_lines (session_id, number, start_ms, end_ms, glosses, gloss_text, sentence, text,"
            " partials, confidence, vocabulary, lag_ms) VALUES (:id, :number, 0, 1, '[]', 'SECRET-GLOSS',"
            " 'Nobody shall read this.', '{}', '[]', 1, 'everyday', 1)",
            id=session_id,
            number=number,
        )
    found = {}
    for table in ("user", "subscription", "ledger-entry", "caption-session", "training-job"):
        page = await client.get(f"/admin/{table}/list", params={"pageSize": 200})
        assert page.status_code == 200, page.text
        found[table] = page.text
    everything = "".join(found.values())
    for hidden in ("SECRET-GLOSS", "Nobody shall read this", "MY OWN WORDS", "argon2", "totp_secret"):
        assert hidden not in everything
    assert re.search(rf"{ann.id}</a></td>(\s*<td>[^<]*(<[^t][^>]*>)*[^<]*</td>)", found["caption-session"])
    assert "<td>3</td>" in found["caption-session"]
    for path in (f"/admin/caption-session/details/{session_id}", "/admin/caption-line/list"):
        assert (await client.get(path)).status_code in (403, 404)


async def test_nothing_is_changed_through_the_tables(app: FastAPI, client: httpx.AsyncClient) -> None:
    ann = await person(app)
    for table in ("user", "subscription", "ledger-entry", "caption-session", "training-job"):
        assert (await client.post(f"/admin/{table}/create", data={"email": "x"})).status_code == 403
        assert (await client.post(f"/admin/{table}/edit/{ann.id}", data={"role": "admin"})).status_code == 403
        assert (await client.delete(f"/admin/{table}/delete", params={"pks": ann.id})).status_code == 403
        assert (await client.get(f"/admin/{table}/export/csv")).status_code == 403
        assert (await client.post(f"/admin/{table}/import")).status_code == 403
    assert (await rows(app, "SELECT role FROM users WHERE id = :id", id=ann.id))[0].role == "user"


async def test_odd_addresses_are_answered_with_a_page(client: httpx.AsyncClient) -> None:
    odd = {
        "/admin/user/list?search=%00": (400, 404),
        "/admin/user/list?search=%25'--": (200,),
        "/admin/user/list?page=99999999999999999999": (200, 302),
        "/admin/user/list?pageSize=-1": (400,),
        "/admin/user/list?sortBy=password_hash": (400,),
        "/admin/user/list?pageSize=99999999": (200,),
        "/admin/training-job/details/nothing": (404,),
        "/admin/user/details/nothing": (403, 404),
        "/admin/account/nothing": (404,),
        f"/admin/account/{uuid4()}": (404,),
        f"/admin/user/list?error={SCRIPT}": (200,),
    }
    for path, statuses in odd.items():
        answer = await client.get(path)
        assert answer.status_code in statuses, (path, answer.text)
        assert SCRIPT not in answer.text


async def test_what_people_wrote_is_escaped(app: FastAPI, client: httpx.AsyncClient) -> None:
    ann = await person(app)
    email = f"{SCRIPT}{uuid4().hex}@example.org"
    await rows(app, "UPDATE users SET email = :email WHERE id = :id", email=email, id=ann.id)
    await rows(
        app,
        "INSERT INTO training_jobs (id, state, request, command, device, host, owner, reason, log_tail) VALUES"
        " (:id, 'failed', :request, '[]', 'cpu', 'here', 'me', :bad, :bad)",
        id=uuid4().hex,
        request=f'{{"gloss": "{SCRIPT}"}}',
        bad=SCRIPT,
    )
    form = await form_of(client, ann.id)
    await client.post(f"/admin/account/{ann.id}/credits", data={**form, "credits": "5", "reason": SCRIPT})
    job = (await rows(app, "SELECT id FROM training_jobs"))[0].id
    escaped = "&lt;script&gt;alert(1)"
    for path in (
        "/admin/user/list?pageSize=200",
        f"/admin/user/list?search={SCRIPT}",
        f"/admin/account/{ann.id}",
        "/admin/ledger-entry/list",
        "/admin/training-job/list",
        f"/admin/training-job/details/{job}",
    ):
        page = await client.get(path)
        assert page.status_code == 200, page.text
        assert escaped in page.text, path
        assert SCRIPT not in page.text, path


async def test_usage_is_a_plot_of_all_accounts(app: FastAPI, client: httpx.AsyncClient) -> None:
    ann = await person(app)
    await app.state.services.credits.account_of(UUID(ann.id))
    await rows(
        app,
        "INSERT INTO ledger (user_id, kind, amount, source, seconds) VALUES (:id, 'debit', -7, 'clip', 7),"
        " (:id, 'debit', -12, 'live', 6)",
        id=ann.id,
    )
    page = await client.get("/admin/usage")
    assert page.text.count("<title>") == 31  # of the page, and of each day
    assert re.search(r"<title>[\d-]+: \d+ for clips, \d+ live, \d+ s</title>", page.text)
    assert len(re.findall(r'text-anchor="middle">\d\d \w{3}<', page.text)) == 6  # the last day, and each fifth before
    clips, live = re.findall(r"(\d+) for clips, (\d+) live", page.text)[-1]
    assert (int(clips) >= 7, int(live) >= 12) == (True, True)


# -- what admins do ----------------------------------------------------------------------------------------------------


@pytest.fixture
def lines() -> Any:
    found: list[dict[str, Any]] = []
    sink = logger.add(lambda line: found.append(line.record["extra"]), filter=lambda r: "action" in r["extra"])
    yield found
    logger.remove(sink)


async def test_a_grant_moves_the_ledger_once_however_often_the_form_is_sent(
    app: FastAPI, client: httpx.AsyncClient, admin: Person, lines: list[dict[str, Any]]
) -> None:
    ann = await person(app)
    form = {**await form_of(client, ann.id), "credits": "250", "reason": "an apology"}
    before = (await balance(app.state.services.database, UUID(ann.id)))[0]
    for _ in range(3):
        answer = await client.post(f"/admin/account/{ann.id}/credits", data=form)
        assert answer.status_code == 303, answer.text
    total, newest, _ = await balance(app.state.services.database, UUID(ann.id))
    assert total == newest == before + 250
    (entry,) = await rows(app, "SELECT * FROM ledger WHERE user_id = :id AND kind = 'adjust'", id=ann.id)
    assert (entry.amount, entry.reason, str(entry.actor)) == (250, "an apology", admin.id)
    (line,) = [line for line in lines if line["user"] == ann.id]
    expected = {"action": "credits", "admin": admin.id, "reason": "an apology", "credits": 250}
    assert line.items() >= expected.items()
    assert line["principal_id"] == admin.id
    assert (await client.post(f"/admin/account/{ann.id}/credits", data={**form, "credits": "999"})).status_code == 422
    page = await client.get(f"/admin/account/{ann.id}", params={"done": 1})
    assert "an apology" in page.text


async def test_wrong_grants_are_refused(app: FastAPI, client: httpx.AsyncClient) -> None:
    ann = await person(app)
    form = {**await form_of(client, ann.id), "credits": "5", "reason": "because"}
    before = await balance(app.state.services.database, UUID(ann.id))
    for wrong in (
        *({"reason": ""}, {"reason": "   "}, {"reason": "x" * 501}, {"reason": "a\x00b"}, {"credits": "0"}),
        *({"credits": "-1000000000"}, {"credits": "1000000001"}, {"credits": "1.5"}, {"credits": "many"}),
        *({"credits": "1e30"}, {"once": "x"}, {"more": "fields"}),
    ):
        answer = await client.post(f"/admin/account/{ann.id}/credits", data={**form, **wrong})
        assert answer.status_code == 422, (wrong, answer.text)
    assert await balance(app.state.services.database, UUID(ann.id)) == before


async def test_a_form_of_another_page_or_sign_in_is_refused(
    app: FastAPI, client: httpx.AsyncClient, admin: Person
) -> None:
    ann = await person(app)
    form = {**await form_of(client, ann.id), "credits": "5", "reason": "because"}
    path = f"/admin/account/{ann.id}/credits"
    async with client_of(app) as other:
        await sign_in(other, admin.email)
        assert (await other.post(path, data=form)).status_code == 403
    for token in ("", "x", "é"):
        assert (await client.post(path, data={**form, "token": token})).status_code == 403
    evil = {"Origin": "https://evil.example"}
    assert (await client.post(path, data=form, headers=evil)).status_code == 403
    assert (await client.post("/admin/login", headers=evil)).status_code == 403
    assert not await rows(app, "SELECT FROM ledger WHERE user_id = :id AND kind = 'adjust'", id=ann.id)


async def test_a_debit_is_given_back_once_and_never_more_than_it_took(
    app: FastAPI, client: httpx.AsyncClient, lines: list[dict[str, Any]]
) -> None:
    ann = await person(app)
    form = await form_of(client, ann.id)  # the credits of the month are entry 1
    await rows(app, "INSERT INTO ledger (user_id, kind, amount, source) VALUES (:id, 'debit', -40, 'clip')", id=ann.id)
    before = (await balance(app.state.services.database, UUID(ann.id)))[0]
    path, sent = f"/admin/account/{ann.id}/give-back", {"token": form["token"], "reason": "a bad clip", "number": "2"}
    assert (await client.post(path, data={**sent, "credits": "41"})).status_code == 422
    assert (await client.post(path, data={**sent, "number": "1", "credits": "5"})).status_code == 404
    for _ in range(2):
        assert (await client.post(path, data={**sent, "credits": "30"})).status_code == 303
    assert (await client.post(path, data={**sent, "credits": "10"})).status_code == 422
    assert (await balance(app.state.services.database, UUID(ann.id)))[:2] == (before + 30, before + 30)
    assert [line["credits"] for line in lines if line["user"] == ann.id] == [30]


async def test_a_plan_and_a_role_are_changed_with_a_reason(
    app: FastAPI, client: httpx.AsyncClient, admin: Person, lines: list[dict[str, Any]]
) -> None:
    ann = await person(app)
    form = {"token": (await form_of(client, ann.id))["token"]}
    assert (await client.post(f"/admin/account/{ann.id}/plan", data={**form, "plan": "pro"})).status_code == 422
    wrong = {**form, "plan": "golden", "reason": "a friend"}
    assert (await client.post(f"/admin/account/{ann.id}/plan", data=wrong)).status_code == 422
    good = {**form, "plan": "pro", "reason": "a school"}
    assert (await client.post(f"/admin/account/{ann.id}/plan", data=good)).status_code == 303
    assert (await app.state.services.credits.account_of(UUID(ann.id))).plan_name == "pro"
    role = {**form, "role": "operator", "reason": "trains for us"}
    assert (await client.post(f"/admin/account/{ann.id}/access", data=role)).status_code == 303
    off = {**form, "role": "operator", "disabled": "true", "reason": "left"}
    assert (await client.post(f"/admin/account/{ann.id}/access", data=off)).status_code == 303
    found = (await rows(app, "SELECT role, disabled_at FROM users WHERE id = :id", id=ann.id))[0]
    assert found.role == "operator"
    assert found.disabled_at is not None
    reasons = [(line["admin"], line["reason"]) for line in lines if line["user"] == ann.id]
    assert reasons == [(admin.id, "a school"), (admin.id, "trains for us"), (admin.id, "left")]


async def test_scripts_do_the_same_over_http(app: FastAPI, admin: Person) -> None:
    ann = await person(app)
    await app.state.services.credits.account_of(UUID(ann.id))
    async with client_of(app, **admin.headers, **{"Idempotency-Key": "order-17"}) as client:
        path = f"/api/billing/users/{ann.id}"
        given = [
            (await client.post(f"{path}/credits", json={"credits": 9, "reason": "order 17"})).json() for _ in range(3)
        ]
        assert given[0] == given[1] == given[2]
        mismatch = await client.post(f"{path}/credits", json={"credits": 10, "reason": "order 17"})
        assert mismatch.json()["code"] == "idempotency_mismatch"
        debit = "INSERT INTO ledger (user_id, kind, amount, source) VALUES (:id, 'debit', -4, 'clip')"
        await rows(app, debit, id=ann.id)
        back = {"number": 3, "credits": 4, "reason": "a bad clip"}
        answers = [(await client.post(f"{path}/give-back", json=back)).json() for _ in range(2)]
        assert answers[0]["balance"] == answers[1]["balance"] == given[0]["balance"]
