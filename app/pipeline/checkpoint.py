"""A trained recogniser on disk: weights, configuration, vocabulary and provenance, one folder, one id.

`<folder>/model.safetensors` and `<folder>/config.json`; no pickles, and no YAML needed to load.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from app.pipeline.module1_preprocessing.resample import MODEL_FPS
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.pipeline.module3_sequence.sign_times import TimeWeights
from app.pipeline.module3_sequence.taught import TaughtConfig
from app.pipeline.whole_files import whole_file, write_whole

FORMAT = 1
KEYPOINTS = "mediapipe-holistic-75"
NORMALISER = "shoulder-median-50/1"
#: A config of ten thousand glosses has a tenth of this size; a larger file is refused before it is read.
MAX_CONFIG_BYTES = 4 << 20


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged or made for something else; the message says what to do."""


class OtherKeypoints(CheckpointError):
    """The checkpoint reads input other than camera landmarks, such as a few tracked points."""

    def __init__(self, checkpoint: str, keypoints: str) -> None:
        super().__init__(
            f"checkpoint {checkpoint!r} has keypoints {keypoints!r}, which no camera provides: it cannot caption, but "
            f"can be evaluated on a corpus of these (python -m app evaluate --checkpoint {checkpoint} --data FOLDER). "
            f"Set CHECKPOINT to one that reads {KEYPOINTS}"
        )
        self.keypoints = keypoints


@dataclass(frozen=True)
class DecoderConfig:
    """How lattices become glosses, chosen on dev."""

    beam: int = 5
    """Width of the prefix beam, 1 = greedy."""
    blank_bias: float = 0.0
    """Log units taken from the blank at every step: CTC trained on few signers favours the blank when unsure of a
    new one."""
    min_confidence: float = 0.0
    """Signs with a lower confidence are left out."""
    unsure: float = 0.0
    """Signs with a lower confidence are marked as unsure."""
    merge_s: float = 0.0
    """The same gloss again within this many seconds of its end is one sign with a repeated movement."""
    window: int = 256
    """Frames of the longest single pass over a file."""
    stride: int = 128
    """Frames between the starts of such passes."""
    lm_weight: float = 0.0
    """Weight of the gloss language model beside the weights (`gloss_lm.json`), with `stretch` or a beam; 0: signs are
    read without it."""
    length_bonus: float = 0.0
    """Log units per sign, in addition to the language model."""
    stretch: float = 0.0
    """How much each step of a sign's stretch weighs against its peak (`stretches`); 0: not at all."""
    second_look: float = 0.0
    """Where nothing was decoded in a clip or sentence: log units by which the blank may exceed the best sign for that
    sign to be read all the same; 0: nothing is read."""
    second_confidence: float = 0.0
    """Least confidence of such a sign: people who only move their hands resemble every sign a little."""


