from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors.torch import save_file

from app.pipeline.checkpoint import looks_pickled


def test_weights_are_never_taken_for_a_pickle(tmp_path: Path) -> None:
    # A safetensors file begins with the length of its header, and lengths may begin like a pickle or a zip file.
    path, starts = tmp_path / "model.safetensors", set()
    for size in range(0, 900, 8):
        save_file({"weight": torch.zeros(1)}, path, {"note": "x" * size})
        starts.add(path.read_bytes()[:2])
        assert not looks_pickled(path), size
    assert b"\x80\x02" in starts


def test_pickles_of_every_protocol_are_known(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({"weight": [1.0] * 50}, protocol))
        assert looks_pickled(path), protocol
    for zipped in (True, False):
        torch.save({"weight": torch.zeros(3)}, path, _use_new_zipfile_serialization=zipped)
        assert looks_pickled(path), zipped


def test_what_is_too_short_to_be_anything_is_no_pickle(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert not looks_pickled(tmp_path / "empty")
