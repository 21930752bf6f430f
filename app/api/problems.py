"""Errors on the wire: application/problem+json (RFC 9457) for our own, the framework's and unexpected ones alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from loguru import logger
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.core import errors
from app.core.limits import RateLimit

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """An error (RFC 9457). Programs read `code`, people read `detail`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="Always about:blank; `code` identifies the problem.")
    title: str = Field(description="Kind of problem; the same text every time.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    code: str = Field(description="Stable name of the problem, for programs.", pattern="^[a-z_]+$")
    detail: str = Field(description="What happened, why, and what to do.")
    request_id: str | None = Field(None, description="Identifies this request in the service's log.")


def problem_response(error: errors.ServiceError, request_id: str | None) -> JSONResponse:
    body = Problem(
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
        **error.extra,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), status_code=error.status, headers=error.headers, media_type=MEDIA_TYPE
    )


async def refuse(error: errors.ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer an HTTP request, or a WebSocket handshake before it is accepted, with this error."""
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})  # servers without the extension answer 403
        return
    await problem_response(error, scope.get("request_id"))(scope, receive, send)


def responses(kinds: Iterable[type[errors.ServiceError]]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for these errors: one entry per status, one example per code."""
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
                "Retry-After": {"description": "Seconds to wait before retrying.", "schema": {"type": "string"}}
            }
    return documented


def install(app: FastAPI, live_path: str) -> None:
    """Register the handlers on an application. live_path: of live captions, named to clients of a wrong path."""
    http_not_found = app.router.default
    log = RateLimit(10, 10 / 60)

    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        """Without this, a WebSocket to an unknown path is answered with 403, as if it were forbidden."""
        if scope["type"] != "websocket":
            await http_not_found(scope, receive, send)
            return
        if log.allows():
            logger.info("no WebSocket at {}: live captions are at {}", scope["path"], live_path)
        error = errors.NotFound(f"There is no WebSocket at this path. Live captions are at {live_path}.")
        await refuse(error, scope, receive, send)

    app.router.default = not_found

    @app.exception_handler(errors.ServiceError)
    async def service_error(request: Request, error: errors.ServiceError) -> Response:
        if error.status >= 500:
            logger.warning("{} {}: {}", error.status, error.code, error.detail)
        else:
            logger.info("{} {}", error.status, error.code)
        return problem_response(error, request.scope.get("request_id"))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(invalid_request(list(error.errors())), request.scope.get("request_id"))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        match error.status_code:
            case 404:
                answer: errors.ServiceError = errors.NotFound(headers=headers)
            case 405:
                headers |= {"Allow": ", ".join(methods)} if (methods := _methods(request)) else {}
                answer = errors.MethodNotAllowed(
                    f"{request.method} is not supported here. The header Allow lists the supported methods.",
                    headers=headers,
                )
            case status if status < 500:
                answer = errors.MalformedRequest(str(error.detail), headers=headers)
            case _:
                answer = errors.InternalError(headers=headers)
        return problem_response(answer, request.scope.get("request_id"))

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        # This response is never received; it ends the exchange cleanly. 499 is the status proxies log for it.
        logger.info("the client disconnected")
        return Response(status_code=499)


def _methods(request: Request) -> list[str]:
    """All methods of this path. The framework names those of its first route alone."""
    path = getattr(request.scope.get("route"), "path", None)
    routes = iter_route_contexts(request.app.routes)
    return sorted({method for route in routes if route.path == path for method in route.methods or ()})


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
