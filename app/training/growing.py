"""A run that starts from a network with other glosses: the rows of its own stay, rows of new ones begin where their
recordings lie."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from app.pipeline.checkpoint import CheckpointConfig, CheckpointError
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.recogniser import hand_near, padded_frames
from app.training.corpora.checkpoints import load_any
from app.training.errors import ConfigError
from app.training.run_folder import FINAL, RUN

#: Weights with a row for each label, the blank's first.
_ROWS = ("classifier.weight", "conv_classifier.weight")
#: Recordings of a gloss that its row is made of, at most.
_RECORDINGS = 40


@dataclass(frozen=True)
class Start:
    """What a run starts from."""

    folder: Path
    """Of the checkpoint."""
    config: CheckpointConfig
    model: SignModel
    commands: tuple[str, ...]
    """That made it."""

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.config.vocabulary


def start_of(folder: Path) -> Start:
    """That of a finished run, or of a checkpoint. Raises ConfigError."""
    checkpoint = folder / FINAL if (folder / FINAL).is_dir() else folder
    try:
        config, model = load_any(checkpoint)
        commands = config.provenance.get("train_commands", [])
        if (folder / RUN).is_file():
            commands = json.loads((folder / RUN).read_text(encoding="utf-8"))["commands"]
    except (OSError, ValueError, KeyError, CheckpointError) as error:
        raise ConfigError(f"--init {folder}: neither a finished run nor a checkpoint: {error}") from error
    return Start(checkpoint, config, model, tuple(commands))


def reading_of(config: CheckpointConfig, vocabulary: tuple[str, ...]) -> dict[str, Any]:
    """Fields of a checkpoint with these glosses, among them those of `config`, that say how it is read; without the
    gloss language model, which knows no others."""
    without = [replace(config.decoder, lm_weight=0.0), config.temperature, config.times, config.taught]
    return dict(zip(("decoder", "temperature", "times", "taught"), without, strict=True))


def grown(
    start: SignModel, known: tuple[str, ...], wanted: tuple[str, ...], recordings: Mapping[str, Iterable[Any]]
) -> SignModel:
    """A copy with the labels of `wanted`, which begins with `known`. recordings: features (T, NUM_FEATURES) of clips
    that show one new gloss alone. Raises ConfigError for networks whose labels cannot be extended."""
    if wanted[: len(known)] != known:
        raise ConfigError("a network that is grown keeps its glosses, in their order, before the new ones")
    if start.heads or start.rgb is not None:
        raise ConfigError("--init: networks that see images cannot learn new glosses; train one of all glosses")
    model = type(start)(replace(start.config, labels=len(wanted)))
    weights = dict(start.state_dict())
    for name in _ROWS:
        if name in weights:
            old = F.normalize(weights[name], dim=-1)
            fresh = model.state_dict()[name].clone()
            fresh[: len(old)] = weights[name]
            for label, gloss in enumerate(wanted[len(known) :], start=1 + len(known)):
                look = _look(start, recordings.get(gloss, ()), name)
                if look is not None:
                    fresh[label] = _row(look, old) * weights[name][1:].norm(dim=-1).mean()
            weights[name] = fresh
    model.load_state_dict(weights)
    return model.eval()


def _row(look: Tensor, known: Tensor) -> Tensor:
    """(D,) of length one: `look`, but as far from the blank as the known rows (1 + labels, D) are on average. What all
    steps have in common points to the blank, and would make every sign look like the new one."""
    blank = known[0]
    far = (known[1:] @ blank).mean()
    own = F.normalize(look - (look @ blank) * blank, dim=-1)
    return far * blank + (1 - far**2).sqrt() * own


@torch.inference_mode()
def _look(model: SignModel, clips: Iterable[NDArray[np.float32]], classifier: str) -> Tensor | None:
    """(D,) of length one: the mean of what the classifier gets of the steps with a hand, weighed by how little they
    look like the blank; None without any."""
    found = []
    for features in list(clips)[:_RECORDINGS]:
        seen = torch.from_numpy(hand_near(features))
        if not seen.any():
            continue
        batch, lengths = padded_frames([features])
        short, _ = model.encode_frames(torch.from_numpy(batch), torch.tensor(lengths))
        short = short[..., : model.config.model_dim]
        sequence = model.sequence(short, torch.tensor([short.shape[1]]))
        signed = 1 - model.classifier(sequence)[0, : len(seen)].softmax(dim=-1)[:, :1]
        steps = (short if classifier.startswith("conv") else sequence)[0, : len(seen)]
        weight = signed * seen[:, None]
        found.append((F.normalize(steps, dim=-1) * weight).sum(dim=0) / weight.sum().clamp_min(1e-6))
    return F.normalize(torch.stack(found).mean(dim=0), dim=-1) if found else None
