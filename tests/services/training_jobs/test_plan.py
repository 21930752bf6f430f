from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from app.core.errors import GpuInUse, InvalidRequest, TrainingUnavailable, UnknownConfig, UnknownDataset
from app.core.ids import NAME
from app.core.settings import Settings
from app.services.training_jobs.plan import Plan, check_gpus, make_plan, new_id
from app.services.training_jobs.request import TrainingRequest
from app.training import run_folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "datasets" / "signs").mkdir(parents=True)
    (tmp_path / "datasets" / "signs" / "clips.csv").touch()
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text("name: tiny\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.yaml").touch()
    return Settings(_env_file=None, datasets_dir=tmp_path / "datasets", configs_dir=tmp_path / "configs")


def asked(**more: object) -> TrainingRequest:
    return TrainingRequest.model_validate({"dataset": "signs", "config": "tiny", "device": "cpu", **more})


def cards(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)


def test_the_command_is_a_list_of_arguments(settings: Settings, tmp_path: Path) -> None:
    made = make_plan(
        settings, asked(config="tiny.yaml", num_epochs=2, overrides={"a.b": "x y; rm *"}), tmp_path / "run"
    )
    assert made.command == [
        sys.executable, "-m", "app", "train", "--config", str(tmp_path / "configs/tiny.yaml"),
        "--data", str(tmp_path / "datasets/signs"), "--out", str(tmp_path / "run"), "--device", "cpu",
        "--set", "optim.epochs=2", "a.b=x y; rm *",
    ]  # fmt: skip
    assert (made.gpus, made.device) == ((), "cpu")


def test_a_config_of_the_large_vocabulary_has_its_own_names_of_settings(settings: Settings, tmp_path: Path) -> None:
    (settings.datasets_dir / "both" / "wlasl").mkdir(parents=True)
    (settings.datasets_dir / "both" / "wlasl" / "clips.csv").touch()
    (settings.configs_dir / "large.yaml").write_text("kind: glosses\n")
    wanted = {"dataset": "both", "config": "large", "batch_size": 8, "seed": 3, "overrides": {"steps": 5}}
    command = make_plan(settings, asked(**wanted), tmp_path).command
    assert command[command.index("--set") :] == ["--set", "batch_size=8", "seed=3", "steps=5"]
    with pytest.raises(InvalidRequest, match="num_epochs: the config 'large' counts steps"):
        make_plan(settings, asked(**wanted, num_epochs=2), tmp_path)


@pytest.mark.parametrize("text", ["kind: other\n", "- a\n", "{"])
def test_a_config_that_no_trainer_reads_is_refused(settings: Settings, tmp_path: Path, text: str) -> None:
    (settings.configs_dir / "wrong.yaml").write_text(text)
    with pytest.raises(InvalidRequest, match="config: 'wrong' cannot be used"):
        make_plan(settings, asked(config="wrong"), tmp_path)


def test_several_processes_run_under_torchrun_and_a_resumed_job_goes_on(settings: Settings, tmp_path: Path) -> None:
    command = make_plan(settings, asked(nproc=2), tmp_path, resume=True).command
    assert command[1:9] == [
        "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "app", "train",
    ]  # fmt: skip
    assert command[-1] == "--resume"


def test_names_are_looked_up_and_links_are_not_followed(settings: Settings, tmp_path: Path) -> None:
    os.symlink(tmp_path / "outside", settings.datasets_dir / "linked")
    os.symlink(tmp_path / "outside" / "secret.yaml", settings.configs_dir / "linked.yaml")
    (settings.datasets_dir / "file").touch()
    for name in ("linked", "file", "nowhere"):
        with pytest.raises(UnknownDataset, match="available: signs"):
            make_plan(settings, asked(dataset=name), tmp_path)
    with pytest.raises(UnknownConfig, match="available: tiny"):
        make_plan(settings, asked(config="linked"), tmp_path)


def test_a_folder_of_datasets_that_is_not_there_holds_none(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UnknownDataset, match="there is none"):
        make_plan(settings.model_copy(update={"datasets_dir": tmp_path / "nowhere"}), asked(), tmp_path)


def test_packages_that_training_needs_are_asked_for(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "PACKAGES", ("no_such_package",))
    with pytest.raises(TrainingUnavailable, match=r"no_such_package.*requirements-train\.txt"):
        make_plan(settings, asked(), tmp_path)


@pytest.mark.parametrize(
    ("count", "device", "nproc", "expected"),
    [
        (0, "auto", 1, ()),
        (0, "auto", 3, ()),
        (2, "cpu", 2, ()),
        (2, "auto", 1, (0,)),
        (2, "cuda", 1, (0,)),
        (2, "cuda:1", 1, (1,)),
        (2, "auto", 2, (0, 1)),
    ],
)
def test_the_gpus_of_a_job(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, device: str, nproc: int,
    expected: tuple[int, ...],
) -> None:  # fmt: skip
    cards(monkeypatch, count)
    assert make_plan(settings, asked(device=device, nproc=nproc), tmp_path).gpus == expected


@pytest.mark.parametrize(
    ("count", "device", "nproc", "said"),
    [(0, "cuda", 1, "0 CUDA GPUs"), (2, "cuda:2", 1, "2 CUDA GPUs"), (2, "cuda:1", 2, "write 'cuda'"),
     (2, "cuda", 3, "as many GPUs")],
)  # fmt: skip
def test_gpus_that_are_not_there_are_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, device: str, nproc: int, said: str
) -> None:
    cards(monkeypatch, count)
    with pytest.raises(InvalidRequest, match=said):
        make_plan(settings, asked(device=device, nproc=nproc), tmp_path)


@pytest.mark.parametrize(
    ("cards", "sharing", "serving", "training", "said"),
    [
        ((0,), None, "cuda:0", [], "the service uses cuda:0. Request"),
        ((0,), "exclusive", "cuda:0", [], "cannot have it exclusively"),
        ((0, 1), None, "cuda:1", [], "the service uses cuda:1"),
        ((0,), None, "cpu", ["cuda:0,cuda:1"], "Another job trains on cuda:0"),
        ((1,), "exclusive", "cuda:0", ["cuda:1"], "Another job trains on cuda:1"),
        ((0,), "share", "cuda:0", ["cuda:0"], None),
        ((1,), "exclusive", "cuda:0", ["cuda:0", "cpu"], None),
        ((), None, "cuda:0", ["cuda:0"], None),
        ((0,), None, None, [], None),
    ],
)
def test_jobs_do_not_share_a_gpu_unasked(
    cards: tuple[int, ...], sharing: str | None, serving: str | None, training: list[str], said: str | None
) -> None:
    made, request = Plan([], cards), asked(gpu_sharing=sharing)
    if said is None:
        check_gpus(made, request, serving, training)
    else:
        with pytest.raises(GpuInUse, match=said):
            check_gpus(made, request, serving, training)


def test_ids_are_names_of_checkpoints_and_differ() -> None:
    ids = {new_id(asked(config="c" * 50 + ".yaml")) for _ in range(50)}
    assert len(ids) > 45
    assert all(NAME.fullmatch(name) for name in ids)
