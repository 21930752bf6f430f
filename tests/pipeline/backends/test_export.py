from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from app.pipeline.backends.export import Format, export_checkpoint, open_torch_export
from app.pipeline.backends.onnx_runtime import OnnxUnavailable, open_export
from app.pipeline.backends.parity import TOLERANCE, largest_difference, speeds
from app.pipeline.checkpoint import CheckpointConfig, CheckpointError, load_checkpoint, save_checkpoint
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import CaptionStream, StreamConfig
from tests.support.recognisers import VOCABULARY, tiny_checkpoint, varied
from tests.support.streams import push

#: The kind of network that reads a large vocabulary.
HEAD_AND_HANDS = {"body": "head", "norm": "layer", "hidden": 12, "residual": True}
FRAMES = normalise(varied(130).points, 4 / 3)


def windows(*lengths: int) -> list[NDArray[np.float32]]:
    return [FRAMES[n % 7 :][:n] for n in lengths]


def opened(checkpoint: Path, format: Format, out: Path):
    export_checkpoint(checkpoint, format, out)
    return open_export(checkpoint, folder=out) if format == "onnx" else open_torch_export(out, format)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny, with its ONNX export."""
    folder = tiny_checkpoint(tmp_path_factory.mktemp("ckpt") / "tiny")
    export_checkpoint(folder, "onnx")
    return folder


@pytest.mark.parametrize(
    ("format", "changes"),
    [
        ("onnx", {}),
        ("torchscript", {}),
        ("torch-export", {}),
        ("torchscript", {"temporal": "transformer"}),
        ("onnx", HEAD_AND_HANDS),
        ("torch-export", HEAD_AND_HANDS),
    ],
)
def test_an_export_says_what_the_network_says(tmp_path: Path, format: Format, changes: dict[str, Any]) -> None:
    config, _ = load_checkpoint(tiny_checkpoint(tmp_path / "tiny"))
    network: ModelConfig = replace(config.model, **changes)
    save_checkpoint(tmp_path / "it", CheckpointConfig("it", "ase", VOCABULARY, network), SignModel(network))
    exported = opened(tmp_path / "it", format, tmp_path / "out")
    eager = Recogniser.load(tmp_path / "it").backend
    for lengths in [(1,), (4,), (64,), (123,), (64, 64, 64), (5, 120, 33, 120, 2, 64)]:
        assert largest_difference(eager, exported, windows(*lengths)) <= TOLERANCE


@pytest.mark.parametrize("format", ["onnx", "torch-export"])
def test_a_transformer_is_refused_where_it_would_be_read_wrongly(tmp_path: Path, format: Format) -> None:
    network = ModelConfig(labels=3, body_dim=8, hand_dim=8, model_dim=16, temporal="transformer")
    save_checkpoint(tmp_path / "it", CheckpointConfig("it", "ase", VOCABULARY, network), SignModel(network))
    with pytest.raises(CheckpointError, match="torchscript only"):
        export_checkpoint(tmp_path / "it", format)


def test_a_difference_is_seen(checkpoint: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config, _ = load_checkpoint(checkpoint)
    save_checkpoint(tmp_path / "other", config, SignModel(config.model))
    eager, other = (Recogniser.load(folder).backend for folder in (checkpoint, tmp_path / "other"))
    assert largest_difference(eager, other, windows(64, 20)) > TOLERANCE
    assert all(speed.ratio > 0 for speed in speeds(eager, other, windows(64), repeats=2))


def test_files_and_streams_are_read_the_same_on_onnx_runtime(checkpoint: Path) -> None:
    eager, onnx = Recogniser.load(checkpoint), Recogniser.load(checkpoint, backend="onnx")
    clips = [varied(n, n) for n in (10, 64, 33, 300)]
    for clip in clips:
        a, b = eager.recognise(clip), onnx.recognise(clip)
        assert a.gloss == b.gloss
        assert a.attention == b.attention
        np.testing.assert_allclose([s.confidence for s in a.segments], [s.confidence for s in b.segments], atol=1e-4)

    def live(recogniser: Recogniser) -> list[str]:
        stream = CaptionStream(recogniser, StreamConfig(endpoint_s=60), clips[3].aspect)
        for points, time_s in zip(clips[3].points, clips[3].times, strict=True):
            push(stream, points, float(time_s))
        return [s.gloss for s in stream.finish().final]

    assert live(eager) == live(onnx) != []


def test_a_missing_export_is_refused_with_the_command(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    with pytest.raises(OnnxUnavailable, match=rf"no ONNX export .* python scripts/export_onnx.py {folder}"):
        Recogniser.load(folder, backend="onnx")


def test_an_export_of_other_weights_is_refused(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    export_checkpoint(folder, "onnx")
    config, model = load_checkpoint(folder)
    save_checkpoint(folder, replace(config, temperature=2.0), model)
    Recogniser.load(folder, backend="onnx")  # what is not in the graphs may change
    torch.nn.init.zeros_(model.classifier.weight)
    save_checkpoint(folder, config, model)
    with pytest.raises(OnnxUnavailable, match=r"other weights .* scripts/export_onnx.py"):
        Recogniser.load(folder, backend="onnx")


@pytest.mark.parametrize(("name", "content"), [("export.json", "[]"), ("export.json", "{"), ("classify.onnx", "?")])
def test_a_damaged_export_is_refused(tmp_path: Path, name: str, content: str) -> None:
    folder = tiny_checkpoint(tmp_path / "tiny")
    (export_checkpoint(folder, "onnx") / name).write_text(content)
    with pytest.raises(OnnxUnavailable, match=r"(damaged|cannot load).* scripts/export_onnx.py"):
        Recogniser.load(folder, backend="onnx")


def test_without_the_packages_it_says_what_to_install(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(OnnxUnavailable, match=r"pip install -r requirements-onnx.txt"):
        Recogniser.load(checkpoint, backend="onnx")
    monkeypatch.setattr("app.pipeline.backends.export.find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=r"pip install -r requirements-onnx.txt"):
        export_checkpoint(checkpoint, "onnx")


def test_a_card_that_onnx_runtime_cannot_use_is_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(OnnxUnavailable, match="no CUDA provider"):
        Recogniser.load(checkpoint, device="cuda:0", backend="onnx")


def test_the_export_tells_its_model(checkpoint: Path) -> None:
    assert json.loads((checkpoint / "onnx/export.json").read_text())["model_id"] == "tiny"
