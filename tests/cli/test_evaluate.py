from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from app.pipeline.checkpoint import CheckpointError
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmark_files import save_npz
from app.pipeline.module3_sequence.ngram import NgramModel
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import StreamConfig
from app.training.corpora.manifest.evaluation import manifest_examples
from app.training.evaluation.answers import errors
from app.training.evaluation.decoders import answers_of, decoders, language_model, ways_of
from app.training.evaluation.reading import Example
from tests.support.boston104_corpus import write_boston104
from tests.support.commands import evaluate
from tests.support.image_recognisers import image_checkpoint
from tests.support.manifest_corpus import landmark_clip, pictured_clip, table
from tests.support.recognisers import VOCABULARY, tiny_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny", beam=3)
    (folder / "MODEL_CARD.md").write_text("# tiny\n")
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A manifest: two readable dev clips of two signers, one with a gloss nobody knows, one without anybody."""
    root = tmp_path / "corpus"
    for i in range(3):
        landmark_clip(root / f"{i}.npz", frames=40, seed=i)
    save_npz(root / "empty.npz", Keypoints.at_rate(np.zeros((10, 75, 3), np.float32), 25))
    lines = (
        "0.npz,YOU,ann,train,",
        "1.npz,HELLO NAME,bob,dev,",
        "2.npz,YOU UNICORN,eve,dev,",
        "empty.npz,YOU,eve,dev,",
    )
    return table(root, *lines)


def test_a_manifest_is_read_in_every_way_and_goes_into_the_card(
    checkpoint: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = tmp_path / "lm.json"
    NgramModel.fit([[1, 2], [3]], VOCABULARY, 2).save(lm)
    command = ["--checkpoint", str(checkpoint), "--data", str(corpus), "--lm", str(lm)]
    assert evaluate([*command, "--full", "--json", "--out", str(tmp_path / "out"), "--model-card"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["checkpoint"], figures["corpus"], figures["split"]) == ("tiny", "manifest", "dev")
    assert figures["clips"] == 2
    reasons = " ".join(one["why"] for one in figures["left_out"])
    assert "no person was found" in reasons
    assert "UNICORN" in reasons
    names = list(figures["ways"])
    assert names[:2] == ["beam 3", "greedy"]
    assert "LM" in names[2]
    assert "live" in names[3]
    assert all(way["clips"]["signs"] == 4 for way in figures["ways"].values())
    tables = figures["tables"]
    assert tables["total"] == figures["ways"]["beam 3"]["clips"]
    assert set(tables["by_signer"]) == {"bob", "eve"}
    assert tables["by_gloss"]["UNICORN"]["signs"] == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "evaluation.json",
        "evaluation.md",
        "reliability.svg",
    ]
    card = (checkpoint / "MODEL_CARD.md").read_text()
    assert card.startswith("# tiny\n")
    assert "--checkpoint tiny --data DATA --split dev" in card
    assert str(tmp_path) not in card
    text = (tmp_path / "out" / "evaluation.md").read_text()
    assert "| bob | 1 |" in text
    assert "| signer 1 | 1 |" in card
    assert "bob" not in card
    assert figures["ways"]["greedy"]["clips"]["wer"] == pytest.approx(
        sum(figures["ways"]["greedy"]["clips"][kind] for kind in ("substitutions", "deletions", "insertions")) / 4
    )


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--split", "test"], "the split 'test'"),
        (["--live"], "use --full"),
        (["--lm", "nowhere.json"], r"cannot use the gloss language model nowhere.json"),
        (["--lm-weight", "0.3"], r"has no gloss language model that --lm-weight could weigh"),
        (["--checkpoint", "unicorn"], "no checkpoint 'unicorn'"),
    ],
)
def test_what_cannot_be_measured_is_said(
    checkpoint: Path, corpus: Path, more: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(["--checkpoint", str(checkpoint), "--data", str(corpus), *more]) == 2
    assert says in capsys.readouterr().err


def test_tracks_and_landmarks_are_not_mixed_up(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracks = write_boston104(tmp_path / "boston")
    assert evaluate(["--checkpoint", str(checkpoint), "--data", str(tracks)]) == 2
    assert "use --checkpoint boston104" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        evaluate(["--checkpoint", str(checkpoint), "--data", str(tracks), "--live", "--full"])
    assert "use --full" in capsys.readouterr().err


def test_a_card_that_is_not_there_is_an_error_not_a_crash(
    checkpoint: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(checkpoint, bare, ignore=shutil.ignore_patterns("*.md"))
    assert evaluate(["--checkpoint", str(bare), "--data", str(corpus), "--model-card"]) == 2
    assert "MODEL_CARD.md" in capsys.readouterr().err


def test_the_checkpoints_own_decoder_speaks_for_it_and_a_sure_language_model_is_heard(checkpoint: Path) -> None:
    recogniser = Recogniser.load(checkpoint)
    assert next(iter(decoders(recogniser))) == "beam 3"
    greedy_only = Recogniser.load(tiny_checkpoint(checkpoint.parent / "greedy", beam=1))
    assert list(decoders(greedy_only)) == ["greedy", "beam 2"]
    example = Example(np.zeros((8, 0), np.float32), ("HELLO",), "ann")
    # Two steps between HELLO and YOU, a little in favour of YOU; the language model has only ever heard HELLO.
    table_ = np.log(np.array([[0.02, 0.45, 0.03, 0.5]] * 2, np.float32))
    recogniser.lm = NgramModel.fit([[1]] * 50, VOCABULARY, 1)
    found = decoders(recogniser)
    said = {name: answers_of(way, [example], [table_])[0].predicted[0].gloss for name, way in found.items()}
    assert [said["beam 3"], said["greedy"]] == ["YOU", "YOU"]
    assert said[list(found)[2]] == "HELLO"
    weighing = recogniser.with_decoder(lm_weight=0.7)
    assert next(iter(decoders(weighing))) == "beam 3 + LM (weight 0.7, bonus 0)"


def test_live_reading_of_clips_within_one_window_is_the_offline_one(checkpoint: Path, corpus: Path) -> None:
    recogniser = Recogniser.load(checkpoint)
    examples, _ = manifest_examples(corpus, "dev", recogniser)
    found = ways_of(recogniser, {"clips": examples, "none": []}, live=StreamConfig())
    live = next(way for name, way in found["ways"].items() if name.startswith("live"))
    assert set(live) == {"clips"}
    assert live["clips"] == found["ways"]["beam 3"]["clips"]
    assert live["clips"] != errors([])


def test_a_language_model_of_other_glosses_is_refused(tmp_path: Path) -> None:
    NgramModel.fit([[1]], ("CAT",), 1).save(tmp_path / "cat.json")
    with pytest.raises(CheckpointError, match="another vocabulary"):
        language_model(tmp_path / "cat.json", VOCABULARY)


def test_a_recogniser_that_reads_pictures_is_measured_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The crops were extracted beforehand; whole clips and live reading see the same ones."""
    checkpoint = image_checkpoint(tmp_path / "rgb")
    root = table(tmp_path / "corpus", "a.mp4,HELLO,ann,train,", "b.mp4,NAME,bob,dev,", "c.mp4,YOU,eve,dev,")
    for number, name in enumerate("abc"):
        pictured_clip(root, f"{name}.mp4", shade=60 * number, frames=40, seed=number)
    recogniser = Recogniser.load(checkpoint)
    examples, _ = manifest_examples(root, "dev", recogniser)
    assert [e.features.shape for e in examples] == [(40, recogniser.frame_dim)] * 2
    assert all(weights["rgb"] > 0 for _, weights in recogniser.lattices([e.features for e in examples]))
    assert evaluate(["--checkpoint", str(checkpoint), "--data", str(root), "--full", "--json"]) == 0
    ways = json.loads(capsys.readouterr().out)["ways"]
    live = next(figures for name, figures in ways.items() if name.startswith("live"))
    assert live == ways["greedy"]
    shutil.rmtree(root / "landmarks")
    assert evaluate(["--checkpoint", str(checkpoint), "--data", str(root)]) == 2
    assert "--pictures 32" in capsys.readouterr().err


def test_a_recogniser_that_cannot_be_shown_its_pictures_is_measured_without_and_says_so(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = image_checkpoint(tmp_path / "s3d", backbone="s3d")
    assert evaluate(["--checkpoint", str(checkpoint), "--data", str(corpus)]) == 0
    assert "s3d, dev split, beam 1, by its pose stream alone, 2 clips" in capsys.readouterr().out


def test_ids_are_looked_up_in_the_folder_of_checkpoints(
    checkpoint: Path, corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECKPOINT_DIR", str(checkpoint.parent))
    monkeypatch.setenv("CHECKPOINT", "tiny")
    for which in (["--checkpoint", "tiny"], []):
        assert evaluate([*which, "--data", corpus, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["checkpoint"] == "tiny"
    assert evaluate(["--checkpoint", "none-such", "--data", corpus]) == 2
    assert str(checkpoint.parent) in capsys.readouterr().err
