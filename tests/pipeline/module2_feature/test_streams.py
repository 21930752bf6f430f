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


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "views"), [("resnet18", 1), ("resnet18", 3), ("s3d", 1)])
def test_only_valid_frames_of_a_padded_batch_are_seen(backbone: str, views: int) -> None:
    """Each clip comes out as it does alone, and what is past its length reaches neither network nor statistics."""
    torch.manual_seed(0)
    encoder = RGBEncoder(backbone, views=views).eval()  # type: ignore[arg-type]
    clips = [torch.randint(0, 256, (frames, 3 * views, 48, 48), dtype=torch.uint8) for frames in (5, 12)]
    padded = torch.randint(0, 256, (2, 12, 3 * views, 48, 48), dtype=torch.uint8)
    padded[0, :5], padded[1] = clips[0], clips[1]
    with torch.no_grad():
        together = encoder(padded, torch.tensor([5, 12]))
        assert together.shape == (2, 12, encoder.out_dim)
        for row, clip in enumerate(clips):
            torch.testing.assert_close(together[row, : len(clip)], encoder(clip[None])[0], atol=1e-4, rtol=1e-3)
    assert not together[0, 5:].any()


@pytest.mark.slow
def test_padding_does_not_reach_the_batch_statistics() -> None:
    torch.manual_seed(0)
    clip = torch.randint(0, 256, (1, 4, 3, 32, 32), dtype=torch.uint8)
    means = []
    for padding in (0, 255):
        encoder = RGBEncoder("resnet18").train()
        encoder.load_state_dict(means[0][1]) if means else None
        before = {k: v.clone() for k, v in encoder.state_dict().items()}
        padded = torch.cat([clip, torch.full((1, 8, 3, 32, 32), padding, dtype=torch.uint8)], dim=1)
        encoder(padded, torch.tensor([4]))
        means.append((encoder.net.bn1.running_mean.clone(), before))  # type: ignore[union-attr]
    torch.testing.assert_close(means[0][0], means[1][0])


@pytest.mark.slow
def test_a_short_clip_is_held_on_its_last_frame_for_s3d() -> None:
    encoder = RGBEncoder("s3d").eval()
    clip = torch.randint(0, 256, (1, 3, 3, 48, 48), dtype=torch.uint8)
    held = torch.cat([clip, clip[:, -1:].expand(-1, 5, -1, -1, -1)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(encoder(clip), encoder(held)[:, :3])


def test_another_number_of_pictures_than_the_model_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="takes 3 crops a frame, got 3 channels"):
        RGBEncoder("resnet18", views=3)(torch.zeros(1, 4, 3, 32, 32))


def test_rgb_alone_is_the_fused_output_without_pose() -> None:
    torch.manual_seed(0)
    fusion = GatedFusion(8, 16, stream_dropout=0.0).eval()
    torch.nn.init.normal_(fusion.ramp)
    rgb, pose = torch.randn(2, 3, 8), torch.randn(2, 3, 16)
    with torch.no_grad():
        both, gates = fusion(rgb, pose)
        alone, same = fusion(rgb, pose, without_pose=True)
        other, _ = fusion(rgb, pose * 0, without_pose=True)
    assert not torch.allclose(both, alone)
    torch.testing.assert_close(gates, same)
    assert other.shape == alone.shape


def test_pretrained_weights_load_from_a_local_file(tmp_path: Path) -> None:
    import torchvision

    net = torchvision.models.resnet18(weights=None)
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, tmp_path / "w.safetensors")
    encoder = RGBEncoder("resnet18", str(tmp_path / "w.safetensors"))
    torch.testing.assert_close(encoder.net.conv1.weight, net.conv1.weight)  # type: ignore[union-attr]


def test_missing_weights_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"nowhere\.pth"):
        RGBEncoder("resnet18", str(tmp_path / "nowhere.pth"))
