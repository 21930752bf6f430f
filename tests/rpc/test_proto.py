from __future__ import annotations

import base64
from pathlib import Path

import pytest

from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.messages import command, response
from app.services.conversation.events import Audio
from scripts.build_proto import ROOT, compile_proto

pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed (requirements-dev.txt)")


def test_the_code_that_is_checked_in_is_what_the_contract_gives(tmp_path: Path) -> None:
    """The serialized descriptor stands in captioner_pb2.py, so equal files mean an equal contract."""
    compile_proto(f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", f"--grpc_python_out={tmp_path}")
    made = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(made) == 3
    for path in made:
        checked_in = ROOT / path.relative_to(tmp_path)
        assert path.read_text() == checked_in.read_text(), f"{checked_in.name}: run python scripts/build_proto.py"


def test_sound_is_sent_as_bytes() -> None:
    data = base64.b64encode(b"\x00\xff" * 9).decode()
    message = response(Audio(seq=3, segment=1, language="es", rate=24_000, data=data, last=True))
    assert (message.seq, message.audio.segment, message.audio.data) == (3, 1, b"\x00\xff" * 9)
    assert command(pb.StreamCaptionsRequest(start=pb.Start(voice="es"))).voice == "es"  # type: ignore[union-attr]
