from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from app.pipeline.module1_preprocessing.normalise import BODY_FEATURES, NUM_FEATURES
from app.pipeline.module3_sequence.losses import LossConfig, ctc, feasible, total_loss
from app.pipeline.module3_sequence.model import CosineClassifier, ExpertConfig, ModelConfig, RGBConfig, SignModel
from app.pipeline.module3_sequence.temporal import BiLSTM

TINY = {"labels": 5, "body_dim": 8, "hand_dim": 8, "model_dim": 16}
#: The kind of network that reads a large vocabulary.
HEAD_AND_HANDS: dict[str, Any] = {"body": "head", "norm": "layer", "hidden": 12, "residual": True}


@pytest.mark.parametrize("temporal", ["bilstm", "transformer"])
@pytest.mark.parametrize("encoder", ["groups", "flat"])
def test_sixty_four_frames_give_sixteen_steps(temporal: str, encoder: str) -> None:
    model = SignModel(ModelConfig(**TINY, temporal=temporal, pose_encoder=encoder)).eval()  # type: ignore[arg-type]
    lattice = model(torch.randn(2, 64, NUM_FEATURES), torch.tensor([64, 64]))
    assert lattice.logits.shape == (2, 16, 6)
    assert lattice.steps.tolist() == [16, 16]
    assert (lattice.gates[..., 1] == 1).all()


@pytest.mark.parametrize("network", [{"temporal": "bilstm"}, {"temporal": "transformer"}, HEAD_AND_HANDS])
def test_a_clip_in_a_padded_batch_is_read_exactly_as_alone(network: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = SignModel(ModelConfig(**TINY, **network)).eval()
    clip = torch.randn(1, 24, NUM_FEATURES)
    padded = torch.cat([clip, torch.randn(1, 40, NUM_FEATURES)], dim=1)
    other = torch.randn(1, 64, NUM_FEATURES)
    alone = model(clip, torch.tensor([24])).logits[0]
    beside = model(torch.cat([padded, other]), torch.tensor([24, 64])).logits[0, :6]
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=1e-4)


