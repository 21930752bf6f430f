"""The training loop: batches in, averaged weights out; one process or several, resumable at any saved step."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from loguru import logger
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from app.pipeline.module3_sequence.losses import UNKNOWN, LossConfig, total_loss
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.module3_sequence.steps import TIME_DIVISOR
from app.training.batches import Batch
from app.training.config import OptimConfig
from app.training.errors import ConfigError, TrainingFailed
from app.training.loop.batch_norm import share_batch_norm
from app.training.loop.checkpoints import CheckpointManager, TrainingState, load_state
from app.training.loop.distributed import Ranks, averaged_over, rows_of_ranks, sum_over_ranks
from app.training.loop.loss_meter import LossMeter
from app.training.loop.optimise import Average, make_optimizer, precision
from app.training.loop.pace import Pace
from app.training.loop.random_state import random_state, restore_random_state
from app.training.loop.schedules import Plateau, learning_rate
from app.training.loop.signals import StopRequest, ignore_signals
from app.training.run_folder import CHECKPOINTS, RunFiles
from app.training.source import Source

#: status.json is at most this old, in seconds, whatever `log_every` is: steps of a large network take long.
REPORT_EVERY_S = 5.0
#: Parts of a `SignModel` that a run may leave as they are.
FREEZABLE = ("pose", "convolution", "sequence")


class CSLRTrainer:
    """Trains a `SignModel` on the batches of a `Source`; on several ranks each computes its share of every batch.

    One step: a batch is shared over ranks and accumulated, the loss is CTC with its companions (`total_loss`) and the
    teachers', the gradient is clipped, the weights are averaged. In between: log lines, evaluations, checkpoints.
    """

    def __init__(
        self,
        model: SignModel,
        source: Source,
        optim: OptimConfig,
        loss: LossConfig,
        files: RunFiles,
        ranks: Ranks,
        teachers: Iterable[SignModel] = (),
        teacher_weight: float = 0.0,
        before: SignModel | None = None,
        before_weight: float = 0.0,
        frozen: Sequence[str] = (),
        workers: int = 1,
        on_best: Callable[[SignModel, int, dict[str, Any]], None] = lambda model, step, figures: None,
    ) -> None:
        """teachers: frozen models whose averaged lattices the student also learns (ensemble distillation, Hinton et
        al., 2015), weighted by `teacher_weight`. before: the network that this one was grown from, whose glosses come
        first in this one's; what it says of them is learned with `before_weight`. frozen: parts of the model, by their
        names in it, that stay as they are. workers: processes that make batches. on_best: called with the
        averaged model, the step and the dev figures whenever the dev WER is the best so far.

        Raises ConfigError where a batch cannot be shared out evenly.
        """
        if optim.batch_size % (ranks.world * optim.accumulate):
            raise ConfigError(
                f"optim.batch_size={optim.batch_size} cannot be shared evenly by {ranks.world} processes in "
                f"{optim.accumulate} parts each; use a multiple of {ranks.world * optim.accumulate}"
            )
        self.epoch_steps = source.epoch_steps(optim.batch_size)
        optim = optim.for_corpus(self.epoch_steps)
        self.source, self.config, self.loss, self.files, self.ranks = source, optim, loss, files, ranks
        self.teachers = [t.to(ranks.device).eval() for t in teachers]
        self.teacher_weight, self.workers, self.on_best = teacher_weight, workers, on_best
        self.before = before.to(ranks.device).eval() if before is not None and before_weight else None
        self.before_weight = before_weight
        self.dtype = precision(optim.amp, ranks.device)
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=self.dtype == torch.float16)
        if ranks.world > 1:
            share_batch_norm(model, ranks.device)
        self.model = model.to(ranks.device)
        self.frozen = _frozen(self.model, frozen)
        self.net = self._wrapped()
        self.optimizer = make_optimizer(self.model, optim)
        self.average = Average(self.model, optim.ema)
        self.checkpoints = CheckpointManager(files.folder / CHECKPOINTS, optim.keep)
        self.plateau = Plateau()
        self.step = 0
        self.losses = LossMeter()
        self._reported = 0.0

    def _wrapped(self) -> nn.Module:
        """What is called in training: the model, compiled and kept alike over ranks as asked for."""
        net: nn.Module = self.model
        if self.config.compile:
            net = torch.compile(net, dynamic=True)  # type: ignore[assignment]
        config = self.model.config
        # Clips without pictures leave out the RGB stream; a classifier of its own has no gradient without a loss.
        return averaged_over(self.ranks, net, config.rgb is not None or not config.shared_classifier)

    def run(self, stop: StopRequest | None = None) -> str | None:
        """Train from the current step to the last. Returns why it ended before that: "signal", "patience", or None.

        Raises OSError where a checkpoint or the log cannot be written, TrainingFailed where the loss is not finite.
        """
        self.report("running")
        if self.out_of_patience:
            return "patience"
        pace = Pace(self.step, self.config.steps)
        hidden = None if self.ranks.main else True  # None: shown on a terminal only
        with tqdm(
            self._batches(), initial=self.step, total=self.config.steps, unit="step", disable=hidden, dynamic_ncols=True
        ) as bar:
            for batch in bar:
                stopping = self.train_step(batch, stop is not None and stop.asked)
                self.step += 1
                if parts := self._due_log(pace):
                    bar.set_postfix({k: f"{v:.3f}" for k, v in parts.items()})
                last = self.step == self.config.steps
                improved = (last or self.step % self.config.eval_every == 0) and self.evaluate()
                if improved:
                    self.save(best=True)
                if last or stopping or self.out_of_patience or self.step % self.config.save_every == 0:
                    self.save()
                if last:
                    return None
                if stopping or self.out_of_patience:
                    return "signal" if stopping else "patience"
                if time.monotonic() - self._reported > REPORT_EVERY_S:
                    self.report("running")
        return None

    def _batches(self) -> DataLoader[Batch]:
        """This rank's share of the batches that are left."""
        batches = self.source.batches(self.config, self.ranks)
        return DataLoader(
            Subset(batches, range(self.step, self.config.steps)),
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
            pin_memory=self.ranks.device.type == "cuda",
            worker_init_fn=ignore_signals,
            # Of its own: the loader draws a seed, and a resumed run must not draw once more than an unbroken one.
            generator=torch.Generator().manual_seed(self.config.seed),
        )

    @property
    def out_of_patience(self) -> bool:
        """Whether the dev WER has not improved for `patience` evaluations."""
        return 0 < self.config.patience <= self.plateau.bad

    def train_step(self, batch: Batch, stopping: bool = False) -> bool:
        """One optimiser step on this rank's share of a batch. True where any rank is asked to stop."""
        steps = batch.lengths // TIME_DIVISOR
        known = 0 if batch.frame_labels is None else int((batch.frame_labels != UNKNOWN).sum())
        stops, valid, known = map(int, sum_over_ranks([stopping, int(steps.sum()), known]))
        parts_of = self.ranks.world * self.config.accumulate
        rate = learning_rate(self.step, self.config, self.plateau.drops)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        for part in self.frozen:
            part.eval()
        self.optimizer.zero_grad(set_to_none=True)
        shares = batch.to(self.ranks.device).split(self.config.accumulate)
        for i, share in enumerate(shares):
            # Gradients meet once a step, with the last part.
            apart = isinstance(self.net, DistributedDataParallel) and i + 1 < len(shares)
            with self.net.no_sync() if apart else contextlib.nullcontext():  # type: ignore[operator]
                loss = self.loss_of(share, valid / parts_of, known / parts_of) / len(shares)
                self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.average.update(self.model, self.step)
        self.losses.steps += 1
        return stops > 0

    def loss_of(self, batch: Batch, valid_steps: float, known_steps: float) -> Tensor:
        """The loss of a part of a step; the last two are the mean numbers of lattice steps, and of labelled ones, over
        all parts on all ranks."""
        with torch.autocast(self.ranks.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            lattice = self.net(batch.features, batch.lengths, batch.pictures)
        loss, parts = total_loss(
            lattice, batch.targets, batch.target_lengths, self.loss, batch.frame_labels, valid_steps, known_steps
        )
        if self.teachers:
            term = self.teacher_loss(batch, lattice.logits, lattice.steps, valid_steps)
            loss = loss + self.teacher_weight * term
            parts["teacher"] = term.detach()
        if self.before is not None:
            term = self.before_loss(batch, lattice.logits, lattice.steps, valid_steps)
            loss = loss + self.before_weight * term
            parts["before"] = term.detach()
        parts["loss"] = loss.detach()
        self.losses.add(parts, self.config.accumulate)
        return loss

    def teacher_loss(self, batch: Batch, logits: Tensor, steps: Tensor, valid_steps: float) -> Tensor:
        """KL from the teachers' mean distribution to the student's, mean over valid steps."""
        with torch.inference_mode():
            answers = [t(batch.features, batch.lengths, batch.pictures).logits.float() for t in self.teachers]
            target = torch.stack([F.softmax(a, dim=-1) for a in answers]).mean(0)
        return _divergence(target, logits, steps) / valid_steps

    def before_loss(self, batch: Batch, logits: Tensor, steps: Tensor, valid_steps: float) -> Tensor:
        """The same from `before`, among the blank and the glosses that it knew."""
        assert self.before is not None
        with torch.inference_mode():
            target = F.softmax(self.before(batch.features, batch.lengths, batch.pictures).logits.float(), dim=-1)
        return _divergence(target, logits[..., : target.shape[-1]], steps) / valid_steps

    def _due_log(self, pace: Pace) -> dict[str, float]:
        """Every `log_every` steps: the mean loss parts since the last line, over all ranks, logged. {} in between.

        Raises TrainingFailed where one is not finite; not under fp16, whose scaler leaves out single bad steps.
        """
        if self.step % self.config.log_every and self.step != self.config.steps:
            return {}
        parts = self.losses.take(self.ranks)
        bad = [n for n, value in parts.items() if not math.isfinite(value)]
        if bad and not self.scaler.is_enabled():
            raise TrainingFailed(
                f"the loss ({bad[0]}) is not finite at step {self.step}; lower optim.learning_rate, or continue from "
                f"an earlier checkpoint"
            )
        rate = self.optimizer.param_groups[0]["lr"]
        self.files.log(self.step, {"epoch": self.epoch, "lr": rate, **{n: round(v, 5) for n, v in parts.items()}})
        self.report("running")
        if self.ranks.main and not sys.stderr.isatty():  # a terminal has the progress bar
            losses = ", ".join(f"{n} {value:.4g}" for n, value in parts.items())
            logger.info(
                *("step {} of {}: {}, learning rate {:.3g}, {} left", self.step, self.config.steps, losses, rate),
                pace.left(self.step),
            )
        return parts

    def evaluate(self) -> bool:
        """Log the dev figures of the averaged weights. True where their WER is the best so far."""
        model = self.averaged_model()
        figures = self.source.evaluate(model, self.ranks)
        if not figures:
            return False
        self.files.log(self.step, {"epoch": self.epoch, **figures})
        if self.ranks.main:
            logger.info("step {}: {}", self.step, figures)
        improved = self.plateau.update(float(figures["wer"]), self.config.plateau_patience)
        if improved and self.ranks.main:
            self.on_best(model, self.step, figures)
        return improved

    def averaged_model(self) -> SignModel:
        """A copy of the model with the averaged weights, in eval mode, ready for one process."""
        model = type(self.model)(self.model.config.without_pretrained()).to(self.ranks.device)
        model.load_state_dict(self.average.state)
        return model.eval()

    @property
    def epoch(self) -> int:
        """Whole passes over the corpus so far."""
        return self.step // self.epoch_steps

    def report(self, state: Any, reason: str | None = None) -> None:
        """Replace status.json."""
        epochs = -(-self.config.steps // self.epoch_steps)
        self._reported = time.monotonic()
        self.files.status(state, reason, step=self.step, steps=self.config.steps, epoch=self.epoch, epochs=epochs)

    def state(self) -> TrainingState:
        """Everything that the rest of the run depends on. Called on all ranks at once: it gathers their generators."""
        tensors: dict[str, Tensor] = {"random": rows_of_ranks(random_state(self.ranks.device), self.ranks)}
        for prefix, weights in (("model", self.model.state_dict()), ("average", self.average.state)):
            tensors |= {f"{prefix}/{k}": v for k, v in weights.items()}
        optimizer = self.optimizer.state_dict()
        for index, values in optimizer["state"].items():
            tensors |= {f"optim/{index}/{k}": torch.as_tensor(v) for k, v in values.items() if v is not None}
        rest = {
            "epoch": self.epoch,
            "plateau": vars(self.plateau) | {"best": None if math.isinf(self.plateau.best) else self.plateau.best},
            "scaler": self.scaler.state_dict(),
            "sums": self.losses.totals(self.ranks),
            "summed": self.losses.steps,
            "optimizer": self.config.optimizer,
            "groups": optimizer["param_groups"],
        }
        return TrainingState(
            self.step,
            self.source.vocabulary,
            self.model.config.to_dict(),
            {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()},
            rest,
        )

    def save(self, best: bool = False) -> None:
        """Add a checkpoint to the queue, or replace the best. Raises OSError."""
        state = self.state()
        if self.ranks.main:
            (self.checkpoints.save_best if best else self.checkpoints.save)(state)

    def resume(self) -> bool:
        """Continue from the newest checkpoint when there is one. Raises ResumeRefused (a ConfigError)."""
        path = self.checkpoints.latest()
        if path is None:
            return False
        saved = load_state(path, self.source.vocabulary, self.model.config.to_dict())
        if saved.rest["optimizer"] != self.config.optimizer:
            raise ConfigError(
                f"{path} was made with optim.optimizer={saved.rest['optimizer']}, not {self.config.optimizer}; "
                f"use that, or another --out"
            )
        self.step = saved.step

        def part(prefix: str) -> dict[str, Tensor]:
            start = len(prefix) + 1
            return {k[start:]: v for k, v in saved.tensors.items() if k.startswith(prefix + "/")}

        self.model.load_state_dict(part("model"))
        self.average.state = {k: v.to(self.ranks.device) for k, v in part("average").items()}
        optimizer: dict[str, Any] = {"state": {}, "param_groups": saved.rest["groups"]}
        for key, value in part("optim").items():
            index, name = key.split("/")
            optimizer["state"].setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict(optimizer)
        if self.scaler.is_enabled() and saved.rest["scaler"]:
            self.scaler.load_state_dict(saved.rest["scaler"])
        best = saved.rest["plateau"]["best"]
        self.plateau = Plateau(**saved.rest["plateau"] | {"best": math.inf if best is None else best})
        self.losses.restore(saved.rest["sums"], saved.rest["summed"], self.ranks.device)
        generators = saved.tensors["random"]
        if len(generators) == self.ranks.world:
            restore_random_state(generators[self.ranks.rank], self.ranks.device)
        else:
            logger.warning(
                "{} was saved by {} processes: dropout is drawn differently from here on", path, len(generators)
            )
        return True


def _divergence(target: Tensor, logits: Tensor, steps: Tensor) -> Tensor:
    """KL, summed over valid steps: probabilities and logits (B, S, labels), steps (B,)."""
    valid = torch.arange(logits.shape[1], device=logits.device)[None] < steps[:, None]
    kl = F.kl_div(F.log_softmax(logits.float(), dim=-1), target.clone(), reduction="none").sum(-1)
    return (kl * valid).sum()


def _frozen(model: SignModel, names: Sequence[str]) -> list[nn.Module]:
    """The parts of these names, which learn nothing from now on. Raises ConfigError."""
    parts = []
    for name in names:
        part = getattr(model, name, None)
        if name not in FREEZABLE or not isinstance(part, nn.Module):
            raise ConfigError(f"frozen: there is no part {name!r}; known: {', '.join(FREEZABLE)}")
        parts.append(part.requires_grad_(False))
    if model.expert is not None:  # no loss reaches it
        parts.append(model.expert.requires_grad_(False))
    return parts
