from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from app.cli import main as app
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.steps import label_ids
from app.pipeline.recogniser import Recogniser
from app.training.augment import AugmentConfig, mirrored_crops
from app.training.batches import GROUP
from app.training.config import TrainConfig, load_config
from app.training.corpora.manifest import dev_wer as measure
from app.training.corpora.manifest.cache import PictureConfig
from app.training.corpora.manifest.clip_batches import ClipBatches
from app.training.corpora.manifest.clips import load_clips, pictures_of, too_long_for_ctc
from app.training.corpora.manifest.manifest import read_manifest
from app.training.corpora.manifest.source import ManifestSource
from app.training.corpora.opening import open_source
from app.training.errors import ConfigError, CorpusError
from app.training.evaluation.wer import ErrorCounts
from app.training.loop.distributed import ALONE, Ranks
from tests.support.commands import train
from tests.support.manifest_corpus import landmark_clip, pictured_clip, table

CPU = torch.device("cpu")
STILL = AugmentConfig(
    speed=0.0, mirror=0.0, rotation=0.0, scale=0.0, shift=0.0, jitter=0.0, hand_dropout=0.0, frame_dropout=0.0
)
TINY = "{body_dim: 8, hand_dim: 8, model_dim: 16, dropout: 0.0}"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Eleven training clips of 12 to 32 frames, a clip too short for its glosses, one of nobody, and three for dev."""
    root = tmp_path / "corpus"
    lines = []
    for i in range(11):
        landmark_clip(root / f"t{i}.npz", frames=12 + 2 * i, seed=i)
        lines.append(f"t{i}.npz,{('HELLO', 'YES NO', 'NO')[i % 3]},{('ann', 'bob')[i % 2]},train,")
    landmark_clip(root / "short.npz", frames=9)
    lines.append("short.npz,YES YES NO,ann,train,")
    nobody = dict(np.load(root / "t0.npz"))
    np.savez(root / "nobody.npz", **{k: v * 0 if k in ("pose", "left", "right") else v for k, v in nobody.items()})
    lines.append("nobody.npz,NO,ann,train,")
    for i, glosses in enumerate(("HELLO", "UNICORN NO", "-")):
        landmark_clip(root / f"d{i}.npz", frames=20, seed=30 + i)
        lines.append(f"d{i}.npz,{glosses},eve,dev,")
    return table(root, *lines)


def batches(corpus: Path, size: int, rank: int = 0, world: int = 1, config: AugmentConfig = STILL) -> ClipBatches:
    source = ManifestSource.open(corpus, TrainConfig())
    label = label_ids(source.vocabulary)
    labels = [[label[g] for g in clip.entry.glosses] for clip in source.train]
    return ClipBatches(source.train, labels, config, size, 100, seed=5, ranks=Ranks(rank, world, CPU))


def test_the_vocabulary_is_that_of_the_training_clips_and_what_is_left_out_is_listed(corpus: Path) -> None:
    source = open_source(corpus, TrainConfig())
    assert source.vocabulary == ("HELLO", "NO", "YES")
    report = source.report()
    assert report["clips"] == {"train": 11, "dev": 3}
    assert report["signers"] == {"train": 2, "dev": 1, "test": 0}
    assert report["unknown_glosses"] == {"dev": ["UNICORN"]}
    assert report["glosses"] == {"HELLO": 4, "NO": 7, "YES": 4}
    assert report["frames"] == {"least": 12, "median": 20, "most": 32}
    why = {o["file"]: o["why"] for o in report["left_out"]}
    assert why == {
        "short.npz": "3 glosses with 1 repeats need 4 steps, 9 frames give 3",
        "nobody.npz": "no person was found in it",
    }


def test_the_command_line_reports_the_same(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app(["dataset", "report", str(corpus), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    source = open_source(corpus, TrainConfig()).report()
    assert {k: report[k] for k in ("glosses", "frames", "unknown_glosses", "minutes")} == {
        k: source[k] for k in ("glosses", "frames", "unknown_glosses", "minutes")
    }
    assert sorted(o["file"] for o in report["left_out"]) == ["nobody.npz", "short.npz"]
    assert app(["dataset", "report", str(corpus)]) == 0
    said = capsys.readouterr().out
    assert "short.npz: train: 3 glosses with 1 repeats" in said
    assert "UNICORN" in said


def test_too_long_for_ctc_is_what_the_lattice_cannot_hold() -> None:
    assert too_long_for_ctc(8, [1, 2]) is None
    assert too_long_for_ctc(8, [1, 1]) is not None
    assert too_long_for_ctc(9, [1, 1]) is None
    assert too_long_for_ctc(4, []) is None


def test_only_some_glosses_may_be_learned(corpus: Path) -> None:
    source = ManifestSource.open(corpus, TrainConfig(without=("YES",)))
    assert source.vocabulary == ("HELLO", "NO")
    assert any(o.why == "YES is not in this run's glosses" for o in source.left_out)
    with pytest.raises(ConfigError, match="UNICORN"):
        ManifestSource.open(corpus, TrainConfig(glosses=("UNICORN",)))


def test_an_empty_split_and_a_corpus_without_a_usable_clip_are_refused(tmp_path: Path) -> None:
    landmark_clip(tmp_path / "a.npz", frames=4)
    with pytest.raises(CorpusError, match=r"'dev' .* is empty"):
        open_source(table(tmp_path, "a.npz,A,ann,train,"), TrainConfig())
    landmark_clip(tmp_path / "b.npz", frames=4)
    with pytest.raises(CorpusError, match=r"no training clip .* can be used.*a\.npz: 2 glosses"):
        open_source(table(tmp_path, "a.npz,A B,ann,train,", "b.npz,A,eve,dev,"), TrainConfig())


def test_missing_landmarks_and_crops_name_the_command_and_failures_are_left_out(tmp_path: Path) -> None:
    pictured_clip(tmp_path, "a.mp4", 60)
    pictured_clip(tmp_path, "b.mp4", 60)
    (tmp_path / "new.mp4").write_bytes(b"not extracted yet")
    lines = ["a.mp4,A,ann,train,", "b.mp4,A,eve,dev,", "new.mp4,A,ann,train,"]
    with pytest.raises(CorpusError, match=r"1 of 3 clips have no landmarks .*new\.mp4.*python -m app extract"):
        open_source(table(tmp_path, *lines), TrainConfig())
    report = {"failed": [{"file": "new.mp4", "reason": "truncated: it breaks off"}]}
    (tmp_path / "extraction_report.json").write_text(json.dumps(report))
    source = open_source(tmp_path, TrainConfig())
    assert source.report()["left_out"] == [
        {"file": "new.mp4", "split": "train", "why": "extraction failed: truncated: it breaks off"}
    ]
    larger = TrainConfig(model={"rgb": {"weights": None, "size": 64, "hands": True}})
    with pytest.raises(CorpusError, match=r"no landmarks or crops .* --pictures 64 --hands"):
        open_source(tmp_path, larger)


def test_damaged_landmarks_are_left_out(tmp_path: Path) -> None:
    landmark_clip(tmp_path / "a.npz")
    landmark_clip(tmp_path / "b.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK nonsense")
    root = table(tmp_path, "a.npz,A,ann,train,", "b.npz,A,eve,dev,", "bad.npz,A,ann,train,")
    left_out = open_source(root, TrainConfig()).report()["left_out"]
    assert [o["file"] for o in left_out] == ["bad.npz"]
    assert "cannot be read" in left_out[0]["why"]


@pytest.mark.parametrize("size", [1, 2, 4, 11, 16])
def test_every_epoch_has_each_clip_once(corpus: Path, size: int) -> None:
    drawn = batches(corpus, size)
    steps = drawn.epoch_steps
    assert steps == -(-11 // size)
    orders = []
    for epoch in range(3):
        seen = [clip for step in range(steps) for clip in drawn.rows(epoch * steps + step)]
        assert len(seen) == steps * size
        counts = Counter(seen)
        assert set(counts) == set(range(11))
        assert sum(counts.values()) - 11 == steps * size - 11
        if 11 % size == 0:
            assert set(counts.values()) == {1}
        orders.append(seen)
    if size < 11:
        assert orders[0] != orders[1]


def test_a_batch_depends_on_seed_and_number_alone(corpus: Path) -> None:
    first, again = batches(corpus, 4, config=AugmentConfig()), batches(corpus, 4, config=AugmentConfig())
    later = first[7]
    for index in (3, 7, 0):
        torch.testing.assert_close(first[index].features, again[index].features)
    torch.testing.assert_close(later.features, again[7].features)
    assert not torch.equal(first[7].features[:, :8], first[10].features[:, :8])


def test_two_ranks_get_what_one_would(corpus: Path) -> None:
    whole = batches(corpus, 4, config=AugmentConfig())
    shares = [batches(corpus, 4, rank, 2, AugmentConfig()) for rank in range(2)]
    for index in range(6):
        one = whole[index]
        for rank, share in enumerate(shares):
            part = share[index]
            torch.testing.assert_close(part.features, one.features[rank::2])
            assert part.lengths.tolist() == one.lengths[rank::2].tolist()
            assert part.target_lengths.tolist() == one.target_lengths[rank::2].tolist()


def test_clips_of_like_length_share_a_batch(tmp_path: Path) -> None:
    lines = []
    for i in range(4 * GROUP):
        landmark_clip(tmp_path / f"{i}.npz", frames=8 + 4 * i)
        lines.append(f"{i}.npz,A,ann,train,")
    landmark_clip(tmp_path / "d.npz")
    drawn = batches(table(tmp_path, *lines, "d.npz,A,eve,dev,"), 4)
    for index in range(GROUP):
        assert max(drawn.rows(index)) - min(drawn.rows(index)) == 3


def test_an_undisturbed_clip_is_read_as_the_file_would_be(corpus: Path) -> None:
    """Up to the body frame, which composing sets by the whole clip: shape, length and presence agree."""
    drawn = batches(corpus, 1)
    clip = drawn.clips[drawn.rows(0)[0]]
    batch = drawn[0]
    want = normalise(clip.points, clip.aspect)
    got = batch.features[0, : len(want)].numpy()
    np.testing.assert_allclose(got, want, atol=0.02)


def test_pictures_follow_the_clip_and_its_mirror_image(tmp_path: Path) -> None:
    for name, shade in (("a", 40), ("b", 200)):
        pictured_clip(tmp_path, f"{name}.mp4", shade, frames=10)
    root = table(
        tmp_path,
        "a.mp4,A,ann,train,",
        "b.mp4,B,ann,train,",
        "b.mp4,B,eve,dev,",
    )
    (root / "clips.csv").write_text((root / "clips.csv").read_text().replace("b.mp4,B,eve", "d.mp4,B,eve"))
    pictured_clip(tmp_path, "d.mp4", 200)
    source = ManifestSource.open(root, TrainConfig(model={"rgb": {"weights": None, "size": 32}}))
    drawn = ClipBatches(source.train, [[1], [2]], STILL, 2, 10, seed=1)
    batch = drawn[0]
    assert batch.pictures is not None
    assert batch.pictures.shape == (2, 12, 3, 32, 32)
    assert batch.pictures.dtype == torch.uint8
    dark, light = (batch.pictures[row].float() for row in np.argsort(drawn.rows(0)))
    assert float(dark.median()) < 110 < float(light.median())
    assert torch.equal(dark[9], dark[11])  # held on its last frame
    views = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4, 3)).astype(np.uint8)
    turned = mirrored_crops(views)
    np.testing.assert_array_equal(turned[:, 0], views[:, 0, :, ::-1])
    np.testing.assert_array_equal(turned[:, 1], views[:, 2])
    np.testing.assert_array_equal(mirrored_crops(turned), views)


def tiny_model(labels: int) -> SignModel:
    torch.manual_seed(0)
    settings = {"body_dim": 8, "hand_dim": 8, "model_dim": 16, "dropout": 0.0}
    return SignModel(TrainConfig(model=settings).model_config(labels)).eval()


def test_unknown_glosses_count_as_errors_and_silence_as_right(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who always says NO, to HELLO, to UNICORN NO and to nothing."""
    source = ManifestSource.open(corpus, TrainConfig())
    always = source.vocabulary.index("NO") + 1
    monkeypatch.setattr(measure, "_greedy", lambda logits, lengths, quiet: [[always]] * len(quiet))
    figures = source.evaluate(tiny_model(3), ALONE)
    assert figures == {"wer": 1.0, "substitutions": 1, "deletions": 1, "insertions": 1}
    assert source.checkpoint == {"sign_language": "und"}
    monkeypatch.setattr(measure, "_greedy", lambda logits, lengths, quiet: [[]] * len(quiet))
    assert source.evaluate(tiny_model(3), ALONE) == {"wer": 1.0, "substitutions": 0, "deletions": 3, "insertions": 0}


