"""Every door renders the same caption with the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

from google.protobuf.json_format import MessageToDict

from app.api.schemas.clips import Prediction
from app.cli.caption import rendered
from app.pipeline.caption import Caption, CaptionWarning
from app.pipeline.recogniser import GlossSegment, Recognition
from app.rpc.messages import recognition as to_message
from app.services.recognition.service import ClipResult

FOUND = Recognition(
    segments=(GlossSegment("HELLO", 0.3204, 1.12, 0.97126), GlossSegment("YOU", 1.44, 2.08, 0.5, unsure=True)),
    sentence="Hello, you.",
    confidence=0.73563,
    frame_count=49,
    duration_s=1.96,
    fps=25.0,
    attention={"rgb": 1 / 3, "pose": 2 / 3},
)
WARNINGS = [CaptionWarning("no_hands", "A person was found, but no hand.")]


def test_http_grpc_and_the_command_line_say_the_same() -> None:
    outcome = ClipResult(FOUND, WARNINGS, 1.23456, "tiny", "all", "ase")
    caption = outcome.caption
    assert caption == Caption.of_recognition(FOUND, "tiny", "all", WARNINGS)
    by_http = Prediction.of(outcome).model_dump(mode="json")
    assert by_http == {**caption.as_clip(), "processing_time_s": 1.2346}
    by_grpc = MessageToDict(to_message(outcome), preserving_proto_field_name=True, including_default_value_fields=True)
    without = {k: v for k, v in by_http.items() if k != "by_rules"}  # null: not sent
    assert by_grpc == {**without, "processing_time_s": 1.23456, "text": {"en": "Hello, you."}}
    by_command = json.loads(rendered(caption, "json", "ase", Path("a.mp4"), several=False))
    expected = {k: v for k, v in by_http.items() if k != "processing_time_s"}
    assert by_command == {"file": "a.mp4", **expected, "warnings": ["no_hands", "low_confidence"]}
    assert (
        rendered(caption, "text", "ase", Path("a.mp4"), several=True) == "a.mp4: Hello, you.  [HELLO (97%) YOU? (50%)]"
    )
    assert rendered(caption, "srt", "ase", Path("a.mp4"), several=False).splitlines()[1:] == [
        "00:00:00,320 --> 00:00:01,960",
        "Hello, you.\N{NO-BREAK SPACE}[?]",
    ]
