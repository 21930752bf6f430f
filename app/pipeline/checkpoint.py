"""A trained recogniser on disk: weights, configuration, vocabulary and provenance, one folder, one id.

`<folder>/model.safetensors` and `<folder>/config.json`; no pickles, and no YAML needed to load.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from app.pipeline.module1_preprocessing.resample import MODEL_FPS
from app.pipeline.module1_preprocessing.tracks import TRACK_FPS, TRACK_NORMALISER, TRACKS
from app.pipeline.module3_sequence.ensemble import SignEnsemble
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.pipeline.whole_files import whole_file, write_whole

FORMAT = 1
KEYPOINTS = "mediapipe-holistic-75"
NORMALISER = "shoulder-median-50/1"
#: What a network may read, and how it must have been prepared: normaliser and frames a second.
INPUTS: dict[str, tuple[str, float]] = {KEYPOINTS: (NORMALISER, MODEL_FPS), TRACKS: (TRACK_NORMALISER, TRACK_FPS)}


#: A config of ten thousand glosses has a tenth of it; what is larger is no config, and is not read into memory.
MAX_CONFIG_BYTES = 4 << 20


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged or made for something else; the message says what to do."""


@dataclass(frozen=True)
class DecoderConfig:
    """How lattices become glosses, chosen on dev.

    beam: prefix beam width, 1 = greedy. blank_bias: log units taken from the blank at every step; CTC trained on few
    signers hides behind the blank when unsure of a new one. min_confidence: signs under it are not said. merge_s: the
    same gloss again within so many seconds of its end is one sign with a repeated movement. window,
    stride: frames of the longest single pass over a file and its step. lm_weight, length_bonus: of the gloss language
    model, where evaluation uses one; captions use none.
    """

    beam: int = 5
    blank_bias: float = 0.0
    min_confidence: float = 0.0
    merge_s: float = 0.0
    window: int = 256
    stride: int = 128
    lm_weight: float = 0.0
    length_bonus: float = 0.0


