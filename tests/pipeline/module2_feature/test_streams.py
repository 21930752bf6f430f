from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from app.pipeline.module1_preprocessing.normalise import LEFT_FEATURES, NUM_FEATURES, RIGHT_FEATURES
from app.pipeline.module2_feature.fusion import GatedFusion
from app.pipeline.module2_feature.pose_encoder import PoseEncoder
from app.pipeline.module2_feature.rgb_encoder import RGBEncoder, WeightsUnavailable


def test_a_missing_hand_is_read_as_missing_whatever_its_numbers_say() -> None:
    encoder = PoseEncoder(16, 16, 32).eval()
    features = torch.randn(2, 5, NUM_FEATURES)
    features[..., LEFT_FEATURES.start] = 0
    other = features.clone()
    other[..., LEFT_FEATURES.start + 1 : LEFT_FEATURES.stop] = 7
    torch.testing.assert_close(encoder(features), encoder(other))


def test_both_hands_go_through_the_same_weights() -> None:
    encoder = PoseEncoder(16, 16, 32)
    features = torch.randn(1, 3, NUM_FEATURES)
    features[..., LEFT_FEATURES.start] = features[..., RIGHT_FEATURES.start] = 1
    seen = []
    encoder.hand.register_forward_hook(lambda _module, _args, out: seen.append(out))
    features[..., RIGHT_FEATURES] = features[..., LEFT_FEATURES]
    encoder(features)
    torch.testing.assert_close(seen[0], seen[1])


def test_fusion_starts_as_the_pose_stream_alone() -> None:
    fusion = GatedFusion(24, 32, stream_dropout=0.5).train()
    rgb, pose = torch.randn(4, 6, 24), torch.randn(4, 6, 32)
    fused, gates = fusion(rgb, pose)
    torch.testing.assert_close(fused, pose)
    assert (gates[..., 0] == 0).all()
    assert (gates[..., 1] == 1).all()


def test_the_rgb_gate_moves_when_rgb_is_what_helps() -> None:
    torch.manual_seed(0)
    fusion = GatedFusion(8, 8, stream_dropout=0.0)
    optimizer = torch.optim.Adam(fusion.parameters(), lr=0.02)
    rgb = torch.randn(64, 4, 8)
    target = torch.nn.functional.layer_norm(rgb, (8,))
    for _ in range(150):
        fused, gates = fusion(rgb, torch.randn(64, 4, 8))
        loss = torch.nn.functional.mse_loss(fused, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(gates[..., 0].mean()) > 0.4
    torch.testing.assert_close(gates.sum(-1), torch.ones(64, 4))


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "frames", "side"), [("resnet18", 3, 64), ("s3d", 8, 64)])
def test_rgb_encoder_gives_one_vector_a_frame_and_trains(backbone: str, frames: int, side: int) -> None:
    encoder = RGBEncoder(backbone)  # type: ignore[arg-type]
    out = encoder(torch.randint(0, 256, (1, frames, 3, side, side), dtype=torch.uint8))
    assert out.shape == (1, frames, encoder.out_dim)
    out.sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_s3d_says_that_it_needs_eight_frames() -> None:
    with pytest.raises(ValueError, match="at least 8 frames"):
        RGBEncoder("s3d")(torch.zeros(1, 4, 3, 64, 64))


def test_pretrained_weights_load_from_a_local_file(tmp_path: Path) -> None:
    import torchvision

    net = torchvision.models.resnet18(weights=None)
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, tmp_path / "w.safetensors")
    encoder = RGBEncoder("resnet18", str(tmp_path / "w.safetensors"))
    torch.testing.assert_close(encoder.net.conv1.weight, net.conv1.weight)  # type: ignore[union-attr]


def test_missing_weights_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"nowhere\.pth"):
        RGBEncoder("resnet18", str(tmp_path / "nowhere.pth"))
