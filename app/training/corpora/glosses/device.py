"""On the device: frames gathered from the bank, disturbed, and turned into the features of module 1.

`features` gives what `app.pipeline.module1_preprocessing.normalise` gives, for whole batches at once (a test compares
them).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from app.pipeline.module1_preprocessing.normalise import CLIP, HISTORY
from app.training.corpora.glosses.bank import GROUPS, HEAD, LEFT, POINTS, RIGHT, SHOULDERS, Bank
from app.training.corpora.glosses.batches import IndexBatch

_TIPS = (4, 8, 12, 16, 20)
_KNUCKLES = (5, 9, 13, 17)
_BODY = (0, 1, 2, 5, 6, 7, 8, 9, 10)
#: Partner of each point in a mirror.
_MIRROR = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, *range(RIGHT.start, RIGHT.stop), *range(LEFT.start, LEFT.stop))


@cache
def _index(places: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(places, device=device)


def _take(points: Tensor, places: tuple[int, ...]) -> Tensor:
    """Some of the points of (B, T, n, 2); the places are brought to the device once, which would wait for it."""
    return points.index_select(2, _index(places, points.device))


def _flip(xy: Tensor) -> Tensor:
    """x -> -x of (..., 2)."""
    return torch.cat([-xy[..., :1], xy[..., 1:]], dim=-1)


@dataclass(frozen=True)
class Disturbance:
    """Another camera, body and quality of landmarks; standard deviations, in shoulder widths where they are lengths."""

    mirror: float = 0.4
    """Share of phrases signed with the other hand."""
    rotation: float = 0.1
    """Of the picture, in radians."""
    shear: float = 0.05
    """Of the picture."""
    scale: float = 0.145
    """Log of how much the picture is stretched."""
    shoulders: float = 0.05
    """Place of the shoulders."""
    hand: float = 0.125
    """Place of each hand."""
    head: float = 0.05
    """Place of the head."""
    drift: float = 0.065
    """How far a hand strays slowly."""
    hand_shape: float = 0.13
    """Each hand turned and stretched about its wrist."""
    joint: float = 0.011
    """Place of each joint of a hand, the whole phrase long."""
    jitter: float = 0.0115
    """Noise of every point in every frame."""
    hand_lost: float = 0.3
    """Most of the frames in which a hand is lost, in half of the phrases."""
    burst: float = 0.25
    """Share of the hands that are lost for several frames at a time, about once a second."""


class DeviceBank:
    """A bank's frames as tensors on a device."""

    def __init__(self, bank: Bank, device: torch.device) -> None:
        self.points = torch.from_numpy(bank.points).to(device)
        self.there = torch.from_numpy(bank.there).to(device)

    def gather(self, batch: IndexBatch) -> tuple[Tensor, Tensor]:
        """-> points float32 (B, T, 53, 2) in body units and bool (B, T, 3) what is there.

        As `interpolate` of module 1: mixed where a part is there in both frames, the nearer frame's elsewhere.
        """
        columns, there = [], []
        for group, where in enumerate(GROUPS):
            i, j, w = batch.first[..., group].long(), batch.second[..., group].long(), batch.weight[..., group]
            near = torch.where(w < 0.5, i, j)
            both = self.there[i, group] & self.there[j, group]
            w = torch.where(both, w, 0.0)[..., None, None]
            part = self.points[:, where]
            a, b = part[torch.where(both, i, near)].float(), part[torch.where(both, j, near)].float()
            columns.append(a + w * (b - a))
            there.append(self.there[near, group])
        return torch.cat(columns, dim=2), torch.stack(there, dim=-1)


