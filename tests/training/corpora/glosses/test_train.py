"""`python -m app glosses`, on a made-up corpus of six glosses."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from app.pipeline.recogniser import Recogniser
from app.training.corpora.glosses.bank import Bank
from app.training.corpora.glosses.pack import pack
from app.training.corpora.glosses.settings import Settings, changed
from app.training.corpora.glosses.train import Run
from app.training.errors import ConfigError, TrainingFailed
from app.training.loop.optimise import Average
from app.training.loop.signals import StopRequest
from tests.support.commands import glosses
from tests.support.glosses_corpus import GLOSSES, small_bank
from tests.support.recognisers import varied

TINY = changed(
    Settings(),
    [
        *("steps=6", "batch_size=4", "workers=0", "save_every=0", "warm_up=2", "average=0.5"),
        *("model.model_dim=16", "model.hand_dim=8", "model.body_dim=8", "model.hidden=8"),
    ],
)
ROOT = Path(__file__).parents[4]
SET = ("steps=6", "batch_size=4", "workers=0", "warm_up=2", "model.model_dim=16", "model.hand_dim=8", "model.hidden=8")


class StopAfter(StopRequest):
    """Asks the run to stop when it has been looked at so many times."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    @property
    def asked(self) -> bool:  # type: ignore[override]
        self.looks -= 1
        return self.looks < 0


def test_a_resumed_run_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    bank = small_bank()
    whole = Run(bank, [TINY], tmp_path / "whole")
    assert whole.run() is None

    broken = Run(bank, [TINY], tmp_path / "broken")
    assert broken.run(StopAfter(3)) == "signal"
    assert broken.step == 3
    resumed = Run(bank, [TINY], tmp_path / "broken")
    assert resumed.resume()
    assert resumed.step == 3
    assert resumed.run() is None

    assert resumed.step == whole.step == 6
    for name, value in whole.average.state.items():
        assert torch.equal(resumed.average.state[name], value), name


def test_a_run_of_stages_goes_on_from_average_to_weights_and_resumes_in_any_of_them(tmp_path: Path) -> None:
    bank, stages = small_bank(), [TINY, replace(TINY, steps=5, seed=3, save_every=2)]
    whole = Run(bank, stages, tmp_path / "whole")
    assert whole.run() is None
    assert (whole.stage, whole.step, whole.checkpoints.steps()) == (1, 11, [10, 11])
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [(row["step"], row["stage"]) for row in rows] == [(1, 1), (6, 1), (7, 2), (11, 2)]

    alone = Run(bank, [TINY], tmp_path / "first")
    assert alone.run() is None
    second = Run(bank, [stages[1]], tmp_path / "second")
    second.model.load_state_dict(alone.average.state)
    second.average = Average(second.model, TINY.average)
    assert second.run() is None
    for looks, at in ((3, (0, 3)), (9, (1, 8))):
        folder = tmp_path / f"broken{looks}"
        assert Run(bank, stages, folder).run(StopAfter(looks)) == "signal"
        resumed = Run(bank, stages, folder)
        assert resumed.resume()
        assert (resumed.stage, resumed.step) == at
        assert resumed.run() is None
        for name, value in whole.average.state.items():
            assert torch.equal(resumed.average.state[name], value), name
            assert torch.equal(second.average.state[name], value), name

    with pytest.raises(ConfigError, match="is of stage 2, and this run has 1"):
        Run(bank, [TINY], tmp_path / "whole").resume()


def test_a_checkpoint_of_other_glosses_or_another_network_is_refused_and_a_torn_one_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = small_bank()
    pack(bank, tmp_path / "bank.xz")
    out = tmp_path / "run"
    command = ["train", "--data", tmp_path / "bank.xz", "--out", out, "--device", "cpu", "--resume", "--set", *SET]
    assert glosses(command) == 0
    assert glosses([*command, "model.hidden=16"]) == 2
    assert "is of another model (it differs in hidden)" in capsys.readouterr().err

    fewer = Bank(bank.points, bank.there, tuple(clip for clip in bank.clips if clip.gloss != "A"))
    pack(fewer, tmp_path / "fewer.xz")
    assert glosses([*command[:1], "--data", tmp_path / "fewer.xz", *command[3:]]) == 2
    assert "was trained on 6 other glosses than this run's 5" in capsys.readouterr().err

    # What a writer that was killed leaves behind has another name, and goes.
    torn = out / "checkpoints" / ".part-00000009"
    torn.mkdir()
    (torn / "state.safetensors").write_bytes(b"half")
    (out / "log.jsonl").write_text((out / "log.jsonl").read_text() + '{"step": 900}\n{"st')
    assert glosses([*command, "steps=7"]) == 0
    assert not torn.exists()
    assert json.loads((out / "status.json").read_text())["step"] == 7
    assert [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()][-1] == 7

    # One that was damaged later is named, with what to do, and the one before it is still there.
    (out / "checkpoints" / "step-00000007" / "state.safetensors").write_bytes(b"half")
    assert glosses([*command, "steps=7"]) == 2
    assert "remove that folder to continue from the one before" in capsys.readouterr().err
    shutil.rmtree(out / "checkpoints" / "step-00000007")
    assert glosses([*command, "steps=7"]) == 0


