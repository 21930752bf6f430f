"""Events are types: what crosses a door has the fields that the docs and the gRPC contract have."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from google.protobuf.json_format import ParseError
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.rpc.messages import response
from app.services.captions import events
from app.services.captions.events import CaptionEvent, FoundLandmarks, Prediction
from app.services.conversation.events import Event
from scripts.build_docs import DOCS, TABLES, built
from tests.support.events import long_partial

KINDS = get_args(get_args(CaptionEvent)[0])


def filled(kind: type[BaseModel]) -> Any:
    """An instance with all fields set."""
    given: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        if name == "type":
            continue
        options = [field.annotation, *get_args(field.annotation)]
        models = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if models:
            value: Any = filled(models[0])
            given[name] = (value,) if getattr(field.annotation, "__origin__", None) is tuple else value
        else:
            given[name] = next(v for v in CANDIDATES if _fits(field.annotation, v))
    return kind(**given)


CANDIDATES: tuple[Any, ...] = ("endpoint", "draining", 7, 0.5, True, ("en",), [[0.1, 0.2, 1.0]])


def _fits(annotation: Any, value: object) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_is_read_back_from_its_json(kind: type[Event]) -> None:
    event = filled(kind)
    again = TypeAdapter(CaptionEvent).validate_json(event.model_dump_json())
    assert again == event
    assert type(again) is kind
    assert json.loads(event.model_dump_json())["type"] == event.type


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not Prediction], ids=lambda kind: kind.__name__)
def test_grpc_has_every_field_of_every_event(kind: type[Event]) -> None:
    """A field that the contract lacks raises ParseError."""
    event = filled(kind)
    message = response(event)
    assert message.WhichOneof("event") == event.type
    assert message.seq == event.seq


def test_a_field_that_grpc_does_not_know_is_an_error() -> None:
    class Typo(events.Stats):
        recieved: int = 1

    with pytest.raises(ParseError, match="recieved"):
        response(Typo(received=1, used=1, dropped=0, lag_ms=1.0, fps=25.0))


def test_events_cannot_be_changed_or_misspelt() -> None:
    event = long_partial(1, 10)
    with pytest.raises(ValidationError):
        event.segment = 2  # type: ignore[misc]
    with pytest.raises(ValidationError):
        FoundLandmarks(points=[], at_ms=1, wrong=2)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", TABLES)
def test_the_docs_have_the_tables_of_the_types(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert page == built(name, page), "run: python scripts/build_docs.py"
