"""Write the tables of the docs that come from types: live commands and events, errors. The tests compare them.

python scripts/build_docs.py            # writes docs/live.md, docs/grpc.md, docs/errors.md, docs/speech.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from pydantic import BaseModel  # noqa: E402

from app.api.asyncapi import members, summary  # noqa: E402
from app.core.errors import Close, LiveError, ServiceError, all_errors  # noqa: E402
from app.rpc.status import status_of, stream_status  # noqa: E402
from app.services.captions.commands import JsonMessage  # noqa: E402
from app.services.captions.events import CaptionEvent  # noqa: E402
from app.services.conversation.commands import Resume  # noqa: E402
from app.services.speech.live.commands import SpeechMessage  # noqa: E402
from app.services.speech.live.events import SpeechEvent  # noqa: E402

DOCS = REPOSITORY / "docs"
#: These errors are the answer of a live session; all others of a live session are shared with HTTP.
SHARED_WITH_LIVE = (
    "internal_error",
    "device_fault",
    "landmarks_unavailable",
    "invalid_landmarks",
    "unknown_vocabulary",
)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def flat(text: str | None) -> str:
    return " ".join((text or "").split())


def fields(model: type[BaseModel]) -> str:
    said = []
    for name, field in model.model_fields.items():
        if name in ("type", "seq"):
            continue
        default = "" if field.is_required() or field.default in (None, ()) else f" ({_json(field.default)})"
        about = f": {flat(field.description).rstrip('.')}" if field.description else ""
        said.append(f"`{name}`{default}{about}")
    return "; ".join(said)


def _json(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def described(model: type[BaseModel]) -> str:
    rest = fields(model)
    return f"{summary(model)}{' ' if rest else ''}{rest}{'.' if rest else ''}"


def name_of(model: type[BaseModel]) -> str:
    return f"`{model.model_fields['type'].default}`"


def commands() -> str:
    rows = [(name_of(model), described(model)) for model in members(JsonMessage)]
    rows.append(("`resume` of `start`", described(Resume)))
    return table(("message", "meaning and fields (defaults in brackets)"), rows)


def events() -> str:
    return table(("event", "content"), [(name_of(model), described(model)) for model in members(CaptionEvent)])


def live_errors() -> str:
    rows = []
    for kind in all_errors():
        if issubclass(kind, LiveError) or kind.code in SHARED_WITH_LIVE:
            end = "the session continues" if kind.close is None else str(int(kind.close))
            rows.append((f"`{kind.code}`", end, kind.title, kind.example))
    return table(("code", "close code", "what it means", "for example"), rows)


def close_codes() -> str:
    rows = [("1000", "the client sent `stop`, or closed the connection")]
    for close in Close:
        codes = [f"`{kind.code}`" for kind in all_errors() if kind.close is close]
        if codes:
            rows.append((str(int(close)), ", ".join(codes)))
    return table(("close code", "after the error"), rows)


def statuses() -> str:
    """gRPC statuses of whole clips and of live streams."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for kind in all_errors():
        if not issubclass(kind, LiveError):
            found.setdefault(status_of(kind()).name, ([], []))[0].append(f"`{kind.code}`")
        if kind.close is not None:
            found.setdefault(stream_status(kind()).name, ([], []))[1].append(f"`{kind.code}`")
    rows = [("OK", "", "after `done`")]
    rows += [(status, ", ".join(clips), ", ".join(live)) for status, (clips, live) in sorted(found.items())]
    return table(("status", "calls", "live streams"), rows)


def errors() -> str:
    def row(kind: type[ServiceError]) -> tuple[str, ...]:
        close = "" if kind.close is None else str(int(kind.close))
        return str(kind.status), f"`{kind.code}`", kind.title, close, kind.example

    return table(("status", "code", "title", "close code", "for example"), [row(kind) for kind in all_errors()])


def speech_commands() -> str:
    rows = [(name_of(model), described(model)) for model in members(SpeechMessage)]
    rows.append(("binary", "A piece of sound."))
    return table(("message", "meaning and fields (defaults in brackets)"), rows)


def speech_events() -> str:
    return table(("event", "content"), [(name_of(model), described(model)) for model in members(SpeechEvent)])


TABLES = {
    "live.md": {"commands": commands, "events": events, "errors": live_errors, "close codes": close_codes},
    "grpc.md": {"statuses": statuses},
    "errors.md": {"errors": errors},
    "speech.md": {"commands": speech_commands, "events": speech_events},
}


def built(name: str, text: str) -> str:
    """`text` of the page `name` with its tables as the types have them. Raises ValueError where a mark is missing."""
    for what, make in TABLES[name].items():
        begin, end = f"<!-- {what}: written by scripts/build_docs.py -->\n", f"<!-- end of {what} -->"
        before, found, rest = text.partition(begin)
        _, also, after = rest.partition(end)
        if not found or not also:
            raise ValueError(f"{name} has no place for the table of {what}: {begin.strip()} ... {end}")
        text = f"{before}{begin}\n{make()}\n\n{end}{after}"
    return text


def main() -> None:
    for name in TABLES:
        page = DOCS / name
        page.write_text(built(name, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