def test_a_run_whose_loss_is_not_finite_fails_and_says_why(tmp_path: Path) -> None:
    run = Run(small_bank(), [replace(TINY, steps=40, learning_rate=1e30, clip=1e30)], tmp_path / "run")
    with pytest.raises(TrainingFailed, match=r"is not finite at step .*; lower learning_rate"):
        run.run()


@pytest.mark.slow
def test_sigterm_in_the_middle_saves_and_the_resumed_run_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    """With dropout, processes that compose, and two stages."""
    pack(small_bank(), tmp_path / "bank.xz")
    (tmp_path / "tiny.yaml").write_text(
        "kind: glosses\nbatch_size: 4\nworkers: 1\nsave_every: 15\n"
        "model: {model_dim: 16, hand_dim: 8, body_dim: 8, hidden: 8}\n"
        "stages: {first: {steps: 10}, second: {steps: 50}}\n"
    )

    def command(out: str, *more: str) -> list[str]:
        parts = f"--config {tmp_path / 'tiny.yaml'} --data {tmp_path / 'bank.xz'} --out {tmp_path / out} --device cpu"
        return [sys.executable, "-m", "app", "train", *parts.split(), "--threads", "1", *more]

    assert subprocess.run(command("whole"), cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0
    with subprocess.Popen(command("broken"), cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 200
        while not (tmp_path / "broken/checkpoints/step-00000025").is_dir():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(100) == 3
    status = json.loads((tmp_path / "broken/status.json").read_text())
    assert (status["state"], status["steps"]) == ("stopped", 60)
    assert 25 <= status["step"] < 60
    assert subprocess.run(command("broken", "--resume"), cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0
    one, two = (
        load_file(tmp_path / out / "checkpoints/step-00000060/state.safetensors") for out in ("whole", "broken")
    )
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(two[name], value), name


def test_a_run_that_starts_from_a_checkpoint_has_its_weights(tmp_path: Path) -> None:
    bank = small_bank()
    first = Run(bank, [TINY], tmp_path / "first")
    first.run()
    first.finish()
    second = Run(bank, [replace(TINY, seed=2)], tmp_path / "second")
    second.start_from(tmp_path / "first" / "final")
    for name, value in first.average.state.items():
        torch.testing.assert_close(second.average.state[name], value, atol=1e-3, rtol=1e-3, msg=name)  # kept in halves
        assert torch.equal(second.model.state_dict()[name], second.average.state[name])

    wider = Run(bank, [changed(TINY, ["model.model_dim=24"])], tmp_path / "wider")
    with pytest.raises(ConfigError, match="another network"):
        wider.start_from(tmp_path / "first" / "final")


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    run = Run(small_bank(), [replace(TINY, steps=20, learning_rate=1e-2)], tmp_path / "run")
    run.run()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    first, later = (next(row for row in rows if row["step"] == step) for step in (1, 20))
    assert later["ctc"] < first["ctc"]


def test_every_part_of_the_loss_is_computed(tmp_path: Path) -> None:
    bank = small_bank()
    Run(bank, [TINY], tmp_path / "teacher").finish_weights()
    parts = ["objective.distil=0.5", "objective.inside=0.2", "objective.framewise=0.1", "objective.masked=0.5"]
    more = ["objective.extend=0.5", "disturbance.burst=0.5", "recipe.strength_spread=0.3"]
    settings = changed(TINY, [*parts, *more, f'teachers=["{tmp_path / "teacher" / "final"}"]'])
    run = Run(bank, [settings], tmp_path / "run")
    run.run()
    row = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert {"ctc", "aux", "stretch", "distil", "inside", "framewise"} <= set(row)
    assert all(value == value for value in row.values())

    with pytest.raises(ConfigError, match="needs teachers"):
        Run(bank, [changed(TINY, ["objective.distil=0.5"])], tmp_path / "other")


def test_the_command_trains_a_checkpoint_that_reads_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack(small_bank(), tmp_path / "bank.xz")
    out = tmp_path / "run"
    command = ["train", "--data", tmp_path / "bank.xz", "--out", out, "--device", "cpu", "--set", *SET]
    assert glosses(command) == 0
    figures = json.loads((out / "figures.json").read_text())
    assert figures["wlasl all"]["n"] == 18

    recogniser = Recogniser.load(out / "final")
    assert recogniser.vocabulary == GLOSSES
    recogniser.recognise(varied(40))

    assert glosses(command) == 2
    assert "--resume goes on" in capsys.readouterr().err
    assert glosses(["evaluate", "--data", tmp_path / "bank.xz", "--checkpoint", out / "final", "--device", "cpu"]) == 0
    assert "wlasl all: n 18" in capsys.readouterr().out


def test_a_folder_without_the_corpora_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert glosses(["pack", "--data", tmp_path, "--out", tmp_path / "bank.xz"]) == 2
    assert "holds signs/ and wlasl/" in capsys.readouterr().err
