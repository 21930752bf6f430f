"""The AsyncAPI document, beside OpenAPI: live captions and live speech over WebSockets, captions for followers, and
Socket.IO. It is made of the classes that the service itself reads and writes, so nothing has to be kept in step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from fastapi import APIRouter, Request
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from app import __version__
from app.api import captions_follow, captions_socketio, captions_ws, speech_ws
from app.api.dependencies import ServicesDep
from app.core.errors import Close, all_errors
from app.services.captions.commands import JsonMessage
from app.services.captions.events import CaptionEvent, Final, Partial, Prediction
from app.services.speech.live.commands import SpeechMessage
from app.services.speech.live.events import SpeechEvent

router = APIRouter(include_in_schema=False)

DESCRIPTION = """Live captions for sign language, and live speech: what is said while a connection lasts.

Text messages are JSON objects with a `type`; every event of the service has an increasing `seq`. After a lost
connection `start` with `resume` continues the session, and no final is lost. docs/live.md and docs/speech.md describe
it in words; what is asked and answered once is in the OpenAPI document at `/openapi.json`."""

_FRAMES = """Bytes: a JPEG alone, which begins with FF D8 FF; or a header of 16 bytes, little-endian (u8 version = 1, u8
kind: 1 JPEG, 2 WebP, 3 landmarks, u16 flags = 0, u32 sequence number, u64 capture time in microseconds), then the
image, or float16[n][75][3] of 1 to 100 frames: x and y as fractions of the image, visibility; 33 points of the pose, 21
of the left hand, 21 of the right."""
_SOUND = "Bytes: a piece of sound, encoded as `start` says."
_TICKET = "For browsers, which cannot send headers: from `POST /api/auth/ticket`, valid once."

Models = tuple[type[BaseModel], ...]


@dataclass(frozen=True)
class Channel:
    """One way in."""

    name: str
    address: str
    protocol: str
    """`ws` or `http`."""
    description: str
    events: dict[str, Models]
    """What the service sends, by name; several classes under one name are told apart by `type`."""
    messages: dict[str, Models]
    """What clients send as JSON, by name."""
    binary: tuple[str, str] | None = None
    """Name and description of what clients send as bytes."""
    query: dict[str, str] | None = None
    """Parameters of the address and what they mean."""
    for_everybody: bool = False
    """Whether no account is asked for, whatever AUTH_MODE says."""


def members(union: Any) -> Models:
    """The classes of a union, annotated or not."""
    first = get_args(union)[0]
    return get_args(first) or get_args(union)


def by_type(models: Models) -> dict[str, Models]:
    return {model.model_fields["type"].default: (model,) for model in models}


def summary(model: type[BaseModel]) -> str:
    """Its docstring, or the one of the class that it is a kind of, on one line."""
    return " ".join(next(kind.__doc__ for kind in model.__mro__ if kind.__doc__ and kind is not BaseModel).split())


_CAPTIONS = tuple(model for model in members(CaptionEvent) if model is not Prediction)

CHANNELS = (
    Channel(
        "captions",
        captions_ws.PATH,
        "ws",
        "Live captions of signing, from images or landmarks.",
        by_type(_CAPTIONS),
        by_type(members(JsonMessage)),
        ("binary", _FRAMES),
        {"ticket": _TICKET},
    ),
    Channel(
        "speech",
        speech_ws.PATH,
        "ws",
        "Live captions of speech, translated, and read aloud on request.",
        by_type(members(SpeechEvent)),
        by_type(members(SpeechMessage)),
        ("binary", _SOUND),
        {"ticket": _TICKET},
    ),
    Channel(
        "followers",
        captions_follow.PATH,
        "http",
        "Captions of live sessions for others to read: server-sent events, named by their `type`, the event as data.",
        by_type((Partial, Final)),
        {},
        query={"session": "SHA-256, in hexadecimal, of the secret that the client sends as `follow` in its `start`."},
        for_everybody=True,
    ),
    Channel(
        "socketio",
        captions_socketio.PATH,
        "ws",
        "Live captions over Socket.IO 5 (Engine.IO 4): messages are named events with one object, whose `type`, their "
        "name, may be left out. In AUTH_MODE=required the payload `auth` of the connection has a `token`, `key` or "
        "`ticket`.",
        {
            "caption": _CAPTIONS,
            "prediction": (captions_socketio.CurrentSign,),
            "status": (captions_socketio.Status,),
        },
        by_type(members(JsonMessage)),
        ("message", _FRAMES),
        {"vocabulary": "As in `start`.", "sign_sets": "As in `start`, separated by commas."},
    ),
)


class _AsSent(GenerateJsonSchema):
    """Events are sent with all their fields, also those that have a default."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)


