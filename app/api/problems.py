"""Errors on the wire: application/problem+json (RFC 9457) for our own, the framework's and unexpected ones alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from loguru import logger
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.core import errors

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """An error, RFC 9457. Programs read `code`, people read `detail`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="Always about:blank: `code` says which problem it is.")
    title: str = Field(description="What kind of problem this is; the same text every time.")
    status: int = Field(description="The HTTP status again.", ge=400, le=599)
    code: str = Field(description="Stable name of the problem, for programs.", pattern="^[a-z_]+$")
    detail: str = Field(description="What happened this time, why, and what to do.")
    request_id: str | None = Field(None, description="Finds this request in the log of the service.")


def problem_response(error: errors.ServiceError, request_id: str | None) -> JSONResponse:
    body = Problem(
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
        type="about:blank",
        **error.extra,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), status_code=error.status, headers=error.headers, media_type=MEDIA_TYPE
    )


def responses(kinds: Iterable[type[errors.ServiceError]]) -> dict[int | str, dict[str, Any]]:
    """What a route that may answer with these errors documents: one entry per status, one example per code."""
    documented: dict[int | str, dict[str, Any]] = {}
    for kind in sorted(kinds, key=lambda error: (error.status, error.code)):
        entry = documented.setdefault(
            kind.status,
            {
                "description": "",
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        entry["description"] += f"{'; ' if entry['description'] else ''}`{kind.code}`: {kind.title.lower()}"
        entry["content"][MEDIA_TYPE]["examples"][kind.code] = {
            "summary": kind.title,
            "value": {
                "type": "about:blank",
                "title": kind.title,
                "status": kind.status,
                "code": kind.code,
                "detail": kind.example,
                "request_id": "5f0c2a9e7d8b4c1f",
            },
        }
        if kind.retry_after_s is not None:
            entry["headers"] = {
                "Retry-After": {"description": "Seconds to wait before the next try.", "schema": {"type": "string"}}
            }
    return documented


def _request_id(request: Request) -> str | None:
    value: str | None = request.scope.get("request_id")
    return value


def install(app: FastAPI) -> None:
    """Register the handlers on an application."""

    @app.exception_handler(errors.ServiceError)
    async def service_error(request: Request, error: errors.ServiceError) -> Response:
        if error.status >= 500:
            logger.warning("{} {}: {}", error.status, error.code, error.detail)
        else:
            logger.info("{} {}", error.status, error.code)
        return problem_response(error, _request_id(request))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(invalid_request(list(error.errors())), _request_id(request))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        match error.status_code:
            case 404:
                answer: errors.ServiceError = errors.NotFound(headers=headers)
            case 405:
                answer = errors.MethodNotAllowed(
                    f"{request.method} is not possible here. The header Allow names what is.", headers=headers
                )
            case status if status < 500:
                answer = errors.MalformedRequest(str(error.detail), headers=headers)
            case _:
                answer = errors.InternalError(headers=headers)
        return problem_response(answer, _request_id(request))

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        # Nobody reads this; it only ends the exchange in an orderly way. 499 is what proxies log for it.
        logger.info("the client went away")
        return Response(status_code=499)


def invalid_request(problems: list[Any]) -> errors.InvalidRequest:
    """One InvalidRequest for pydantic's list of errors: where and what, without the values that were sent."""
    found = [
        {
            "field": ".".join(str(part) for part in problem["loc"] if part != "body"),
            "message": problem["msg"].removeprefix("Value error, "),
        }
        for problem in problems[:20]
    ]
    detail = "; ".join(f"{item['field'] or 'body'}: {item['message']}" for item in found[:5])
    return errors.InvalidRequest(detail, errors=found)
