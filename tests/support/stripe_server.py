"""A server on this machine that answers like Stripe's API, as far as the service uses it, and signs as Stripe signs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import ClientSession, web

KEY, SECRET = "sk_test_glossline", "whsec_glossline"
PRICES = {"pro": "price_pro", "enterprise": "price_enterprise"}


class LocalStripe:
    """Its state may be changed by the test at any time, as at the real one."""

    def __init__(self) -> None:
        self.url = ""
        self.webhook = ""
        """Where events of its pages are sent; "": nowhere."""
        self.customers: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.charges: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.broken = False
        self._answers: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)

    def new_id(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers):06d}"

    # -- what happens at Stripe ---------------------------------------------------------------------------------------

    def subscribe(self, customer: str, price: str = PRICES["pro"], status: str = "active", **more: Any) -> str:
        key, now = self.new_id("sub"), int(time.time())
        item = {"id": self.new_id("si"), "object": "subscription_item", "price": {"id": price, "object": "price"}}
        item["current_period_end"] = now + 30 * 86400  # type: ignore[assignment]
        self.subscriptions[key] = {
            "id": key,
            "object": "subscription",
            "customer": customer,
            "status": status,
            "created": now,
            "cancel_at_period_end": False,
            "items": {"object": "list", "data": [item], "has_more": False, "url": "/v1/subscription_items"},
            **more,
        }
        return key

    def charge(self, customer: str, amount: int = 1000, refunded: int = 0) -> str:
        key = self.new_id("ch")
        fields = {"id": key, "object": "charge", "customer": customer, "amount": amount, "amount_refunded": refunded}
        self.charges[key] = fields
        return key

    def pay(self, session: str) -> dict[str, Any]:
        """The person pays on the page of a checkout session; returns the event of the new subscription."""
        asked = self.sessions[session]
        key = self.subscribe(asked["customer"], asked["price"])
        return self.event("customer.subscription.created", self.subscriptions[key])

    def event(self, kind: str, subject: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "id": self.new_id("evt"),
            "object": "event",
            "type": kind,
            "created": int(time.time()),
            "data": {"object": json.loads(json.dumps(subject))},
            **more,
        }

    # -- HTTP ---------------------------------------------------------------------------------------------------------

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._checked])
        app.router.add_post("/customers", self._new_customer)
        app.router.add_post("/checkout/sessions", self._new_session)
        app.router.add_post("/billing_portal/sessions", self._new_portal)
        app.router.add_get("/subscriptions", self._list_subscriptions)
        app.router.add_delete("/subscriptions/{id}", self._cancel)
        app.router.add_get("/charges/{id}", self._get_charge)
        pages = web.Application()
        for path, page, act in (("/pay/{id}", "Pay", self._pays), ("/portal/{id}", "End the subscription", self._ends)):
            pages.router.add_get(path, _button(page))
            pages.router.add_post(path, act)
        pages.add_subapp("/v1", app)
        return pages

    # -- pages for people ---------------------------------------------------------------------------------------------

    async def _pays(self, request: web.Request) -> web.StreamResponse:
        asked = self.sessions[request.match_info["id"]]
        await self._report(self.pay(request.match_info["id"]))
        raise web.HTTPSeeOther(asked["success_url"])

    async def _ends(self, request: web.Request) -> web.StreamResponse:
        asked = self.sessions[request.match_info["id"]]
        for subscription in self.subscriptions.values():
            if subscription["customer"] == asked["customer"]:
                subscription["status"] = "canceled"
                await self._report(self.event("customer.subscription.deleted", subscription))
        raise web.HTTPSeeOther(asked["return_url"])

    async def _report(self, event: dict[str, Any]) -> None:
        """Send the event to the service, as Stripe does; the page goes on when it was taken."""
        body, signature = signed(event)
        async with ClientSession() as client:
            headers = {"Content-Type": "application/json", "Stripe-Signature": signature}
            async with client.post(self.webhook, data=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()

    # -- the API ------------------------------------------------------------------------------------------------------

    @web.middleware
    async def _checked(self, request: web.Request, handler: Any) -> web.StreamResponse:
        form = {**{k: str(v) for k, v in (await request.post()).items()}, **dict(request.query)}
        self.requests.append((request.method, request.path, form))
        if self.broken:
            return _error(500, "api_error", "down")
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "invalid_request_error", "Invalid API Key provided")
        key = request.headers.get("Idempotency-Key")
        if request.method == "POST" and key in self._answers:
            return web.json_response(self._answers[key])
        request["form"] = form
        answer: dict[str, Any] | None = await handler(request)
        if answer is None:
            return _error(404, "invalid_request_error", f"No such object: {request.path}")
        if request.method == "POST" and key is not None:
            self._answers[key] = answer
        return web.json_response(answer)

    async def _new_customer(self, request: web.Request) -> dict[str, Any]:
        form = request["form"]
        key = self.new_id("cus")
        made = {"id": key, "object": "customer", "email": form["email"]}
        made["metadata"] = {"user_id": form["metadata[user_id]"]}
        self.customers[key] = made
        return made

    async def _new_session(self, request: web.Request) -> dict[str, Any] | None:
        form = request["form"]
        if form["customer"] not in self.customers or form["line_items[0][price]"] not in PRICES.values():
            return None
        key = self.new_id("cs")
        made = {"id": key, "object": "checkout.session", "url": f"{self.url}/pay/{key}", "mode": form["mode"]}
        self.sessions[key] = {"customer": form["customer"], "price": form["line_items[0][price]"], **form}
        return made

    async def _new_portal(self, request: web.Request) -> dict[str, Any] | None:
        if request["form"]["customer"] not in self.customers:
            return None
        key = self.new_id("bps")
        self.sessions[key] = request["form"]
        return {"id": key, "object": "billing_portal.session", "url": f"{self.url}/portal/{key}"}

    async def _list_subscriptions(self, request: web.Request) -> dict[str, Any]:
        form = request["form"]
        wanted = [s for s in self.subscriptions.values() if s["customer"] == form["customer"]]
        if form.get("status") != "all":
            wanted = [s for s in wanted if s["status"] != "canceled"]
        return {"object": "list", "data": wanted, "has_more": False, "url": "/v1/subscriptions"}

    async def _cancel(self, request: web.Request) -> dict[str, Any] | None:
        found = self.subscriptions.get(request.match_info["id"])
        if found is not None:
            found["status"] = "canceled"
        return found

    async def _get_charge(self, request: web.Request) -> dict[str, Any] | None:
        return self.charges.get(request.match_info["id"])


def _button(text: str) -> Any:
    """A page with one button, that posts to the same address."""

    async def page(_: web.Request) -> web.Response:
        html = f"<!doctype html><title>Stripe</title><form method='post'><button>{text}</button></form>"
        return web.Response(text=html, content_type="text/html")

    return page


def _error(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"error": {"type": kind, "message": message}}, status=status)


def signed(event: dict[str, Any] | bytes, secret: str = SECRET, age_s: float = 0) -> tuple[bytes, str]:
    """The body of a webhook and its header Stripe-Signature."""
    body = event if isinstance(event, bytes) else json.dumps(event, indent=2).encode()
    at = int(time.time() - age_s)
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return body, f"t={at},v1={signature}"


@contextmanager
def stripe_in_a_thread() -> Iterator[LocalStripe]:
    """For tests that have no event loop."""
    started: Future[LocalStripe] = Future()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        async with local_stripe() as stripe:
            started.set_result(stripe)
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        yield started.result(30)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()


@asynccontextmanager
async def local_stripe() -> AsyncIterator[LocalStripe]:
    stripe = LocalStripe()
    runner = web.AppRunner(stripe.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stripe.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stripe
    finally:
        await runner.cleanup()