@cache
def _schemas() -> dict[str, JsonSchemaValue]:
    """JSON Schemas of all messages, by the name of their class."""
    events = {model for channel in CHANNELS for models in channel.events.values() for model in models}
    messages = {model for channel in CHANNELS for models in channel.messages.values() for model in models}
    named = sorted(events, key=lambda model: model.__name__), sorted(messages, key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [*((model, "serialization") for model in named[0]), *((model, "validation") for model in named[1])],
        ref_template="#/components/schemas/{model}",
        schema_generator=_AsSent,
    )
    schemas: dict[str, JsonSchemaValue] = definitions["$defs"]
    for model in messages:
        schemas[model.__name__]["required"] = ["type", *schemas[model.__name__].get("required", [])]
    return schemas


def document(host: str | None = None, secure: bool = False, accounts: bool = False) -> dict[str, Any]:
    """host: where the service is reached; None: not said. accounts: whether it asks who somebody is."""
    channels, operations = {}, {}
    schemes = [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("bearer", "key", "ticket")]
    for channel in CHANNELS:
        address = f"#/channels/{channel.name}"
        channels[channel.name] = _channel(channel, host is not None)
        for action, verb, names in (
            ("send", "send", channel.events),
            ("receive", "receive", [*channel.messages, *([channel.binary[0]] if channel.binary else [])]),
        ):
            if not names:
                continue
            prefix = "event" if action == "send" else "message"
            operation = operations[f"{verb}.{channel.name}"] = {
                "action": action,
                "channel": {"$ref": address},
                "summary": "What the service sends." if action == "send" else "What clients send.",
                "messages": [{"$ref": f"{address}/messages/{prefix}.{name}"} for name in names],
            }
            if accounts and not channel.for_everybody:
                operation["security"] = schemes
    servers = {
        protocol: {"host": host, "protocol": f"{protocol}{'s' if secure else ''}"}
        for protocol in ("ws", "http")
        if host is not None
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Glossline",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "MIT"},
        },
        **({"servers": servers} if servers else {}),
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access token or an API key."},
                "key": {"type": "httpApiKey", "in": "header", "name": "X-API-Key"},
                "ticket": {"type": "httpApiKey", "in": "query", "name": "ticket", "description": _TICKET},
            },
        },
    }


def _channel(channel: Channel, with_server: bool) -> dict[str, Any]:
    messages = {f"event.{name}": _message(name, models) for name, models in channel.events.items()}
    messages |= {f"message.{name}": _message(name, models) for name, models in channel.messages.items()}
    if channel.binary is not None:
        name, said = channel.binary
        messages[f"message.{name}"] = {
            "name": name,
            "summary": " ".join(said.split()),
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary"},
        }
    described: dict[str, Any] = {
        "address": channel.address,
        "description": channel.description,
        "messages": messages,
    }
    if with_server:
        described["servers"] = [{"$ref": f"#/servers/{channel.protocol}"}]
    if channel.query and channel.protocol == "ws":
        query = {name: {"type": "string", "description": said} for name, said in channel.query.items()}
        described["bindings"] = {"ws": {"method": "GET", "query": {"type": "object", "properties": query}}}
    elif channel.query:
        described["description"] += "".join(f" `?{name}=`: {said}" for name, said in channel.query.items())
    if channel.protocol == "ws" and channel.name != "socketio":
        described["x-close-codes"] = {
            str(int(close)): codes
            for close in Close
            if (codes := [kind.code for kind in all_errors() if kind.close is close])
        }
    return described


def _message(name: str, models: Models) -> dict[str, Any]:
    schemas = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    said = summary(models[0]) if len(models) == 1 else "One of the events of live captions, by its `type`."
    return {"name": name, "summary": said, "payload": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}


@router.get("/asyncapi.json")
async def asyncapi(request: Request, services: ServicesDep) -> dict[str, Any]:
    accounts = services.settings.auth_mode == "required"
    return document(request.url.netloc, request.url.scheme == "https", accounts)
