"""Train the large-vocabulary recogniser.

python -m app.training.corpora.glosses.train --bank BANK.xz --out runs/g1 --steps 8000 [--seconds 300] [--set a.b=c ...]
BANK.xz is made by `pack`; a folder that holds signs/ and wlasl/ does as well. Everything is in `Settings`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from app.pipeline.checkpoint import CheckpointConfig, DecoderConfig, load_checkpoint, save_checkpoint
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.training.corpora.glosses.bank import Bank, load_bank, vocabulary
from app.training.corpora.glosses.batches import GROUP, IndexBatch, PhraseGroups
from app.training.corpora.glosses.compose import Composer, Recipe
from app.training.corpora.glosses.device import DeviceBank, Disturbance, disturb, features
from app.training.corpora.glosses.evaluation import dev_parts, figures
from app.training.corpora.glosses.objective import Objective, loss
from app.training.corpora.glosses.pack import unpack
from app.training.corpora.glosses.strokes import find_strokes


@dataclass(frozen=True)
class Settings:
    """One run."""

    steps: int = 8000
    #: end after so many seconds of training, the schedule with it; 0: no limit
    seconds: float = 0.0
    batch_size: int = 256
    learning_rate: float = 3e-3
    warm_up: int = 300
    weight_decay: float = 0.05
    clip: float = 2.0
    average: float = 0.999
    seed: int = 1
    workers: int = 2
    save_every: int = 1000
    recipe: Recipe = field(default_factory=Recipe)
    disturbance: Disturbance = field(default_factory=Disturbance)
    objective: Objective = field(default_factory=Objective)
    model: dict[str, Any] = field(
        default_factory=lambda: {
            "body": "head",
            "norm": "layer",
            "residual": True,
            "model_dim": 320,
            "hand_dim": 160,
            "hidden": 256,
            "dropout": 0.3,
            "cosine_scale": 20.0,
        }
    )


def changed(settings: Any, assignments: list[str]) -> Any:
    """Settings with `a.b=value` applied. Raises ValueError for a field that does not exist."""
    for assignment in assignments:
        path, _, text = assignment.partition("=")
        settings = _set(settings, path.split("."), text)
    return settings


def _set(owner: Any, path: list[str], text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(owner, dict):
        return {**owner, path[0]: value}
    if not is_dataclass(owner) or isinstance(owner, type) or path[0] not in {f.name for f in fields(owner)}:
        raise ValueError(f"there is no setting {path[0]!r}")
    old = getattr(owner, path[0])
    return replace(owner, **{path[0]: _set(old, path[1:], text) if len(path) > 1 else _like(old, value)})


def _like(old: Any, value: Any) -> Any:
    return tuple(value) if isinstance(old, tuple) else type(old)(value)


class Average:
    """Exponential moving average of the weights, on the device."""

    def __init__(self, model: SignModel, decay: float) -> None:
        self.decay = decay
        self.model = SignModel(model.config).to(next(model.parameters()).device).eval()
        self.model.load_state_dict(model.state_dict())

    @torch.no_grad()
    def update(self, model: SignModel, step: int) -> None:
        decay = min(self.decay, (1 + step) / (20 + step))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)


class Run:
    """A training run in a folder: `state.pt` to go on from, `log.jsonl`, and the checkpoint at the end."""

    def __init__(self, bank: Bank, settings: Settings, folder: Path, device: torch.device) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.settings, self.folder, self.device = settings, folder, device
        self.bank, self.strokes = bank, find_strokes(bank)
        self.frames = DeviceBank(bank, device)
        self.vocabulary = vocabulary(bank)
        torch.manual_seed(settings.seed)
        self.model = SignModel(ModelConfig(labels=len(self.vocabulary), **settings.model)).to(device)
        self.average = Average(self.model, settings.average)
        groups = [
            {"params": [p for p in self.model.parameters() if p.dim() > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in self.model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, settings.learning_rate, betas=(0.9, 0.98))
        self.step, self.spent = 0, 0.0
        self.teachers: list[SignModel] = []
        self.amp = torch.bfloat16 if device.type == "cuda" else torch.float32

    # -- saving and going on ----------------------------------------------------------------------------------------

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent": self.spent,
        }
        part = self.folder / "state.part"
        torch.save(state, part)
        os.replace(part, self.folder / "state.pt")

    def resume(self) -> bool:
        """Go on from `state.pt`; False where there is none."""
        path = self.folder / "state.pt"
        if not path.is_file():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.spent = int(state["step"]), float(state["spent"])
        return True

    def start_from(self, checkpoint: Path) -> None:
        """Begin with the weights of a checkpoint of the same make."""
        _, model = load_checkpoint(checkpoint, str(self.device))
        self.model.load_state_dict(model.state_dict())
        self.average.model.load_state_dict(model.state_dict())

    # -- training ---------------------------------------------------------------------------------------------------

    def batches(self) -> Iterator[IndexBatch]:
        composer = Composer(self.bank, self.strokes, self.bank.of(split="train"), self.vocabulary, self.settings.recipe)
        groups = -(-self.settings.steps // GROUP)
        data = PhraseGroups(composer, self.settings.batch_size, groups, self.settings.seed)
        done = self.step // GROUP
        loader = DataLoader(
            data,
            batch_size=None,
            sampler=range(done, groups),
            num_workers=self.settings.workers,
            prefetch_factor=2 if self.settings.workers else None,
            pin_memory=self.device.type == "cuda",
        )
        for number, group in enumerate(loader, done):
            for place, batch in enumerate(group):
                if number * GROUP + place >= self.step:
                    yield batch

    def rate(self, progress: float) -> float:
        rise = min(1.0, (self.step + 1) / self.settings.warm_up)
        return self.settings.learning_rate * rise * (0.5 * (1 + math.cos(math.pi * min(1.0, progress))) + 0.005)

    def train(self) -> None:
        settings, begun = self.settings, time.monotonic() - self.spent
        generator = torch.Generator(self.device)
        saved = time.monotonic()
        for batch in self.batches():
            self.spent = time.monotonic() - begun
            if self.step >= settings.steps or (settings.seconds and self.spent > settings.seconds):
                break
            progress = max(self.step / settings.steps, self.spent / settings.seconds if settings.seconds else 0.0)
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate(progress)
            batch = batch.to(self.device)
            generator.manual_seed(settings.seed * 1_000_003 + self.step)
            with torch.no_grad():
                x = features(*disturb(*self.frames.gather(batch), settings.disturbance, generator))
            self.model.train()
            total, parts = loss(self.model, x, batch, settings.objective, self.amp, self.teachers)
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
            self.optimizer.step()
            self.step += 1
            self.average.update(self.model, self.step)
            if self.step in (1, 20, 100) or self.step % 250 == 0:
                shown = {k: round(float(v), 4) for k, v in parts.items()}
                self.log({"step": self.step, "seconds": round(self.spent, 1), "frames": x.shape[1], **shown})
            if settings.save_every and self.step % settings.save_every == 0 and time.monotonic() - saved > 60:
                self.save()
                saved = time.monotonic()

    def log(self, row: dict[str, Any]) -> None:
        line = json.dumps(row)
        print(self.folder.name, line, flush=True)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as f:
            f.write(line + "\n")

    # -- the end ----------------------------------------------------------------------------------------------------

    def evaluate(self) -> dict[str, Any]:
        parts = dev_parts(self.bank, self.strokes, self.vocabulary)
        return figures(self.average.model, self.frames, parts, self.vocabulary, self.amp)

    def finish(self, results: dict[str, Any]) -> None:
        """The average as a checkpoint, its weights in half precision."""
        config = CheckpointConfig(
            self.folder.name,
            "ase",
            self.vocabulary,
            self.model.config,
            decoder=DecoderConfig(beam=1),
            provenance={"seed": self.settings.seed, "step": self.step, "settings": asdict(self.settings)},
        )
        half = SignModel(self.model.config).half()
        half.load_state_dict({k: v.half() for k, v in self.average.model.state_dict().items()})
        save_checkpoint(self.folder, config, half)
        (self.folder / "figures.json").write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--init", type=Path, help="checkpoint to begin with")
    parser.add_argument("--teachers", type=Path, nargs="*", default=[], help="checkpoints to learn from")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("high")
    settings: Settings = changed(Settings(), arguments.set)
    bank = load_bank(arguments.bank) if arguments.bank.is_dir() else unpack(arguments.bank)
    run = Run(bank, settings, arguments.out, torch.device(arguments.device))
    if not run.resume() and arguments.init:
        run.start_from(arguments.init)
    for teacher in arguments.teachers:
        config, model = load_checkpoint(teacher, arguments.device)
        if config.vocabulary != run.vocabulary:
            raise SystemExit(f"the teacher {teacher} has another vocabulary")
        run.teachers.append(model.requires_grad_(False))
    weights = sum(p.numel() for p in run.model.parameters()) / 1e6
    run.log({"clips": len(bank.clips), "labels": len(run.vocabulary), "weights_m": round(weights, 2)})
    run.train()
    run.log({"trained": run.step, "seconds": round(run.spent, 1)})
    run.save()
    run.finish({})
    results = run.evaluate()
    run.finish(results)
    for name, row in results.items():
        print(run.folder.name, name, row, flush=True)


if __name__ == "__main__":
    main()