def test_reading_a_direction_at_a_time_is_reading_packed_rows() -> None:
    torch.manual_seed(0)
    encoder = BiLSTM(8, 2, 0.0, hidden=12, residual=True).eval()
    rows, lengths = torch.randn(4, 9, 8), torch.tensor([9, 1, 5, 8])
    inside = torch.arange(9) < lengths[:, None]
    with torch.inference_mode():
        packed = encoder(rows, lengths)
        assert encoder.out is not None
        apart = rows + encoder.out(encoder._each_direction(rows, lengths))
        encoder.lstm.forward = lambda _: pytest.fail("the rows were packed")  # type: ignore[method-assign]
        short = encoder.bfloat16()(rows.bfloat16(), lengths)
    torch.testing.assert_close(apart[inside], packed[inside], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(short[inside].float(), packed[inside], atol=0.05, rtol=0.05)


def test_shoulders_elbows_and_movements_of_the_head_mean_nothing_to_a_network_of_head_and_hands() -> None:
    torch.manual_seed(0)
    model = SignModel(ModelConfig(**TINY, **HEAD_AND_HANDS)).eval()
    clip = torch.randn(1, 24, NUM_FEATURES)
    other = clip.clone()
    other[..., 7:19] += 1  # shoulders, elbows, the pose's wrists
    other[..., 21 : BODY_FEATURES.stop] += 1
    lengths = torch.tensor([24])
    assert torch.equal(model(clip, lengths).logits, model(other, lengths).logits)
    clip[..., 1:3] += 1  # the nose
    assert not torch.equal(model(clip, lengths).logits, model(other, lengths).logits)


SMALL = ModelConfig(labels=2, body_dim=8, hand_dim=8, model_dim=12)
EXPERT = ExpertConfig(columns=(4, 2), weight=0.7, model=SMALL)


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(labels=3, rgb=RGBConfig(backbone="resnet34", weights=None)),
        ModelConfig(**TINY, **HEAD_AND_HANDS, expert=EXPERT),
    ],
)
def test_config_survives_a_round_trip_through_json(config: ModelConfig) -> None:
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_expert_decides_only_which_of_its_glosses_a_sign_is() -> None:
    torch.manual_seed(0)
    model = SignModel(ModelConfig(**TINY, **HEAD_AND_HANDS, expert=EXPERT)).eval()
    assert model.expert is not None
    clip, lengths = torch.randn(1, 24, NUM_FEATURES), torch.tensor([24])
    alone = model(clip, lengths).logits[0].log_softmax(-1)
    short, _ = model.encode_frames(clip, lengths)
    assert short.shape[-1] == model.config.short_dim == 16 + 12
    told = model.classify(short, lengths // 4)[0].log_softmax(-1)
    expert = model.expert.model(clip, lengths).logits[0].log_softmax(-1)
    others, known = [0, 1, 3, 5], [4, 2]
    torch.testing.assert_close(told[:, others], alone[:, others])
    torch.testing.assert_close(told[:, known].logsumexp(-1), alone[:, known].logsumexp(-1))
    product = (alone[:, known] + 0.7 * expert[:, 1:]).log_softmax(-1)
    torch.testing.assert_close(told[:, known].log_softmax(-1), product)


def test_an_expert_without_weight_changes_nothing_and_adds_no_buffers_to_a_checkpoint() -> None:
    torch.manual_seed(0)
    model = SignModel(ModelConfig(**TINY, expert=replace(EXPERT, weight=0.0))).eval()
    clip, lengths = torch.randn(2, 24, NUM_FEATURES), torch.tensor([24, 12])
    short, _ = model.encode_frames(clip, lengths)
    torch.testing.assert_close(model.classify(short, lengths // 4), model(clip, lengths).logits)
    assert model.state_dict().keys() == dict(model.named_parameters()).keys() | {
        name for name, _ in model.named_buffers() if "running" in name or "batches" in name
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": (4,)},
        {"columns": (4, 4)},
        {"columns": (0, 1)},
        {"columns": (4, 6)},
        {"weight": -1.0},
        {"weight": float("nan")},
        {"model": replace(SMALL, expert=ExpertConfig((1, 2), 1.0, SMALL))},
    ],
)
def test_an_expert_that_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expert"):
        SignModel(ModelConfig(**TINY, expert=replace(EXPERT, **wrong)))


def test_the_two_heads_share_one_classifier_unless_told_otherwise() -> None:
    shared, apart = SignModel(ModelConfig(**TINY)), SignModel(ModelConfig(**TINY, shared_classifier=False))
    assert shared.conv_classifier is None
    assert isinstance(apart.conv_classifier, CosineClassifier)
    assert sum(p.numel() for p in apart.parameters()) > sum(p.numel() for p in shared.parameters())


@pytest.mark.slow
def test_the_whole_model_with_rgb_trains_and_runs_without_pictures() -> None:
    torch.manual_seed(0)
    model = SignModel(ModelConfig(**TINY, rgb=RGBConfig(backbone="resnet18", weights=None, stream_dropout=0.0)))
    features, lengths = torch.randn(1, 16, NUM_FEATURES), torch.tensor([16])
    pictures = torch.randint(0, 256, (1, 16, 3, 32, 32), dtype=torch.uint8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        loss, _parts = total_loss(
            model(features, lengths, pictures), torch.tensor([[1, 2]]), torch.tensor([2]), LossConfig(distill=1.0)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert model.fusion is not None
    assert float(model.fusion.scale().abs().max().detach()) > 0
    assert model.eval()(features, lengths).logits.shape == (1, 4, 6)


@pytest.mark.parametrize(
    ("steps", "labels", "fits"),
    [(0, [], True), (1, [1], True), (1, [1, 2], False), (2, [1, 1], False), (3, [1, 1], True), (4, [1, 1, 1], False)],
)
def test_feasible_is_what_ctc_can_emit(steps: int, labels: list[int], fits: bool) -> None:
    assert feasible(steps, labels) is fits
    if steps and labels:
        loss = torch.nn.functional.ctc_loss(
            torch.zeros(steps, 1, 4).log_softmax(-1), torch.tensor([labels]), (steps,), (len(labels),)
        )
        assert bool(torch.isfinite(loss)) is fits


def test_ctc_equals_the_sum_over_all_paths() -> None:
    import itertools

    torch.manual_seed(1)
    logits = torch.randn(1, 4, 3)
    probs = logits.softmax(-1)[0].double().numpy()
    want = [1, 2]
    total = 0.0
    for path in itertools.product(range(3), repeat=4):
        collapsed = [s for s, _ in itertools.groupby(path) if s]
        if collapsed == want:
            total += float(np.prod([probs[t, s] for t, s in enumerate(path)]))
    loss = ctc(logits, torch.tensor([4]), torch.tensor([want]), torch.tensor([2]))
    assert float(loss) == pytest.approx(-np.log(total) / 2, rel=1e-5)


def test_distillation_ignores_padding_and_does_not_move_the_teacher() -> None:
    torch.manual_seed(0)
    model = SignModel(ModelConfig(**TINY, shared_classifier=False, dropout=0.0))
    features = torch.randn(2, 16, NUM_FEATURES)
    lattice = model(features, torch.tensor([16, 8]))
    _, parts = total_loss(lattice, torch.tensor([[1], [2]]), torch.tensor([1, 1]), LossConfig(distill=1.0))
    lattice.conv_logits = lattice.conv_logits.clone()
    lattice.conv_logits[1, 2:] += 100 * torch.randn_like(lattice.conv_logits[1, 2:])
    _, same = total_loss(lattice, torch.tensor([[1], [2]]), torch.tensor([1, 1]), LossConfig(distill=1.0))
    torch.testing.assert_close(parts["kl"], same["kl"])


@pytest.mark.slow
def test_each_stream_has_a_head_of_its_own_where_asked_for() -> None:
    torch.manual_seed(0)
    rgb = RGBConfig(backbone="resnet18", weights=None, size=32, hands=True, heads=True)
    model = SignModel(ModelConfig(**TINY, rgb=rgb)).eval()
    features, lengths = torch.randn(2, 16, NUM_FEATURES), torch.tensor([16, 8])
    pictures = torch.randint(0, 256, (2, 16, 9, 32, 32), dtype=torch.uint8)
    lattice = model(features, lengths, pictures)
    assert {name: tuple(logits.shape) for name, logits in lattice.streams.items()} == {
        "pose": (2, 4, 6),
        "rgb": (2, 4, 6),
    }
    targets = (torch.tensor([[1], [2]]), torch.tensor([1, 1]))
    loss, parts = total_loss(lattice, *targets, LossConfig(streams=0.5))
    without, _ = total_loss(lattice, *targets, LossConfig(streams=0.0))
    torch.testing.assert_close(loss - without, 0.5 * (parts["ctc_rgb"] + parts["ctc_pose"]))
    assert float(parts["rgb_gate"]) == 0.0
    assert set(model(features, lengths).streams) == {"pose"}
    assert not SignModel(ModelConfig(**TINY)).heads


def test_a_configuration_from_before_hands_and_heads_still_loads() -> None:
    old = {"backbone": "resnet18", "weights": None, "size": 112, "stream_dropout": 0.15}
    config = ModelConfig.from_dict({"labels": 3, "rgb": old})
    assert config.rgb == RGBConfig(weights=None)


@pytest.mark.slow
def test_pictures_of_a_padded_batch_are_read_exactly_as_alone() -> None:
    torch.manual_seed(0)
    model = SignModel(ModelConfig(**TINY, rgb=RGBConfig(weights=None, size=32))).eval()
    assert model.fusion is not None
    torch.nn.init.constant_(model.fusion.ramp, 0.2)
    features = torch.randn(2, 16, NUM_FEATURES)
    pictures = torch.randint(0, 256, (2, 16, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        beside = model(features, torch.tensor([8, 16]), pictures).logits[0, :2]
        alone = model(features[:1, :8], torch.tensor([8]), pictures[:1, :8]).logits[0]
    torch.testing.assert_close(alone, beside, atol=1e-4, rtol=1e-3)
