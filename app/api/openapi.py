"""The OpenAPI document: what FastAPI finds by itself, and the bodies and errors that routes handle themselves."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.api.inference import BODY_MODELS
from app.api.problems import Problem

TAGS = [
    {"name": "inference", "description": "Signing in, glosses and a sentence out."},
    {
        "name": "training",
        "description": "Recognisers of one's own: jobs, their curves and logs, and which one answers.",
    },
    {"name": "vocabulary", "description": "What the recogniser can say."},
    {"name": "health", "description": "Is it there, is it ready, what is it made of."},
]
DESCRIPTION = """Live captions for sign language.

Send a video of a person signing to `POST /api/inference/predict`, single pictures to `/api/inference/frames`, or body
landmarks to `/api/inference/landmarks`; the answer holds the signs (glosses) with their times and an English sentence.

Every error is `application/problem+json` (RFC 9457): programs read `code`, which is stable, people read `detail`. Each
answer carries the header `X-Request-ID`, which finds the request in the log; a client may send its own.

The recogniser is for research and evaluation. It knows the glosses at `/labels` and no others."""


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
                [(model, "validation") for model in (Problem, *BODY_MODELS)],
                ref_template="#/components/schemas/{model}",
            )
            schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions.get("$defs", {}))
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
