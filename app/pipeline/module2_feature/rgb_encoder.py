"""RGB stream: a torchvision network over the frames' pictures, one vector a frame."""

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
    """Pretrained weights were asked for and could not be had; the message says how to get them."""


class RGBEncoder(nn.Module):
    """Pictures -> one vector a frame: uint8 or float 0..255 (B, T, 3, H, W) -> float (B, T, out_dim).

    backbone: resnet18/34/50 look at each frame alone; s3d looks at space and time (T >= 8, its time axis is brought
    back to T by linear interpolation).
    weights: None for random, "default" for torchvision's pretrained ones (downloaded once by torchvision), or a path to
    a state dict of that network on disk. Raises WeightsUnavailable when they cannot be had.
    """

    def __init__(self, backbone: Backbone, weights: str | None = None) -> None:
        super().__init__()
        import torchvision.models as zoo  # a second of import that the pose-only recogniser need not pay

        self.backbone: Backbone = backbone
        net = {"resnet18": zoo.resnet18, "resnet34": zoo.resnet34, "resnet50": zoo.resnet50, "s3d": zoo.video.s3d}[
            backbone
        ](weights=None)
        if weights is not None:
            net.load_state_dict(_state_dict(backbone, weights))
        if backbone == "s3d":
            self.out_dim = 1024
            self.net: nn.Module = net.features
        else:
            self.out_dim = net.fc.in_features
            net.fc = nn.Identity()
            self.net = net
        self.mean: Tensor
        self.std: Tensor
        mean, std = _STATISTICS["s3d" if backbone == "s3d" else "resnet"]
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255, persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        batch, frames = pictures.shape[:2]
        x = (pictures.to(self.mean.dtype) - self.mean) / self.std
        if self.backbone == "s3d":
            if frames < 8:
                raise ValueError(f"s3d needs at least 8 frames, got {frames}")
            maps = self.net(x.transpose(1, 2)).mean(dim=(3, 4))
            return F.interpolate(maps, size=frames, mode="linear", align_corners=False).transpose(1, 2)
        return self.net(x.flatten(0, 1)).view(batch, frames, -1)


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
