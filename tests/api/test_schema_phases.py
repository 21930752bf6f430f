"""schemathesis with the OpenAPI document in all its phases (examples, coverage, fuzzing, stateful), as nobody, as a
user and as an admin: no 5xx, no undocumented status, no example of the document that is refused.

The default is a share of it: examples as an admin, and the routes of SHARE as a user. The long run goes over the whole
document as everybody, with so many requests to each route in each of the last two phases:
GLOSSLINE_SCHEMA_EXAMPLES=100 pytest -s tests/api/test_schema_phases.py
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from app.core.principal import Role
from app.core.settings import Settings
from app.services.accounts.offline import accounts_of
from app.services.accounts.tokens import Token
from tests.conftest import fresh_database
from tests.support.accounts import PASSWORD, guarded
from tests.support.serving import in_a_thread
from tests.support.stripe_server import KEY, PRICES, SECRET, stripe_in_a_thread

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("GLOSSLINE_SCHEMA_EXAMPLES", "0"))
#: No document can hold a video or a link that was sent by mail: what is made up instead may be refused for what it is.
ACCEPTED = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "401", "402", "403", "404", "409"]
[[operations]]
include-path = ["/api/inference/predict", "/api/inference/landmarks", "/api/auth/password-reset/confirm"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "402", "403", "415", "422"]
"""
WHO = ("nobody", "user", "admin")
#: Few routes, with most of what routes have: ids in the path, filters, bodies, other methods of one path.
SHARE = "^/api/(keys|signs|history)"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,use_after_free,allow_header_conformance"
)


@dataclass(frozen=True)
class Served:
    """A service that charges, takes payments and may train, but has nothing to train on."""

    address: str
    tokens: dict[Role, str]
    """Access tokens that signing out everywhere does not end."""


@pytest.fixture(scope="module")
def service(tiny_settings: Settings, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    empty = tmp_path_factory.mktemp("empty")
    with fresh_database(postgres) as database, stripe_in_a_thread() as stripe:
        settings = guarded(
            tiny_settings,
            database,
            training=True,
            allowed_hosts=["glossline"],
            datasets_dir=empty,
            configs_dir=empty,
            runs_dir=empty,
            stripe_secret_key=SecretStr(KEY),
            stripe_webhook_secret=SecretStr(SECRET),
            stripe_prices=PRICES,
            stripe_api=stripe.url,
        )

        async def made() -> dict[Role, str]:
            async with accounts_of(settings) as (accounts, _):
                tokens: dict[Role, str] = {}
                for role in ("user", "admin"):
                    user = await accounts.create(f"{role}@example.org", PASSWORD, role)
                    tokens[role] = accounts._tokens.make("access", Token(uuid4(), user.id, 10**6), 36_000)
                return tokens

        with in_a_thread(settings) as address:
            yield Served(address, asyncio.run(made()))


def schemathesis(service: Served, who: str, folder: Path, *options: str) -> None:
    """Run its command line as this person; fails with what it prints unless everything is well."""
    token = service.tokens.get(who)  # type: ignore[call-overload]
    as_them = [] if token is None else ["-H", f"Authorization: Bearer {token}"]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.address}/openapi.json", "--no-color"),
        *("--suppress-health-check", "all", "--warnings", "off", "--generation-database", "none"),
        *("--request-timeout", "120", "--continue-on-failure"),
        *("--exclude-path", "/api/live/follow"),  # its answer has no end
        # Without an engine for translation their answer is 503, as documented.
        *("--exclude-path", "/api/speech/translate", "--exclude-path", "/api/signs/perform"),
        *as_them,
        *options,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    print(done.stdout)  # how much was tried, for -s
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]


@pytest.mark.parametrize("who", WHO if EXAMPLES else ["admin"])
def test_no_example_of_the_document_is_refused(service: Served, tmp_path: Path, who: str) -> None:
    """It may need an account, credits or something that is not there (401 to 404, 409), but is never invalid."""
    (tmp_path / "schemathesis.toml").write_text(ACCEPTED)
    schemathesis(service, who, tmp_path, "--phases", "examples", "--checks", f"{CHECKS},positive_data_acceptance")


@pytest.mark.parametrize("who", WHO if EXAMPLES else ["user"])
def test_answers_are_as_documented(service: Served, tmp_path: Path, who: str) -> None:
    count = ["-n", str(EXAMPLES)] if EXAMPLES else ["-n", "1", "--include-path-regex", SHARE]
    schemathesis(service, who, tmp_path, "--phases", "coverage,fuzzing,stateful", "--checks", CHECKS, *count)
