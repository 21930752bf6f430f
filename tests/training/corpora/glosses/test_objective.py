from __future__ import annotations

import torch
from torch.nn import functional as F

from app.pipeline.module1_preprocessing.normalise import NUM_FEATURES
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.training.corpora.glosses.batches import IndexBatch
from app.training.corpora.glosses.objective import (
    Output,
    extended,
    hidden_glosses,
    masked,
    smoothed,
    step_labels,
    stretch_means,
    taught,
)


def test_a_stretch_is_the_mean_of_its_steps_and_one_step_at_least() -> None:
    hidden = torch.arange(5.0)[None, :, None]
    spans = torch.tensor([[0, 4, 12, 1], [0, 17, 17, 2], [0, 16, 40, 3]])  # past the end: what there is
    assert stretch_means(hidden, spans).flatten().tolist() == [1.5, 4.0, 4.0]


def test_steps_bear_the_sign_of_their_stretch_and_the_blank_outside() -> None:
    spans = torch.tensor([[0, 4, 12, 3], [1, 8, 9, 2]])
    assert step_labels(2, 4, spans).tolist() == [[0, 3, 3, 0], [0, 0, 2, 0]]


def _batch(rows: int, spans: list[list[int]]) -> IndexBatch:
    nothing = torch.zeros(rows, 8, 3)
    return IndexBatch(
        nothing.int(),
        nothing.int(),
        nothing,
        torch.full((rows,), 8),
        torch.zeros(rows, 1, dtype=torch.int64),
        torch.zeros(rows, dtype=torch.int64),
        torch.tensor(spans),
        torch.ones(rows),
        torch.arange(rows),
        torch.arange(len(spans)),
        torch.tensor(spans),
    )


def test_a_smaller_vocabulary_keeps_the_blank_and_the_signs_of_the_phrase() -> None:
    torch.manual_seed(0)
    batch = _batch(64, [[row, 0, 8, 1 + row % 40] for row in range(64)])
    hidden = hidden_glosses(batch, 201, 1.0)
    assert not hidden[:, 0].any()
    assert not hidden[batch.spans[:, 0], batch.spans[:, 3]].any()
    shares = 1 - hidden.float().mean(1)
    assert shares.min() < 0.1
    assert shares.max() < 0.7
    assert not hidden_glosses(batch, 201, 0.0).any()


def test_smoothing_leaves_hidden_glosses_out() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0, 3.0]])
    label = torch.tensor([0])
    hidden = torch.tensor([[False, False, False, True]])
    out = Output(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4), logits)
    with_hidden = smoothed(masked(out, hidden, torch.tensor([0])).pooled, label, 0.1)
    expected = F.cross_entropy(logits[:, :3], label, label_smoothing=0.1)
    torch.testing.assert_close(with_hidden, expected)


def test_teachers_answer_with_the_mean_of_their_probabilities_over_the_stretch() -> None:
    torch.manual_seed(0)
    config = ModelConfig(labels=5, model_dim=16, hand_dim=8, body_dim=8, hidden=8, body="head", norm="layer")
    teachers = [SignModel(config).eval() for _ in range(2)]
    x = torch.randn(2, 16, NUM_FEATURES)
    spans = torch.tensor([[0, 0, 8, 1], [1, 4, 16, 3]])
    hidden = torch.zeros(2, 6, dtype=torch.bool)
    hidden[1, 5] = True
    target = taught(teachers, x, spans, hidden)
    torch.testing.assert_close(target.sum(-1), torch.ones(2))
    assert target[1, 4] == 0
    alone = [taught([t], x, spans, hidden) for t in teachers]
    torch.testing.assert_close(target, (alone[0] + alone[1]) / 2)


def test_a_stretch_grows_to_the_middle_between_signs_and_to_the_ends_of_the_phrase() -> None:
    spans = torch.tensor([[0, 8, 12, 1], [0, 20, 30, 2], [1, 4, 8, 3]])
    lengths = torch.tensor([40, 16])
    assert torch.equal(extended(spans, lengths, torch.zeros(3, 2)), spans)
    assert extended(spans, lengths, torch.ones(3, 2)).tolist() == [[0, 0, 16, 1], [0, 16, 40, 2], [1, 0, 16, 3]]