@dataclass(frozen=True)
class CheckpointConfig:
    """Everything but the weights. A corpus whose frames are not landmarks derives from it."""

    keypoints: ClassVar[str] = KEYPOINTS
    """What the network reads."""
    normaliser: ClassVar[str] = NORMALISER
    """How that input must have been prepared."""
    fps: ClassVar[float] = MODEL_FPS
    """Frames per second the network reads."""
    network: ClassVar[type[SignModel]] = SignModel
    """What `model` is the config of."""

    model_id: str
    sign_language: str
    """ISO 639-3 code."""
    vocabulary: tuple[str, ...]
    """Gloss of label 1, 2, ..."""
    model: ModelConfig
    temperature: float = 1.0
    """Calibrates confidence, fitted on dev."""
    decoder: DecoderConfig = DecoderConfig()
    times: TimeWeights = field(default_factory=TimeWeights)
    """How the times of signs follow from lattice and hands."""
    vocabularies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is different when it is read with a named vocabulary: "temperature", "decoder" (fields of DecoderConfig).
    Beside them "dev": what was measured."""
    taught: TaughtConfig = field(default_factory=TaughtConfig)
    """How signs that people teach are weighed."""
    provenance: dict[str, Any] = field(default_factory=dict)

    def with_taught(self, glosses: tuple[str, ...], sign_language: str) -> Self:
        """For reading with these glosses, some of which are taught."""
        decoder = replace(self.decoder, unsure=self.taught.unsure)
        return replace(
            self,
            vocabulary=glosses,
            sign_language=sign_language,
            temperature=self.taught.temperature,
            decoder=decoder,
        )

    def reading(self, name: str, glosses: tuple[str, ...]) -> Self:
        """For reading with these glosses alone, with the settings of the vocabulary `name`."""
        own = self.vocabularies.get(name, {})
        decoder = replace(self.decoder, **own.get("decoder", {}))
        return replace(self, vocabulary=glosses, temperature=own.get("temperature", self.temperature), decoder=decoder)

    @property
    def wants_lm(self) -> bool:
        """Whether it weighs a gloss language model in some vocabulary."""
        named = (own.get("decoder", {}).get("lm_weight") for own in self.vocabularies.values())
        return any((self.decoder.lm_weight, *named))

    def weighing_lm(self, weight: float) -> Self:
        """With this weight of the gloss language model, whatever the vocabulary."""
        named = {
            name: own | {"decoder": own.get("decoder", {}) | {"lm_weight": weight}}
            for name, own in self.vocabularies.items()
        }
        return replace(self, decoder=replace(self.decoder, lm_weight=weight), vocabularies=named)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "model_id": self.model_id,
            "sign_language": self.sign_language,
            "keypoints": self.keypoints,
            "normaliser": self.normaliser,
            "fps": self.fps,
            "vocabulary": list(self.vocabulary),
            "model": self.model.to_dict(),
            "temperature": self.temperature,
            "decoder": asdict(self.decoder),
            **({"times": self.times.to_dict()} if self.times != TimeWeights() else {}),
            **({"vocabularies": self.vocabularies} if self.vocabularies else {}),
            **({"taught": asdict(self.taught)} if self.taught != TaughtConfig() else {}),
            "provenance": self.provenance,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`. Raises CheckpointError for another format, schema, or an invalid field."""
        expected = {"format": FORMAT, "keypoints": cls.keypoints, "normaliser": cls.normaliser, "fps": cls.fps}
        for key, value in expected.items():
            if values.get(key) != value:
                raise CheckpointError(
                    f"this checkpoint has {key} {values.get(key)!r}, this version of Glossline needs {value!r}; "
                    f"use a checkpoint trained with this version"
                )
        try:
            config = cls(**cls._fields(values))
            for name in config.vocabularies:
                config.reading(name, config.vocabulary)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise CheckpointError(f"config.json is damaged or incomplete: {error}") from error
        if config.model.labels != len(config.vocabulary) or len(set(config.vocabulary)) != len(config.vocabulary):
            raise CheckpointError(
                f"config.json names {len(config.vocabulary)} glosses but the model has {config.model.labels} labels, "
                f"or a gloss is listed twice"
            )
        return config

    @classmethod
    def _fields(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Arguments of the constructor. Raises AttributeError, KeyError, OverflowError, TypeError, ValueError."""
        return {
            "model_id": str(values["model_id"]),
            "sign_language": str(values["sign_language"]),
            "vocabulary": tuple(map(str, values["vocabulary"])),
            # Pretrained weights matter only for training: a checkpoint contains all weights.
            "model": cls.network.config_type.from_dict(values["model"]).without_pretrained(),
            "temperature": float(values["temperature"]),
            "decoder": DecoderConfig(**values["decoder"]),
            "times": TimeWeights.from_dict(values.get("times", {})),
            "vocabularies": dict(values.get("vocabularies", {})),
            "taught": TaughtConfig(**values.get("taught", {})),
            "provenance": dict(values.get("provenance", {})),
        }


def save_checkpoint(folder: Path, config: CheckpointConfig, model: nn.Module) -> None:
    """Write weights and config into `folder` (made if missing); each file appears only when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "model.safetensors") as part:
        save_file({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, part)
        part.chmod(0o644)  # safetensors makes it private; a service user must read it
    write_whole(folder / "config.json", json.dumps(config.to_dict(), indent=1) + "\n")


def read_config(folder: Path) -> CheckpointConfig:
    """The config of a checkpoint that reads landmarks of cameras. Raises CheckpointError with the remedy when it is not
    there, not readable, or reads something else."""
    values = read_values(folder)
    reads = values.get("keypoints")
    if reads != KEYPOINTS:
        raise OtherKeypoints(folder.name, str(reads))
    return CheckpointConfig.from_dict(values)


def read_values(folder: Path) -> dict[str, Any]:
    """config.json unchecked, whatever the checkpoint reads. Raises CheckpointError as `read_config` does."""
    path = folder / "config.json"
    if not path.is_file():
        others = sorted(p.parent.name for p in folder.parent.glob("*/config.json"))
        known = f"available: {', '.join(others)}" if others else "it contains none"
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
    return values


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
    try:
        model = SignModel(config.model)
    except ValueError as error:
        raise CheckpointError(f"checkpoint '{config.model_id}' cannot be built: {error}") from error
    load_weights(folder, model)
    return config, model.to(device).eval()


def load_weights(folder: Path, model: nn.Module) -> None:
    """Fill `model` with the weights in `folder`. Raises CheckpointError."""
    path = folder / "model.safetensors"
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}. Fetch the checkpoint again.") from error
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"the weights in {path} do not fit config.json: {error}") from error