def disturb(
    points: Tensor,
    there: Tensor,
    how: Disturbance,
    generator: torch.Generator,
    strength: Tensor | None = None,
    rows: Tensor | None = None,
    parts: int = 1,
) -> tuple[Tensor, Tensor]:
    """(B, T, 53, 2) and (B, T, 3) -> the same, as another camera would have seen another body.

    strength: (B,) factor of all deviations of a row; None: 1. rows, parts: where these are one of `parts` equal shares
    of a batch, (B,) their numbers in the whole. All is drawn for the whole, so that a phrase is disturbed alike,
    whatever the number of processes.
    """
    batch, frames = there.shape[:2]
    device = points.device
    if strength is None:
        strength = torch.ones(batch, device=device)

    def own(drawn: Tensor) -> Tensor:
        return drawn if rows is None or parts == 1 else drawn[rows]

    def uniform(count: int, *shape: int) -> Tensor:
        return own(torch.rand(count * parts, *shape, device=device, generator=generator))

    def normal(count: int, *shape: int) -> Tensor:
        drawn = own(torch.randn(count * parts, *shape, device=device, generator=generator))
        return drawn * strength.view(-1, *[1] * len(shape))

    swap = uniform(batch, 1, 1) < how.mirror
    points = torch.where(swap[..., None], _flip(_take(points, _MIRROR)), points)
    there = torch.where(swap, torch.cat([there[..., :1], there[..., 2:], there[..., 1:2]], dim=-1), there)

    t = torch.arange(frames, device=device) / 25.0
    wave = torch.sin(2 * math.pi * (0.2 + 0.6 * uniform(batch, 3, 1)) * t + 2 * math.pi * uniform(batch, 3, 1))
    sway = (wave[..., None] * normal(batch, 3, 1, 2)).transpose(1, 2)[:, :, :, None]  # (B, T, 3, 1, 2)
    for k, hand in enumerate((LEFT, RIGHT)):
        joints = points[:, :, hand]
        wrist = joints[:, :, :1]
        shape = torch.eye(2, device=device) + how.hand_shape * normal(batch, 2, 2)
        joints = wrist + torch.einsum("btki,bij->btkj", joints - wrist, shape)
        joints = joints + how.joint * normal(batch, 1, 21, 2)
        points[:, :, hand] = joints + how.hand * normal(batch, 1, 1, 2) + how.drift * sway[:, :, k]
    points[:, :, HEAD] += how.head * (normal(batch, 1, 1, 2) + 0.4 * normal(batch, 1, 5, 2) + 0.5 * sway[:, :, 2])

    angle = how.rotation * normal(batch)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()], -1), torch.stack([angle.sin(), angle.cos()], -1)], -2)
    skew = torch.eye(2, device=device).repeat(batch, 1, 1)
    skew[:, 0, 1] = how.shear * normal(batch)
    stretch = torch.exp(how.scale * normal(batch, 1, 2))
    points = torch.einsum("btki,bij->btkj", points, turn @ skew * stretch)
    middle = points[:, :, SHOULDERS].mean(dim=2, keepdim=True)
    wide = torch.exp(0.8 * how.scale * normal(batch, 1, 1, 1))
    points[:, :, SHOULDERS] = (
        middle + (points[:, :, SHOULDERS] - middle) * wide + how.shoulders * normal(batch, 1, 1, 2)
    )
    noise = how.jitter * normal(batch, frames, POINTS, 2)
    noise[:, :, SHOULDERS] = 0
    points = points + noise

    share = how.hand_lost * uniform(batch, 1, 2) * (uniform(batch, 1, 1) < 0.5)
    lost = uniform(batch, frames, 2) < share
    if how.burst:
        begins = (uniform(batch, frames, 2) < 1 / 25) & (uniform(batch, 1, 2) < how.burst)
        place = torch.arange(frames, device=device)[None, :, None]
        since = place - torch.where(begins, place, -frames).cummax(dim=1).values
        lost = lost | (since < 2 + 8 * uniform(batch, 1, 2))
    there = torch.cat([there[..., :1], there[..., 1:] & ~lost], dim=-1)
    return points, there


