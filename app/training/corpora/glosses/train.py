"""One training run of the large vocabulary: phrases composed, gathered and disturbed on the device; resumable.

Everything drawn depends on the seed and the step alone, so a run that ends by `steps` and is resumed on the CPU ends as
an unbroken one would have. Several processes share each batch; only dropout is drawn apart in each of them.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
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
from app.training.corpora.glosses.objective import Forward, loss
from app.training.corpora.glosses.pack import unpack
from app.training.corpora.glosses.settings import Settings
from app.training.corpora.glosses.strokes import find_strokes
from app.training.errors import ConfigError, TrainingFailed
from app.training.loop.batch_norm import share_batch_norm
from app.training.loop.checkpoints import CheckpointManager, ResumeRefused, TrainingState, load_state
from app.training.loop.distributed import ALONE, Ranks, averaged_over, sum_over_ranks
from app.training.loop.optimise import Average, decay_groups, precision
from app.training.loop.random_state import seed_all
from app.training.loop.signals import StopRequest, ignore_signals
from app.training.run_folder import CHECKPOINTS, FINAL, RunFiles, missing_packages, write_json

#: Steps between log lines, after the first few.
LOG_EVERY = 250
#: status.json is at most this old, in seconds.
REPORT_EVERY_S = 5.0


def open_bank(data: Path, clips_per_gloss: int | None = None) -> Bank:
    """The clips in `data`: a folder that holds signs/ and wlasl/, or a file made by `pack`.

    clips_per_gloss: at most so many clips of a signer's gloss, of a folder. Raises CorpusError.
    """
    return unpack(data) if data.is_file() else load_bank(data, clips_per_gloss)


class Run:
    """A run in a folder: status.json, checkpoints/ to resume from, log.jsonl, and final/, which the service loads.

    Its stages train one network, each from the averaged weights of the one before.
    """

    def __init__(self, bank: Bank, stages: Sequence[Settings], folder: Path, ranks: Ranks = ALONE) -> None:
        """Raises ConfigError for a network that cannot be built or a batch that cannot be shared out evenly."""
        for stage in stages:
            if stage.batch_size % ranks.world:
                raise ConfigError(
                    f"batch_size={stage.batch_size} cannot be shared evenly by {ranks.world} processes; use a multiple "
                    f"of {ranks.world}"
                )
        self.stages, self.folder, self.ranks, self.device = tuple(stages), folder, ranks, ranks.device
        self.files = RunFiles(folder, ranks.main, curves=missing_packages() is None)
        self.bank, self.strokes = bank, find_strokes(bank)
        self.frames = DeviceBank(bank, self.device)
        self.vocabulary = vocabulary(bank)
        seed_all(stages[0].seed)
        try:
            self.model = SignModel(ModelConfig(labels=len(self.vocabulary), **stages[0].model)).to(self.device)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"model: {error}") from error
        if ranks.world > 1:
            share_batch_norm(self.model, self.device)
        self.net = averaged_over(ranks, Forward(self.model))
        self.checkpoints = CheckpointManager(folder / CHECKPOINTS, keep=2)
        self.amp = precision("auto", self.device)
        self._reported = 0.0
        self._begin(0, 0)

    def _begin(self, stage: int, before: int) -> None:
        """Be at the start of a stage, with the present weights; before: steps of earlier stages."""
        self.stage, self.before, self.settings = stage, before, self.stages[stage]
        self.stage_step, self.spent = 0, 0.0
        self.teachers = [self._opened(Path(f)).requires_grad_(False) for f in self.settings.teachers]
        self.average = Average(self.model, self.settings.average)
        groups = decay_groups(self.model, self.settings.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, self.settings.learning_rate, betas=(0.9, 0.98))

    @property
    def step(self) -> int:
        """Optimiser steps done, in all stages."""
        return self.before + self.stage_step

    # -- saving and going on ----------------------------------------------------------------------------------------

    def save(self) -> None:
        """Add a checkpoint to resume from; the first process writes it. Raises OSError."""
        if not self.ranks.main:
            return
        tensors: dict[str, Tensor] = {}
        for prefix, weights in (("model", self.model.state_dict()), ("average", self.average.state)):
            tensors |= {f"{prefix}/{k}": v for k, v in weights.items()}
        optimizer = self.optimizer.state_dict()
        for index, values in optimizer["state"].items():
            tensors |= {f"optim/{index}/{k}": torch.as_tensor(v) for k, v in values.items()}
        rest = {"spent": self.spent, "groups": optimizer["param_groups"], "stage": self.stage, "before": self.before}
        self.checkpoints.save(
            TrainingState(
                self.step,
                self.vocabulary,
                self.model.config.to_dict(),
                {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()},
                rest,
            )
        )

    def resume(self) -> bool:
        """Continue from the newest checkpoint when there is one. Raises ResumeRefused (a ConfigError)."""
        path = self.checkpoints.latest()
        if path is None:
            return False
        saved = load_state(path, self.vocabulary, self.model.config.to_dict())
        stage = int(saved.rest.get("stage", 0))
        if stage >= len(self.stages):
            raise ResumeRefused(
                f"the checkpoint {path} is of stage {stage + 1}, and this run has {len(self.stages)}; use the config "
                f"it was started with, or another --out"
            )
        weights: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}}
        optimizer: dict[str, Any] = {"state": {}, "param_groups": saved.rest["groups"]}
        for key, value in saved.tensors.items():
            prefix, _, name = key.partition("/")
            if prefix == "optim":
                index, _, name = name.partition("/")
                optimizer["state"].setdefault(int(index), {})[name] = value
            else:
                weights[prefix][name] = value.to(self.device)
        self._begin(stage, int(saved.rest.get("before", 0)))
        self.model.load_state_dict(weights["model"])
        self.average.state = weights["average"]
        self.optimizer.load_state_dict(optimizer)
        self.stage_step, self.spent = saved.step - self.before, float(saved.rest["spent"])
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

    # -- training ---------------------------------------------------------------------------------------------------

    def batches(self) -> Iterator[IndexBatch]:
        """This process' shares of the batches of the stage, from the present step on."""
        composer = Composer(self.bank, self.strokes, self.bank.of(split="train"), self.vocabulary, self.settings.recipe)
        groups = -(-self.settings.steps // GROUP)
        data = PhraseGroups(
            composer, self.settings.batch_size, groups, self.settings.seed, self.ranks.rank, self.ranks.world
        )
        done = self.stage_step // GROUP
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
                if number * GROUP + place >= self.stage_step:
                    yield batch

    def rate(self, progress: float) -> float:
        """The learning rate of the present step; progress: share of the stage that is over."""
        rise = min(1.0, (self.stage_step + 1) / self.settings.warm_up) if self.settings.warm_up else 1.0
        return self.settings.learning_rate * rise * (0.5 * (1 + math.cos(math.pi * min(1.0, progress))) + 0.005)

    def run(self, stop: StopRequest | None = None) -> str | None:
        """Train to the end of the last stage; "signal" where `stop` ended it before. A checkpoint is written in both
        cases. Raises OSError where one cannot be, TrainingFailed where the loss is not finite."""
        self.report("running")
        while self._train_stage(stop):
            self.save()
            if self.stage + 1 == len(self.stages):
                return None
            self.model.load_state_dict(self.average.state)
            self._begin(self.stage + 1, self.step)
        self.save()
        return "signal"

    def _train_stage(self, stop: StopRequest | None) -> bool:
        """To the end of the stage; False where any process was asked to stop before."""
        settings, begun = self.settings, time.monotonic() - self.spent
        generator = torch.Generator(self.device)
        for batch in self.batches():
            asked = self._agreed(time.monotonic() - begun, stop is not None and stop.asked)
            if self.stage_step >= settings.steps or (settings.seconds and self.spent > settings.seconds):
                break
            if asked:
                return False
            over = self.spent / settings.seconds if settings.seconds else 0.0
            rate = self.rate(max(self.stage_step / settings.steps, over))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.train_step(batch.to(self.device), generator)
            if settings.save_every and self.stage_step % settings.save_every == 0:
                self.save()
            if time.monotonic() - self._reported > REPORT_EVERY_S:
                self.report("running")
        return True

    def _agreed(self, spent: float, asked: bool) -> bool:
        """Whether any process is asked to stop; takes the first one's time, by which a stage ends, for all."""
        first = spent if self.ranks.main else 0.0
        stops, self.spent = sum_over_ranks([asked, first]) if self.ranks.world > 1 else (asked, spent)
        return stops > 0

    def train_step(self, batch: IndexBatch, generator: torch.Generator) -> None:
        """One optimiser step on this process' share of a batch, which is on the device."""
        drawn = self.settings.seed * 1_000_003 + self.stage_step
        torch.manual_seed(drawn + 1_000_000_007 * self.ranks.rank)  # dropout
        generator.manual_seed(drawn)  # everything else
        with torch.no_grad():
            points, there = self.frames.gather(batch)
            how = self.settings.disturbance
            x = features(*disturb(points, there, how, generator, batch.strength, batch.rows, batch.parts))
        self.model.train()
        total, parts = loss(self.net, x, batch, self.settings.objective, self.amp, self.teachers, generator)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.stage_step += 1
        self.average.update(self.model, self.stage_step)
        if self.stage_step in (1, 20, 100, self.settings.steps) or self.stage_step % LOG_EVERY == 0:
            self._log_parts(parts, x.shape[1])

    def _log_parts(self, parts: dict[str, Tensor], frames: int) -> None:
        """The parts of the whole batch's loss. Raises TrainingFailed where one is not finite."""
        means = [total / self.ranks.world for total in sum_over_ranks([float(v) for v in parts.values()])]
        shown = {name: round(mean, 4) for name, mean in zip(parts, means, strict=True)}
        bad = [name for name, value in shown.items() if not math.isfinite(value)]
        if bad:
            raise TrainingFailed(
                f"the loss ({bad[0]}) is not finite at step {self.step}; lower learning_rate, or continue from an "
                f"earlier checkpoint"
            )
        self.log({"seconds": round(self.spent, 1), "frames": frames, **shown})

    def log(self, row: dict[str, Any]) -> None:
        """Append a line to log.jsonl and print it."""
        if not self.ranks.main:
            return
        stage = {"stage": self.stage + 1} if len(self.stages) > 1 else {}
        print(self.folder.name, json.dumps({"step": self.step, **stage, **row}), flush=True)
        self.files.log(self.step, {**stage, **row})

    def report(self, state: Any, reason: str | None = None) -> None:
        """Replace status.json; the steps are those of all stages, as far as they are known."""
        self._reported = time.monotonic()
        steps = self.before + sum(stage.steps for stage in self.stages[self.stage :])
        self.files.status(state, reason, step=self.step, steps=steps)

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
            provenance={
                "seed": self.settings.seed,
                "step": self.step,
                "settings": asdict(self.settings),
                **({"earlier_stages": earlier} if (earlier := [asdict(s) for s in self.stages[: self.stage]]) else {}),
            },
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
    amp: str = "auto",
) -> dict[str, Any]:
    """The dev figures of a model (see `evaluation`) on the clips of a bank; config: whose decoder settings are used;
    useful: the glosses of `everyday`; lm: a gloss language model, used where the settings weigh it; amp: "auto", "off"
    or "bf16", what the network computes in."""
    parts = dev_parts(bank, find_strokes(bank), glosses, useful=useful)
    return figures(model, DeviceBank(bank, device), parts, glosses, precision(amp, device), config, lm=lm)