def test_ranks_together_measure_what_one_does(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shares of two ranks, added up as the process group would."""
    model = tiny_model(3)
    whole = ManifestSource.open(corpus, TrainConfig()).evaluate(model, ALONE)
    counts: list[ErrorCounts] = []

    def note(share: ErrorCounts) -> ErrorCounts:
        counts.append(share)
        return share

    monkeypatch.setattr(measure, "sum_counts", note)
    for rank in range(2):
        ManifestSource.open(corpus, TrainConfig()).evaluate(model, Ranks(rank, 2, CPU))
    together = counts[0] + counts[1]
    assert round(together.wer, 4) == whole["wer"]
    assert (together.substitutions, together.deletions) == (whole["substitutions"], whole["deletions"])


@pytest.mark.slow
def test_a_manifest_is_trained_on_and_gives_a_checkpoint_that_loads(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        f"model: {TINY}\noptim: {{epochs: 2, batch_size: 4, save_every: 3, eval_every: 3, log_every: 1}}\n"
    )
    arguments = ["--config", tmp_path / "c.yaml", "--data", corpus, "--out", tmp_path / "run", "--workers", "0"]
    assert train([str(a) for a in [*arguments, "--device", "cpu"]]) == 0
    report = json.loads((tmp_path / "run" / "data_report.json").read_text())
    assert report["clips"]["train"] == 11
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (status["state"], status["steps"], status["epochs"]) == ("finished", 6, 2)
    assert Recogniser.load(tmp_path / "run" / "final").vocabulary == ("HELLO", "NO", "YES")


@pytest.mark.slow
def test_where_only_the_pictures_tell_the_glosses_apart_the_gate_opens(tmp_path: Path) -> None:
    """Everybody moves alike, and the shade of the pictures is the gloss: pose alone can only guess."""
    lines = []
    for split, takes in (("train", 4), ("dev", 1)):
        for gloss, shade in (("DARK", 50), ("LIGHT", 190)):
            for take in range(takes):
                file = f"{split}-{gloss}-{take}.mp4"
                pictured_clip(tmp_path / "corpus", file, shade + 3 * take, frames=8, seed=7)
                lines.append(f"{file},{gloss},{split},{split},")
    table(tmp_path / "corpus", *lines)
    (tmp_path / "c.yaml").write_text(
        "model: {body_dim: 8, hand_dim: 8, model_dim: 32, dropout: 0.0,"
        " rgb: {weights: null, size: 32, stream_dropout: 0.1, heads: true}}\n"
        "optim: {steps: 40, batch_size: 4, learning_rate: 4.0e-3, ema: 0.5, eval_every: 40, save_every: 40,"
        " log_every: 4}\n"
    )
    arguments = ["--config", tmp_path / "c.yaml", "--data", tmp_path / "corpus", "--out", tmp_path / "run"]
    assert train([str(a) for a in [*arguments, "--workers", "0", "--device", "cpu", "--threads", "1"]]) == 0
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line for line in log if "ctc" in line]
    measured = [line for line in log if "wer" in line]
    assert losses[-1]["ctc"] < losses[0]["ctc"] / 2
    assert losses[0]["rgb_gate"] < losses[-1]["rgb_gate"]
    assert losses[-1]["rgb_gate"] > 0.02
    last = measured[-1]
    assert last["ramp"] != 0
    assert last["wer"] == 0.0
    assert last["wer_rgb_head"] == 0.0
    assert last["wer_pose"] >= 0.5
    assert last["wer_pose_head"] >= 0.5


def test_the_shipped_configuration_fits_this_version() -> None:
    config = load_config(Path(__file__).parents[4] / "configs" / "rgb_pose.yaml")
    rgb = config.model_config(5).rgb
    assert rgb is not None
    assert rgb.heads


def test_crops_that_were_damaged_since_name_the_clip(tmp_path: Path) -> None:
    pictured_clip(tmp_path, "a.mp4", 60)
    manifest = read_manifest(table(tmp_path, "a.mp4,A,ann,train,"))
    (clip,) = load_clips(manifest, manifest.entries, PictureConfig(32)).usable
    assert pictures_of(clip).shape == (16, 1, 32, 32, 3)
    assert clip.crops is not None
    clip.crops.write_bytes(clip.crops.read_bytes()[:500])
    with pytest.raises(CorpusError, match=r"crops of a\.mp4 .* extract the corpus again"):
        pictures_of(clip)
