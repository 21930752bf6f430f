"""RGB stream: a torchvision network over the frames' crops, one vector a frame."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Backbone = Literal["resnet18", "resnet34", "resnet50", "s3d"]

#: ImageNet / Kinetics statistics the torchvision weights were trained with, for values in 0..1.
_STATISTICS = {
    "resnet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "s3d": ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
}


class WeightsUnavailable(RuntimeError):
    """The pretrained weights are unavailable; the message says how to get them."""


#: Frames that S3D needs at least: its time axis is halved three times.
_S3D_FRAMES = 8
#: Crops that go through the network at once when it is not being trained.
_CHUNK = 256


class RGBEncoder(nn.Module):
    """Crops -> one vector a frame: uint8 or float 0..255 (B, T, 3 * views, H, W) -> float (B, T, out_dim).

    backbone: resnet18/34/50 see each frame alone; s3d sees space and time (clips under 8 frames are held on
    their last one, its time axis is brought back to T by linear interpolation).
    views: crops of a frame, such as body and both hands, side by side in the channels; all go through the same weights
    and their vectors are joined.
    weights: None for random, "default" for torchvision's pretrained ones (downloaded once by torchvision), or a path to
    a state dict of that network on disk. Raises WeightsUnavailable.
    """

    def __init__(self, backbone: Backbone, weights: str | None = None, views: int = 1) -> None:
        super().__init__()
        import torchvision.models as zoo  # imported here: it takes a second that the pose-only recogniser can save

        self.backbone: Backbone = backbone
        net = zoo.get_model(backbone, weights=None)
        if weights is not None:
            net.load_state_dict(_state_dict(backbone, weights))
        if backbone == "s3d":
            width = 1024
            self.net: nn.Module = net.features
        else:
            width = net.fc.in_features
            net.fc = nn.Identity()
            self.net = net
        self.views = views
        self.out_dim = width * views
        self.mean: Tensor
        self.std: Tensor
        mean, std = _STATISTICS["s3d" if backbone == "s3d" else "resnet"]
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255, persistent=False)

    def forward(self, crops: Tensor, lengths: Tensor | None = None) -> Tensor:
        """lengths: (B,) valid frames; what lies past them never reaches the network (nor its batch statistics) and
        comes out as zeros. Without them all rows are whole."""
        batch, frames, channels = crops.shape[:3]
        if channels != 3 * self.views:
            raise ValueError(f"the RGB stream takes {self.views} crops a frame, got {channels} channels")
        if self.backbone == "s3d":
            rows = [frames] * batch if lengths is None else lengths.tolist()
            clips = [self._clip(row[:length]) for row, length in zip(crops, rows, strict=True)]
            return torch.stack([F.pad(clip, (0, 0, 0, frames - len(clip))) for clip in clips])
        if lengths is None or bool((lengths == frames).all()):
            return self._frames(crops.flatten(0, 1)).view(batch, frames, -1)
        valid = torch.arange(frames, device=crops.device)[None] < lengths[:, None].to(crops.device)
        packed = self._frames(crops[valid])
        out = packed.new_zeros(batch, frames, self.out_dim)
        out[valid] = packed
        return out

    def _standard(self, crops: Tensor) -> Tensor:
        """(N, 3 * views, H, W) -> float (N * views, 3, H, W) as the pretrained weights expect it."""
        split = crops.unflatten(1, (self.views, 3)).flatten(0, 1)
        return (split.to(self.mean.dtype) - self.mean) / self.std

    def _frames(self, crops: Tensor) -> Tensor:
        """(N, 3 * views, H, W) -> (N, out_dim), each crop alone."""
        if self.training:
            return self.net(self._standard(crops)).view(len(crops), -1)
        parts = [self.net(self._standard(part)) for part in crops.split(_CHUNK)]
        return torch.cat(parts).view(len(crops), -1)

    def _clip(self, crops: Tensor) -> Tensor:
        """(T, 3 * views, H, W) -> (T, out_dim), one whole clip."""
        frames = len(crops)
        held = crops[-1:].expand(max(0, _S3D_FRAMES - frames), -1, -1, -1)
        x = self._standard(torch.cat([crops, held])).unflatten(0, (-1, self.views)).permute(1, 2, 0, 3, 4)
        maps = self.net(x).mean(dim=(3, 4))
        spread = F.interpolate(maps, size=frames + len(held), mode="linear", align_corners=False)
        return spread.permute(2, 0, 1).flatten(1)[:frames]


def _state_dict(backbone: Backbone, weights: str) -> dict[str, Tensor]:
    import torchvision.models as zoo

    if weights != "default":
        path = Path(weights)
        if not path.is_file():
            raise WeightsUnavailable(f"no weights file {path}; give the path of a {backbone} state dict")
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    try:
        return zoo.get_model_weights(backbone).DEFAULT.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise WeightsUnavailable(
            f"torchvision could not download the {backbone} weights ({error}). Without internet, download them on "
            f"another machine and give the file's path as model.rgb.weights, or set it to null to start from random."
        ) from error
