"""`python -m app glosses`, on a made-up corpus of six glosses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.pipeline.recogniser import Recogniser
from app.training.corpora.glosses.pack import pack
from app.training.corpora.glosses.settings import Settings, changed
from app.training.corpora.glosses.train import Run
from app.training.errors import ConfigError
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