def running_median(values: Tensor, there: Tensor) -> Tensor:
    """(B, T, C), (B, T) -> (B, T, C): column by column the median of the last HISTORY frames that are there, up to and
    with the present one; 0 before the first."""
    batch, frames, columns = values.shape
    # Frames that are there first, in their order; then each frame reads the median at its own rank among them.
    order = torch.argsort((~there).to(torch.uint8), dim=1, stable=True)
    packed = values.gather(1, order[..., None].expand_as(values))
    rank = there.long().cumsum(1)
    padded = torch.cat([packed.new_full((batch, HISTORY - 1, columns), torch.inf), packed], dim=1)
    window = padded.unfold(1, HISTORY, 1).sort(dim=-1).values  # (B, T, C, HISTORY), what is not there at the end
    count = torch.arange(1, frames + 1, device=values.device).clamp_max(HISTORY)
    low = ((count - 1) // 2)[None, :, None, None].expand(batch, -1, columns, 1)
    high = (count // 2)[None, :, None, None].expand(batch, -1, columns, 1)
    median = (window.gather(3, low) + window.gather(3, high))[..., 0] / 2
    found = median.gather(1, (rank - 1).clamp_min(0)[..., None].expand_as(median))
    return torch.where(rank[..., None] > 0, found, 0.0)


def features(points: Tensor, there: Tensor) -> Tensor:
    """(B, T, 53, 2) in any square units, (B, T, 3) -> (B, T, NUM_FEATURES), as `normalise` of the same landmarks."""
    body_there = there[..., 0]
    shoulders = points[:, :, SHOULDERS]
    width = (shoulders[:, :, 0] - shoulders[:, :, 1]).norm(dim=-1, keepdim=True)
    steady = running_median(torch.cat([shoulders.mean(dim=2), width], dim=-1), body_there)
    xy = (points - steady[:, :, None, :2]) / steady[:, :, None, 2:].clamp_min(0.02)

    mouth = xy[:, :, 3:5].mean(dim=2)
    body = torch.cat([_take(xy, _BODY).flatten(2), mouth, xy[:, :, 9] - xy[:, :, 10]], dim=-1)
    nose = xy[:, :, 0]
    groups = [
        (body.clamp(-CLIP, CLIP), body_there),
        (_hand(_flip(xy[:, :, LEFT]), _flip(nose)), there[..., 1] & body_there),
        (_hand(xy[:, :, RIGHT], nose), there[..., 2] & body_there),
    ]
    columns = []
    for values, seen in groups:
        values = values * seen[..., None]
        both = (seen[:, 1:] & seen[:, :-1])[..., None]
        step = torch.zeros_like(values)
        step[:, 1:] = 2 * (values[:, 1:] - values[:, :-1]) * both
        columns += [seen[..., None].to(values.dtype), values, step]
    return torch.cat(columns, dim=-1)


def _hand(xy: Tensor, nose: Tensor) -> Tensor:
    wrist = xy[:, :, :1]
    relative = xy - wrist
    knuckles = _take(relative, _KNUCKLES)
    edges = torch.cat([knuckles, knuckles[:, :, :1] - knuckles[:, :, 3:], knuckles[:, :, :1] - knuckles[:, :, 2:3]], 2)
    size = edges.norm(dim=-1).amax(dim=2, keepdim=True).clamp_min(1e-3)
    shape = relative[:, :, 1:] / size[..., None]
    tips = _take(shape, tuple(t - 1 for t in _TIPS))
    gaps = torch.cat([tips[:, :, :1] - tips[:, :, 1:], tips[:, :, 1:-1] - tips[:, :, 2:]], dim=2).norm(dim=-1)
    pointing = shape[:, :, 8] / shape[:, :, 8].norm(dim=-1, keepdim=True).clamp_min(1e-3)
    index, little = shape[:, :, 4], shape[:, :, 16]
    palm = index[..., :1] * little[..., 1:] - index[..., 1:] * little[..., :1]
    static = torch.cat(
        [
            wrist[:, :, 0],
            shape.flatten(2),
            size * 2,
            (_take(xy, _TIPS) - nose[:, :, None]).flatten(2),
            gaps,
            tips.norm(dim=-1),
            pointing,
            palm,
        ],
        dim=-1,
    )
    return static.clamp(-CLIP, CLIP)