@dataclass(frozen=True)
class CheckpointConfig:
    """Everything but the weights. vocabulary: gloss of label 1, 2, ...; temperature calibrates confidence on dev;
    members: networks of the same make whose answers are averaged."""

    model_id: str
    sign_language: str
    vocabulary: tuple[str, ...]
    model: ModelConfig
    temperature: float = 1.0
    decoder: DecoderConfig = DecoderConfig()
    provenance: dict[str, Any] = field(default_factory=dict)
    members: int = 1

    @property
    def keypoints(self) -> str:
        """What the network reads: landmarks of a camera, or the tracks of a corpus."""
        return TRACKS if self.model.pose_encoder == "tracks" else KEYPOINTS

    def to_dict(self) -> dict[str, Any]:
        normaliser, fps = INPUTS[self.keypoints]
        return {
            "format": FORMAT,
            "model_id": self.model_id,
            "sign_language": self.sign_language,
            "keypoints": self.keypoints,
            "normaliser": normaliser,
            "fps": fps,
            "vocabulary": list(self.vocabulary),
            "model": self.model.to_dict(),
            "temperature": self.temperature,
            "decoder": asdict(self.decoder),
            "provenance": self.provenance,
            **({"members": self.members} if self.members > 1 else {}),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CheckpointConfig:
        """Inverse of `to_dict`. Raises CheckpointError for another format, schema, or a field that makes no sense."""
        keypoints = TRACKS if values.get("keypoints") == TRACKS else KEYPOINTS
        normaliser, fps = INPUTS[keypoints]
        expected = {"format": FORMAT, "keypoints": keypoints, "normaliser": normaliser, "fps": fps}
        for key, value in expected.items():
            if values.get(key) != value:
                raise CheckpointError(
                    f"this checkpoint has {key} {values.get(key)!r}, this version of Glossline needs {value!r}; "
                    f"use a checkpoint trained with this version"
                )
        try:
            config = cls(
                model_id=str(values["model_id"]),
                sign_language=str(values["sign_language"]),
                vocabulary=tuple(map(str, values["vocabulary"])),
                # Pretrained weights are training's concern: a checkpoint brings all its own.
                model=ModelConfig.from_dict(_without_pretrained(values["model"])),
                temperature=float(values["temperature"]),
                decoder=DecoderConfig(**values["decoder"]),
                provenance=dict(values.get("provenance", {})),
                members=int(values.get("members", 1)),
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise CheckpointError(f"config.json is damaged or incomplete: {error}") from error
        if config.model.labels != len(config.vocabulary) or len(set(config.vocabulary)) != len(config.vocabulary):
            raise CheckpointError(
                f"config.json names {len(config.vocabulary)} glosses but the model has {config.model.labels} labels, "
                f"or a gloss stands twice"
            )
        if config.keypoints != keypoints or config.members < 1:
            raise CheckpointError(
                f"config.json is damaged: {config.members} networks with the encoder {config.model.pose_encoder!r} "
                f"for {keypoints}"
            )
        return config


def _without_pretrained(model: dict[str, Any]) -> dict[str, Any]:
    return {**model, "rgb": {**model["rgb"], "weights": None}} if model.get("rgb") else model


def save_checkpoint(folder: Path, config: CheckpointConfig, model: nn.Module) -> None:
    """Write weights and config into `folder` (made if missing); each file appears only when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "model.safetensors") as part:
        save_file({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, part)
        part.chmod(0o644)  # safetensors makes it private; a service user must read it
    write_whole(folder / "config.json", json.dumps(config.to_dict(), indent=1) + "\n")


def read_config(folder: Path) -> CheckpointConfig:
    """Only the config. Raises CheckpointError with the remedy when it is not there or not readable."""
    path = folder / "config.json"
    if not path.is_file():
        others = sorted(p.parent.name for p in folder.parent.glob("*/config.json"))
        known = f"available there: {', '.join(others)}" if others else "there is no checkpoint there"
        raise CheckpointError(
            f"no checkpoint '{folder.name}' in {folder.parent} ({known}). Set CHECKPOINT to an available one, "
            f"or train one: python -m app train --help"
        )
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise CheckpointError(f"{path} is larger than {MAX_CONFIG_BYTES >> 20} MiB; fetch the checkpoint again")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} should hold a JSON object")
    return CheckpointConfig.from_dict(values)


def looks_pickled(path: Path) -> bool:
    """Does the file begin like a pickle, plain or zipped, as torch.save writes them? Raises OSError.

    A safetensors file begins with the length of its header, any eight bytes, but what follows is always a brace.
    """
    with path.open("rb") as f:
        start = f.read(9)
    return start[8:] != b"{" and (start.startswith(b"PK\x03\x04") or start.startswith(b"\x80"))


def load_checkpoint(folder: Path, device: str = "cpu") -> tuple[CheckpointConfig, SignModel]:
    """Config and model in eval mode on `device`, for landmarks of cameras. Raises CheckpointError."""
    config = read_config(folder)
    if config.keypoints != KEYPOINTS:
        raise CheckpointError(
            f"checkpoint '{config.model_id}' reads {config.keypoints}, the tracks of a corpus, which no camera gives: "
            f"it can be evaluated (python -m app evaluate --checkpoint {config.model_id} --data FOLDER), but makes no "
            f"captions. Set CHECKPOINT to one that reads {KEYPOINTS}"
        )
    return load_network(folder, device)


def load_network(folder: Path, device: str = "cpu") -> tuple[CheckpointConfig, SignModel]:
    """Config and model in eval mode on `device`, whatever it reads. Raises CheckpointError; also for several."""
    config = read_config(folder)
    if config.members != 1:
        raise CheckpointError(f"checkpoint '{config.model_id}' averages {config.members} networks; one is wanted here")
    model = SignModel(config.model)
    load_weights(folder, model)
    return config, model.to(device).eval()


def load_ensemble(folder: Path, device: str = "cpu") -> tuple[CheckpointConfig, SignEnsemble]:
    """Config and networks in eval mode on `device`, whatever they read. Raises CheckpointError."""
    config = read_config(folder)
    ensemble = SignEnsemble.of(config.model, config.members)
    load_weights(folder, ensemble if config.members > 1 else ensemble.members[0])
    return config, ensemble.to(device).eval()


def load_weights(folder: Path, model: nn.Module) -> None:
    """Fill `model` with the weights in `folder`. Raises CheckpointError."""
    path = folder / "model.safetensors"
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}. Fetch the checkpoint again.") from error
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"the weights in {path} do not fit config.json: {error}") from error
