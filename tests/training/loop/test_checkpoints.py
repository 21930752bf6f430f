from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from app.training.loop.checkpoints import CannotResume, CheckpointManager, TrainingState, load_state

VOCABULARY, MODEL = ("A", "B"), {"labels": 2, "model_dim": 8}


def state(step: int, size: int = 50) -> TrainingState:
    return TrainingState(step, VOCABULARY, MODEL, {"w": torch.full((size,), float(step))}, {"rate": 0.5})


def load(folder: Path) -> TrainingState:
    return load_state(folder, VOCABULARY, MODEL)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def in_child(act: Callable[[], None]) -> int:
    """Runs `act` in a child process; its wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(99)  # what `act` itself ends with does not come here
    return os.waitpid(pid, 0)[1]


def test_of_twelve_checkpoints_the_last_five_and_the_best_are_kept(tmp_path: Path) -> None:
    manager = CheckpointManager(tmp_path / "c")
    assert manager.latest() is None
    for step in range(10, 130, 10):
        manager.save(state(step))
        if step in (20, 30):
            manager.save_best(state(step))
    assert names(tmp_path / "c") == ["best", *(f"step-{s:08d}" for s in (80, 90, 100, 110, 120))]
    assert manager.latest() == manager.path(120)
    assert load(tmp_path / "c" / "best").step == 30
    last = load(manager.path(120))
    assert (last.step, last.rest, last.tensors["w"].tolist()) == (120, {"rate": 0.5}, [120.0] * 50)


def test_a_step_saved_again_replaces_the_first(tmp_path: Path) -> None:
    manager = CheckpointManager(tmp_path)
    manager.save(state(5))
    again = state(5)
    again.rest = {"rate": 0.25}
    manager.save(again)
    assert load(manager.path(5)).rest == {"rate": 0.25}
    assert names(tmp_path) == ["step-00000005"]


@pytest.mark.parametrize("best", [False, True])
def test_a_kill_at_any_moment_of_a_write_leaves_only_whole_checkpoints(tmp_path: Path, best: bool) -> None:
    """The writer is killed before each of its calls that touch the disk in turn, until it gets through."""
    moments = 0
    while True:
        folder = tmp_path / str(moments)
        manager = CheckpointManager(folder, keep=2)
        for step in (1, 2):
            manager.save(state(step))
        manager.save_best(state(1))

        def write(manager: CheckpointManager = manager, left: int = moments) -> None:
            for owner, name in ((os, "fsync"), (os, "mkdir"), (os, "rename"), (shutil, "rmtree"), (os, "unlink")):
                original = getattr(owner, name)

                def deadly(*args: object, original: Callable[..., object] = original, **more: object) -> object:
                    nonlocal left
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left -= 1
                    return original(*args, **more)

                setattr(owner, name, deadly)
            (manager.save_best if best else manager.save)(state(3))
            os._exit(0)

        status = in_child(write)
        for visible in folder.glob("[!.]*"):
            load(visible)
        CheckpointManager(folder, keep=2).clean()
        assert not list(folder.glob(".*"))
        assert load(folder / "best").step in ((1, 3) if best else (1,))
        assert manager.steps() in ([1, 2], [2, 3])
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        moments += 1
    assert moments >= 6
    assert load(folder / "best").step == (3 if best else 1)


def test_a_full_disk_is_an_error_and_costs_nothing_that_was_there(tmp_path: Path) -> None:
    manager = CheckpointManager(tmp_path)
    manager.save(state(1))
    manager.save_best(state(1))

    def write() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        for save in (manager.save, manager.save_best):
            try:
                save(state(2, size=10_000))
            except OSError as error:
                if error.errno != errno.EFBIG:
                    os._exit(2)
            else:
                os._exit(1)
        os._exit(0)

    assert os.waitstatus_to_exitcode(in_child(write)) == 0
    assert names(tmp_path) == ["best", "step-00000001"]
    assert load(tmp_path / "best").step == load(manager.path(1)).step == 1


def test_another_vocabulary_or_model_is_refused_by_name(tmp_path: Path) -> None:
    path = CheckpointManager(tmp_path).save(state(1))
    with pytest.raises(CannotResume, match="other glosses"):
        load_state(path, ("A", "C"), MODEL)
    with pytest.raises(CannotResume, match="differs in model_dim, wings"):
        load_state(path, VOCABULARY, {"labels": 2, "model_dim": 9, "wings": 2})


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    path = CheckpointManager(tmp_path).save(state(1))

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "exploded",)  # type: ignore[return-value]

    for zipped in (True, False):
        torch.save({"w": Bomb()}, path / "state.safetensors", _use_new_zipfile_serialization=zipped)
        with pytest.raises(CannotResume, match="is a pickle"):
            load(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("state.safetensors", b"", "cannot read"),
        ("state.safetensors", b"\x00" * 40, "cannot read"),
        ("state.json", b"{", "cannot read"),
        ("state.json", b"[]", "not a checkpoint of this version"),
        ("state.json", b'{"format": 99}', "not a checkpoint of this version"),
        ("state.json", None, "remove that folder"),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    path = CheckpointManager(tmp_path).save(state(1))
    if content is None:
        (path / name).unlink()
    else:
        (path / name).write_bytes(content)
    with pytest.raises(CannotResume, match=says):
        load(path)
