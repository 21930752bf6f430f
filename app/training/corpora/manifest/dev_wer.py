"""How many glosses of whole clips a model gets wrong: with both streams, and with each alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.pipeline.module1_preprocessing.crops import to_channels_first
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module3_sequence.model import Lattice, SignModel
from app.pipeline.module3_sequence.steps import BLANK, TIME_DIVISOR
from app.pipeline.recogniser import hand_near
from app.training.batches import collate
from app.training.corpora.manifest.clip_batches import stacked
from app.training.corpora.manifest.clips import Clip, pictures_of
from app.training.evaluation.answers import figures
from app.training.evaluation.wer import ErrorCounts, word_errors
from app.training.loop.distributed import sum_counts, sum_over_ranks

#: Clips that go through the network at once; with pictures fewer, for their memory.
_TOGETHER, _PICTURED = 32, 4


@dataclass(frozen=True, slots=True)
class DevClip:
    """A clip as a file would arrive."""

    clip: Clip
    features: NDArray[np.float32]
    """(T, F)"""


def prepared(clips: Sequence[Clip]) -> list[DevClip]:
    """The clips through module 1, not augmented, sorted by length so that little of a pass is padding."""
    return sorted((DevClip(c, normalise(c.points, c.aspect)) for c in clips), key=lambda m: len(m.features))


@torch.inference_mode()
def measure(model: SignModel, clips: Sequence[DevClip], vocabulary: Sequence[str]) -> dict[str, Any]:
    """WER (greedy) with S, D and I over the clips of all ranks; each rank brings its own.

    A model with an RGB stream and clips with crops: also `wer_pose` (without pictures), `wer_rgb` (without landmarks,
    through the same fusion), `wer_pose_head` and `wer_rgb_head` where the streams have heads, `rgb_gate` (mean share of
    the pictures in the fused frames, 0..1) and `ramp` (mean size of what scales them, 0..1, 0 at the start).
    """
    # Ranks must agree on what they sum, also one that has no clip.
    pictured = sum_over_ranks([float(any(m.clip.crops is not None for m in clips))])[0] > 0 and model.rgb is not None
    names = ["fused"]
    if pictured:
        names += ["pose", "rgb", *(("pose_head", "rgb_head") if model.heads else ())]
    counts = dict.fromkeys(names, ErrorCounts())
    gate = frames = 0.0
    size = _PICTURED if pictured else _TOGETHER
    for start in range(0, len(clips), size):
        group = clips[start : start + size]
        readings, share, seen = _read(model, group, pictured)
        gate, frames = gate + share, frames + seen
        for name, rows in readings.items():
            for m, labels in zip(group, rows, strict=True):
                counts[name] += word_errors(m.clip.entry.glosses, [vocabulary[label - 1] for label in labels])
    counts = {name: sum_counts(counts[name]) for name in names}
    found = figures(counts["fused"])
    del found["signs"]
    if pictured:
        gate, frames = sum_over_ranks([gate, frames])
        found |= {f"wer_{name}": round(c.wer, 4) for name, c in counts.items() if name != "fused"}
        found["rgb_gate"] = round(gate / max(frames, 1.0), 4)
        found["ramp"] = round(float(model.fusion.scale().abs().mean()), 4) if model.fusion else 0.0
    return found


def _read(
    model: SignModel, group: Sequence[DevClip], pictured: bool
) -> tuple[dict[str, list[list[int]]], float, float]:
    """What is read in each way, label ids of each clip; the sum of the RGB gate over frames, and the frames."""
    device = next(model.parameters()).device
    batch = collate([(m.features, []) for m in group])
    features, lengths = batch.features.to(device), batch.lengths.to(device)
    quiet = [~hand_near(m.features) for m in group]
    if not pictured:
        return {"fused": _greedy(model(features, lengths).logits, lengths, quiet)}, 0.0, 0.0
    crops = [to_channels_first(pictures_of(m.clip)) for m in group]
    pictures = stacked(crops, batch.lengths.tolist(), features.shape[1]).to(device)
    both: Lattice = model(features, lengths, pictures)
    lattices = {
        "fused": both.logits,
        "pose": model(features, lengths).logits,
        "rgb": model(features, lengths, pictures, without_pose=True).logits,
        **{f"{name}_head": logits for name, logits in both.streams.items()},
    }
    valid = torch.arange(features.shape[1], device=device)[None] < lengths[:, None]
    readings = {name: _greedy(logits, lengths, quiet) for name, logits in lattices.items()}
    return readings, float((both.gates[..., 0] * valid).sum()), float(valid.sum())


def _greedy(logits: Tensor, lengths: Tensor, quiet: Sequence[NDArray[np.bool_]]) -> list[list[int]]:
    """The best label of each step, repeats and blanks removed; nothing is read where no hand is near."""
    best = logits.argmax(dim=-1).cpu().numpy()
    out = []
    for row, frames, silent in zip(best, lengths.tolist(), quiet, strict=True):
        path = np.where(silent, BLANK, row[: frames // TIME_DIVISOR])
        out.append([int(label) for label, _ in itertools.groupby(path) if label != BLANK])
    return out
