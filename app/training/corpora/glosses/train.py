"""One training run of the large vocabulary: phrases composed, gathered and disturbed on the device; resumable.

Everything drawn depends on the seed and the step alone, so a run that ends by `steps` and is resumed on the CPU ends as
an unbroken one would have.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from app.pipeline.checkpoint import CheckpointConfig, CheckpointError, DecoderConfig, load_checkpoint, save_checkpoint
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.pipeline.module3_sequence.ngram import NgramModel
from app.training.corpora.glosses.bank import Bank, load_bank, vocabulary
from app.training.corpora.glosses.batches import GROUP, IndexBatch, PhraseGroups
from app.training.corpora.glosses.compose import Composer
from app.training.corpora.glosses.device import DeviceBank, disturb, features
from app.training.corpora.glosses.evaluation import dev_parts, figures
from app.training.corpora.glosses.objective import loss
from app.training.corpora.glosses.pack import unpack
from app.training.corpora.glosses.settings import Settings
from app.training.corpora.glosses.strokes import find_strokes
from app.training.errors import ConfigError
from app.training.loop.checkpoints import CheckpointManager, TrainingState, load_state
from app.training.loop.optimise import Average, decay_groups, precision
from app.training.loop.random_state import seed_all
from app.training.loop.signals import StopRequest, ignore_signals
from app.training.run_folder import CHECKPOINTS, FINAL, METRICS, write_json


def open_bank(data: Path) -> Bank:
    """The clips in `data`: a folder that holds signs/ and wlasl/, or a file made by `pack`. Raises CorpusError."""
    return unpack(data) if data.is_file() else load_bank(data)


class Run:
    """A run in a folder: checkpoints/ to resume from, log.jsonl, and final/, which the service loads."""

    def __init__(self, bank: Bank, settings: Settings, folder: Path, device: torch.device) -> None:
        """Raises ConfigError for a network that cannot be built."""
        folder.mkdir(parents=True, exist_ok=True)
        self.settings, self.folder, self.device = settings, folder, device
        self.bank, self.strokes = bank, find_strokes(bank)
        self.frames = DeviceBank(bank, device)
        self.vocabulary = vocabulary(bank)
        seed_all(settings.seed)
        try:
            self.model = SignModel(ModelConfig(labels=len(self.vocabulary), **settings.model)).to(device)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"model: {error}") from error
        self.teachers = self._teachers() if settings.objective.distil else []
        self.average = Average(self.model, settings.average)
        groups = decay_groups(self.model, settings.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, settings.learning_rate, betas=(0.9, 0.98))
        self.checkpoints = CheckpointManager(folder / CHECKPOINTS, keep=2)
        self.amp = precision("auto", device)
        self.step, self.spent = 0, 0.0

    # -- saving and going on ----------------------------------------------------------------------------------------

    def save(self) -> None:
        """Add a checkpoint to resume from. Raises OSError."""
        tensors: dict[str, Tensor] = {}
        for prefix, weights in (("model", self.model.state_dict()), ("average", self.average.state)):
            tensors |= {f"{prefix}/{k}": v for k, v in weights.items()}
        optimizer = self.optimizer.state_dict()
        for index, values in optimizer["state"].items():
            tensors |= {f"optim/{index}/{k}": torch.as_tensor(v) for k, v in values.items()}
        self.checkpoints.save(
            TrainingState(
                self.step,
                self.vocabulary,
                self.model.config.to_dict(),
                {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()},
                {"spent": self.spent, "groups": optimizer["param_groups"]},
            )
        )

    def resume(self) -> bool:
        """Continue from the newest checkpoint when there is one. Raises CheckpointRefused (a ConfigError)."""
        path = self.checkpoints.latest()
        if path is None:
            return False
        saved = load_state(path, self.vocabulary, self.model.config.to_dict())
        weights: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}}
        optimizer: dict[str, Any] = {"state": {}, "param_groups": saved.rest["groups"]}
        for key, value in saved.tensors.items():
            prefix, _, name = key.partition("/")
            if prefix == "optim":
                index, _, name = name.partition("/")
                optimizer["state"].setdefault(int(index), {})[name] = value
            else:
                weights[prefix][name] = value.to(self.device)
        self.model.load_state_dict(weights["model"])
        self.average.state = weights["average"]
        self.optimizer.load_state_dict(optimizer)
        self.step, self.spent = saved.step, float(saved.rest["spent"])
        return True

    def start_from(self, checkpoint: Path) -> None:
        """Begin with the weights of a checkpoint of the same network (its dropout apart) and glosses. Raises
        ConfigError."""
        model = self._opened(checkpoint)
        if replace(model.config, dropout=self.model.config.dropout) != self.model.config:
            raise ConfigError(f"the checkpoint {checkpoint} has another network than this run")
        self.model.load_state_dict(model.state_dict())
        self.average = Average(self.model, self.settings.average)

    def _opened(self, checkpoint: Path) -> SignModel:
        """A network that knows the glosses of this run."""
        try:
            config, model = load_checkpoint(checkpoint, str(self.device))
        except CheckpointError as error:
            raise ConfigError(str(error)) from error
        if config.vocabulary != self.vocabulary:
            raise ConfigError(f"the checkpoint {checkpoint} has other glosses than this run")
        return model

    def _teachers(self) -> list[SignModel]:
        if not self.settings.teachers:
            raise ConfigError("objective.distil needs teachers: name checkpoint folders in the setting teachers")
        return [self._opened(Path(folder)).requires_grad_(False) for folder in self.settings.teachers]

    # -- training ---------------------------------------------------------------------------------------------------

    def batches(self) -> Iterator[IndexBatch]:
        """The batches from the present step on."""
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
            worker_init_fn=ignore_signals,
        )
        for number, group in enumerate(loader, done):
            for place, batch in enumerate(group):
                if number * GROUP + place >= self.step:
                    yield batch

    def rate(self, progress: float) -> float:
        """The learning rate of the present step; progress: share of the run that is over."""
        rise = min(1.0, (self.step + 1) / self.settings.warm_up) if self.settings.warm_up else 1.0
        return self.settings.learning_rate * rise * (0.5 * (1 + math.cos(math.pi * min(1.0, progress))) + 0.005)

    def train(self, stop: StopRequest | None = None) -> bool:
        """To the end of the run; False where `stop` ended it before. A checkpoint is written in both cases."""
        settings, begun = self.settings, time.monotonic() - self.spent
        generator = torch.Generator(self.device)
        for batch in self.batches():
            self.spent = time.monotonic() - begun
            if self.step >= settings.steps or (settings.seconds and self.spent > settings.seconds):
                break
            if stop is not None and stop.asked:
                self.save()
                return False
            progress = max(self.step / settings.steps, self.spent / settings.seconds if settings.seconds else 0.0)
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate(progress)
            self._step(batch.to(self.device), generator)
            if settings.save_every and self.step % settings.save_every == 0:
                self.save()
        self.save()
        return True

    def _step(self, batch: IndexBatch, generator: torch.Generator) -> None:
        drawn = self.settings.seed * 1_000_003 + self.step
        torch.manual_seed(drawn)  # dropout
        generator.manual_seed(drawn)  # disturbance
        with torch.no_grad():
            x = features(*disturb(*self.frames.gather(batch), self.settings.disturbance, generator, batch.strength))
        self.model.train()
        total, parts = loss(self.model, x, batch, self.settings.objective, self.amp, self.teachers)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.step += 1
        self.average.update(self.model, self.step)
        if self.step in (1, 20, 100) or self.step % 250 == 0:
            shown = {k: round(float(v), 4) for k, v in parts.items()}
            self.log({"step": self.step, "seconds": round(self.spent, 1), "frames": x.shape[1], **shown})

    def log(self, row: dict[str, Any]) -> None:
        """Append a line to log.jsonl and print it."""
        line = json.dumps(row)
        print(self.folder.name, line, flush=True)
        with (self.folder / METRICS).open("a", encoding="utf-8") as f:
            f.write(line + "\n")

    # -- the end ----------------------------------------------------------------------------------------------------

    def averaged_model(self) -> SignModel:
        """The model with the averaged weights, in eval mode."""
        model = SignModel(self.model.config).to(self.device)
        model.load_state_dict(self.average.state)
        return model.eval()

    def finish_weights(self) -> SignModel:
        """Write final/, the averaged weights in half precision; returns the model with them."""
        model = self.averaged_model()
        config = CheckpointConfig(
            self.folder.name,
            "ase",
            self.vocabulary,
            self.model.config,
            decoder=DecoderConfig(beam=1),
            provenance={"seed": self.settings.seed, "step": self.step, "settings": asdict(self.settings)},
        )
        half = SignModel(self.model.config).half()
        half.load_state_dict(model.state_dict())
        save_checkpoint(self.folder / FINAL, config, half)
        return model

    def finish(self) -> dict[str, Any]:
        """Write final/ and figures.json beside it; returns the figures."""
        model = self.finish_weights()
        results = dev_figures(model, self.bank, self.vocabulary, self.device)
        write_json(self.folder / "figures.json", results)
        return results


def dev_figures(
    model: SignModel,
    bank: Bank,
    glosses: tuple[str, ...],
    device: torch.device,
    config: CheckpointConfig | None = None,
    useful: frozenset[str] | None = None,
    lm: NgramModel | None = None,
) -> dict[str, Any]:
    """The dev figures of a model (see `evaluation`) on the clips of a bank; config: whose decoder settings are used;
    useful: the glosses of `everyday`; lm: a gloss language model, used where the settings weigh it."""
    parts = dev_parts(bank, find_strokes(bank), glosses, useful=useful)
    return figures(model, DeviceBank(bank, device), parts, glosses, precision("auto", device), config, lm=lm)
