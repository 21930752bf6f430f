"""What tests of accounts share: an application that asks everybody who they are, and people who have accounts."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from app.core.principal import Role
from app.core.settings import Settings
from app.main import create_app

PASSWORD = "seven quiet herons"
SECRET = "a secret of thirty-two characters or more"


def guarded(settings: Settings, database_url: str, **changes: Any) -> Settings:
    """AUTH_MODE=required, with limits that tests do not reach."""
    given: dict[str, Any] = {
        "auth_mode": "required",
        "auth_secret": SecretStr(SECRET),
        "database_url": SecretStr(database_url),
        "requests_per_minute": 100_000,
        "sign_ins_per_minute": 10_000,
    }
    return settings.model_copy(update=given | changes)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


def client_of(app: FastAPI, address: str = "192.0.2.7", **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 5000))
    return httpx.AsyncClient(transport=transport, base_url="http://glossline", headers=headers, timeout=60)


@dataclass(frozen=True)
class Person:
    """Somebody who has signed in."""

    id: str
    email: str
    access: str
    refresh: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}


async def person(app: FastAPI, role: Role = "user") -> Person:
    """A new account, and its tokens."""
    email = f"{role}-{secrets.token_hex(6)}@example.org"
    await app.state.services.accounts.create(email, PASSWORD, role)
    signed_in = await app.state.services.accounts.sign_in(email, PASSWORD, None)
    return Person(str(signed_in.user.id), email, signed_in.access_token, signed_in.refresh_token)


async def key_of(app: FastAPI, owner: Person, *scopes: str) -> str:
    """A new API key of this account."""
    async with client_of(app) as client:
        answer = await client.post("/api/keys", json={"name": "test", "scopes": list(scopes)}, headers=owner.headers)
        assert answer.status_code == 201, answer.text
        key: str = answer.json()["key"]
        return key
