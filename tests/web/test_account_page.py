"""The pages in a browser, as people use them: from registering to deleting the account."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
import pytest_asyncio
from loguru import logger
from pydantic import SecretStr

from app.core.settings import Settings
from app.services.accounts import second_factor
from scripts.check_page import PICTURES, SAMPLE
from tests.conftest import fresh_database
from tests.support import stripe_server
from tests.support.accounts import PASSWORD, guarded, running
from tests.support.serving import served
from tests.support.stripe_server import LocalStripe, local_stripe

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPOSITORY = Path(__file__).resolve().parents[2]
#: Credits of a month, so few that a first try uses them up.
FREE = 6
SLOW_MS = 60_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stripe() -> AsyncIterator[LocalStripe]:
    async with local_stripe() as stripe:
        yield stripe


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(
    tiny_settings: Settings, postgres: str, stripe: LocalStripe, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """The service with a real recogniser, plans, and a Stripe on this machine."""
    plans = tmp_path_factory.mktemp("plans") / "plans.toml"
    table = (REPOSITORY / "app/services/billing/plans.toml").read_text()
    plans.write_text(table.replace("monthly_credits = 1_800 ", f"monthly_credits = {FREE} "))
    changes = {
        "checkpoint": "asl-everyday",
        "checkpoint_dir": REPOSITORY / "checkpoints",
        "plans_file": plans,
        "stripe_secret_key": SecretStr(stripe_server.KEY),
        "stripe_webhook_secret": SecretStr(stripe_server.SECRET),
        "stripe_prices": stripe_server.PRICES,
        "stripe_api": stripe.url,
    }
    with fresh_database(postgres) as database:
        async with running(guarded(tiny_settings, database, **changes)) as app, served(app) as host:
            stripe.webhook = f"http://{host}/api/billing/webhook"
            yield f"http://{host}"


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Any, address: str) -> AsyncIterator[Any]:
    """A page of a browser that nobody has used; scripts that fail or that the policy refuses fail the test."""
    context = await browser.new_context(base_url=address, accept_downloads=True)
    await context.add_init_script(PICTURES)
    page, faults = await context.new_page(), []
    page.set_default_timeout(SLOW_MS)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: "Security Policy" in message.text and faults.append(message.text))
    yield page
    await context.close()
    assert faults == []


async def enter(page: Any, form: str, email: str, password: str = PASSWORD) -> None:
    await page.fill(f"#{form}-email", email)
    await page.fill(f"#{form}-password", password)
    await page.click(f"#{form} button[type=submit]")


async def register(page: Any, email: str) -> None:
    await page.get_by_role("button", name="Make an account").click()
    await enter(page, "register", email)


async def credits_shown(page: Any) -> int:
    await page.wait_for_selector("#who-credits:not(:empty)")
    return int((await page.inner_text("#who-credits")).split()[0].replace(",", ""))


async def status_of(address: str, key: str) -> int:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{address}/api/vocabularies", headers={"X-API-Key": key})).status_code


async def test_from_registering_to_deleting_the_account(page: Any, address: str) -> None:
    # Without an account, the caption page asks for one.
    await page.goto("/")
    await page.wait_for_selector("#door:not([hidden])")
    await page.click("#camera")
    await page.wait_for_selector("#live-problem:has-text('Sign in first')")
    await page.click("#live-problem a")
    await register(page, "ann@example.org")
    await page.wait_for_selector("#who-credits:not(:empty)")
    assert page.url == f"{address}/"
    assert await credits_shown(page) == FREE
    assert await page.is_hidden("#door")

    # A key, shown once.
    await page.goto("/account#keys")
    await page.fill("#key-name", "kiosk")
    await page.click("#make-key button[type=submit]")
    await page.wait_for_selector("#keys-rows tr")
    key = await page.inner_text("#new-key-text")
    assert await status_of(address, key) == 200
    await page.reload()
    await page.wait_for_selector("#keys-rows tr")
    assert await page.is_hidden("#new-key")
    assert key not in await page.content()
    await page.get_by_role("button", name="Revoke kiosk").click()
    await page.click("#sure-yes")
    await page.wait_for_selector("#keys-over li:has-text('kiosk')", state="attached")
    assert await status_of(address, key) == 401

    # Captions until the credits are used up.
    await page.goto("/")
    await page.check("#saving input")
    await page.click("#camera")
    await page.wait_for_selector("#live-warning:has-text('Few credits')")
    await page.wait_for_selector("#live-problem:has-text('The credits are used up')")
    assert "HELLO" in await page.text_content("#live-gloss")
    await page.wait_for_selector("#who-credits:text-is('0 credits')")

    # A larger plan.
    await page.click("#live-problem a")
    await page.get_by_role("button", name="Choose Pro").click()
    await page.get_by_role("button", name="Pay").click()
    await page.wait_for_url("**/account?checkout=done*")
    await page.wait_for_selector("#plan-name:text-is('Pro')")
    assert await credits_shown(page) == 72_000 - FREE

    # Captions again.
    await page.goto("/")
    await page.click("[data-sample='hello.mp4']")
    await page.wait_for_selector("#live-status:has-text('They are kept')", state="attached")
    await page.wait_for_selector("ol#history li:has-text('Hello')")
    await page.wait_for_selector("#state[data-state=off]", state="attached")

    await page.click("[data-opens=upload-sheet]")
    await page.set_input_files("#file", SAMPLE)
    await page.click("#send")
    await page.wait_for_selector("#sentence:has-text('Hello')")

    # All are in the history, the file first: a line is corrected and found, a file saved, a session deleted.
    await page.goto("/account#history")
    await page.wait_for_selector("#sessions > li:nth-child(3)")
    newest = page.locator("#sessions > li").first
    await newest.locator("summary").click()
    await newest.get_by_role("button", name="Correct: Hello").first.click()
    await newest.get_by_label("What was signed, in English").fill("Good morning, neighbour.")
    await newest.get_by_role("button", name="Save", exact=True).click()
    await newest.locator("text=Recognised was: Hello").wait_for()
    async with page.expect_download() as saved:
        await newest.get_by_role("button", name="Save as SRT").click()
    assert "Good morning, neighbour." in (await (await saved.value).path()).read_text()
    await page.fill("#history-q", "neighbour")
    await page.click("#history-search button")
    await page.wait_for_selector("#history .status:has-text('1 session found')")
    await page.locator("#sessions summary").click()
    await page.get_by_role("button", name="Delete the session").click()
    await page.click("#sure-yes")
    await page.wait_for_selector("#history .status:has-text('deleted')")
    async with page.expect_download() as saved:
        await page.click("#export")
    everything = json.loads((await (await saved.value).path()).read_text())
    assert "neighbour" not in json.dumps(everything)
    assert "HELLO" in json.dumps(everything)

    # The end: the subscription first, then the account.
    await page.click("#ending summary")
    await page.fill("#delete-password", PASSWORD)
    await page.click("#delete button")
    await page.click("#sure-yes")
    await page.wait_for_selector("#data .problem:not([hidden])")
    await page.get_by_role("button", name="Manage the subscription").click()
    await page.get_by_role("button", name="End the subscription").click()
    await page.wait_for_url("**/account#plan")
    await page.wait_for_selector("#plan-name:text-is('Free')")
    await page.click("#ending summary")
    await page.fill("#delete-password", PASSWORD)
    await page.click("#delete button")
    await page.click("#sure-yes")
    await page.wait_for_selector("#door-sign-in:not([hidden])")
    await enter(page, "sign-in", "ann@example.org")
    await page.wait_for_selector("#door-sign-in .problem:not([hidden])")


async def test_signing_in_with_a_second_factor_and_a_reset_link(page: Any, address: str) -> None:
    await page.goto("/account")
    await register(page, "bob@example.org")
    await page.click("#second-begin")
    await page.wait_for_selector("#second-qr[src^='data:image/svg']")
    totp = pyotp.TOTP((await page.inner_text("#second-secret")).replace(" ", ""))
    await page.fill("#second-code", totp.now())
    await page.click("#second-on button[type=submit]")
    await page.wait_for_selector("#second-state:has-text('On')")

    # A reload, and another tab: still signed in, though no script can see the token.
    await page.reload()
    await page.wait_for_selector("#mine:not([hidden])")
    other = await page.context.new_page()
    await other.goto("/account")
    await other.wait_for_selector("#mine:not([hidden])")
    seen = await page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies(f"{address}/api/auth/refresh")}
    assert cookies["glossline_refresh"]["httpOnly"]
    assert cookies["glossline_refresh"]["sameSite"] == "Strict"
    assert cookies["glossline_refresh"]["value"] not in seen
    assert "eyJ" not in seen
    await page.click("#sign-out")
    for tab in (page, other):
        await tab.wait_for_selector("#door-sign-in:not([hidden])")
    await other.close()

    # A link from the log, in place of a mail.
    links: list[str] = []
    sink = logger.add(lambda line: links.extend(re.findall(r"/account#reset=[\w-]+", line)), level="WARNING")
    await page.get_by_role("button", name="Forgotten the password?").click()
    await page.fill("#forgotten-email", "bob@example.org")
    await page.click("#forgotten button[type=submit]")
    await page.wait_for_selector("#door-forgotten .status:has-text('log of the service')")
    logger.remove(sink)
    await page.goto("about:blank")
    await page.goto(links[0])
    await page.fill("#reset-password", "eleven other herons")
    assert "reset=" not in page.url
    await page.click("#reset button[type=submit]")
    await page.wait_for_selector("#news:has-text('The new password is set')")

    # The code is asked for. The one that turned it on counts no more; that of the next half minute does already.
    await enter(page, "sign-in", "bob@example.org", "eleven other herons")
    await page.fill("#sign-in-code", totp.at(time.time() + second_factor.STEP_S))
    await page.click("#sign-in button[type=submit]")
    await page.wait_for_selector("#mine:not([hidden])")
