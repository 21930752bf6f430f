"""The OpenAPI document: what FastAPI derives, plus the bodies, errors and optional security that it cannot know."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.api.inference import BODY_MODELS
from app.api.origins import LIVENESS
from app.api.problems import MEDIA_TYPE, Problem, responses
from app.api.schemas.billing import StripeEventBody
from app.core import errors

TAGS = [
    {"name": "inference", "description": "Signing in, glosses and a sentence out."},
    {
        "name": "training",
        "description": "Train your own recogniser: jobs, their curves and logs, and the active checkpoint.",
    },
    {"name": "accounts", "description": "Signing in, API keys, and for admins the accounts of others."},
    {"name": "history", "description": "Captions that an account keeps: list, search, correct, delete."},
    {"name": "billing", "description": "Plans, credits and payments."},
    {"name": "live", "description": "Live captions, for others to read along."},
    {"name": "speech", "description": "Speech to text, English to Spanish and back, text to a voice."},
    {"name": "vocabulary", "description": "The signs the recogniser knows."},
    {"name": "health", "description": "Liveness, readiness, system information."},
]
DESCRIPTION = """Live captions for sign language.

Send a video of a person signing to `POST /api/inference/predict`, frames to `/api/inference/frames`, or body
landmarks to `/api/inference/landmarks`; the answer holds the signs (glosses) with their times and an English sentence.

Every error is `application/problem+json` (RFC 9457): programs read `code`, which is stable, people read `detail`. Each
response carries the header `X-Request-ID`, which identifies the request in the log; a client may send its own.

Requests under an unknown host name and requests of pages of other sites are refused with 403; the settings
`ALLOWED_HOSTS` and `CORS_ORIGINS` let them in. Live captions and live speech (WebSocket, Socket.IO, followers) are
in the AsyncAPI document at `/asyncapi.json`, and in words in docs/live.md and docs/speech.md.

The recogniser is for research and evaluation. It knows only the glosses listed at
`/api/vocabularies`, and reads with those of one vocabulary at a time."""

CHANGING = ("post", "put", "patch", "delete")
#: Routes that belong to an account, in every AUTH_MODE.
OF_ACCOUNTS = ("/api/auth", "/api/users", "/api/keys", "/api/account", "/api/billing", "/api/history")
#: What a route answers whose clients are asked who they are.
GUARDED = (errors.Unauthenticated, errors.Forbidden, errors.TooManyRequests, errors.DatabaseUnavailable)


def install(app: FastAPI) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=TAGS,
                license_info={"name": "MIT", "identifier": "MIT"},
            )
            _, definitions = models_json_schema(
                [(model, "validation") for model in (Problem, StripeEventBody, *BODY_MODELS)],
                ref_template="#/components/schemas/{model}",
            )
            schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions.get("$defs", {}))
            for path, methods in schema["paths"].items():
                for method, operation in methods.items():
                    _complete(path, method, operation)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add what applies to every operation: refusals by Host and Origin, and by who asks."""
    kinds: list[type[errors.ServiceError]] = [] if path == LIVENESS else [errors.MalformedRequest, errors.HostRefused]
    if method in CHANGING:
        kinds.append(errors.OriginRefused)
    if "security" in operation:
        kinds += GUARDED
    for status, added in responses(kinds).items():
        known = operation["responses"].setdefault(str(status), added)
        known.setdefault("headers", {}).update(added.get("headers", {}))
        examples = known["content"][MEDIA_TYPE]["examples"]
        for code, example in added["content"][MEDIA_TYPE]["examples"].items():
            if code not in examples:
                examples[code] = example
                known["description"] += f"; `{code}`: {example['summary'].lower()}"
    if "security" in operation:
        # Either of them will do; and in AUTH_MODE=open, routes that belong to no account need neither.
        names = [name for entry in operation["security"] for name in entry]
        operation["security"] = [{name: []} for name in dict.fromkeys(names)]
        if not path.startswith(OF_ACCOUNTS):
            operation["security"].append({})
