"""The training loop: phrases in, averaged weights out; resumable at any saved step."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from loguru import logger
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from app.pipeline.module3_sequence.losses import LossConfig, total_loss
from app.pipeline.module3_sequence.model import ModelConfig, SignModel
from app.training.batches import Batch
from app.training.config import OptimConfig


def one_cycle(step: int, config: OptimConfig) -> float:
    """Learning rate at a step: linear warm-up, then half a cosine down to 1 % of the peak (Smith, 2018)."""
    warm = max(1, int(config.warmup * config.steps))
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, config.steps - warm)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


class Average:
    """Exponential moving average of weights and statistics; what is evaluated and shipped."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


class CSLRTrainer:
    """Trains a `SignModel` on composed phrases.

    teachers: frozen models whose averaged lattices the student also learns (ensemble distillation, Hinton et al.,
    2015), weighted by `teacher_weight`. `evaluate(model) -> metrics` is called every `eval_every` steps with the
    averaged weights.
    """

    def __init__(
        self,
        model: SignModel,
        batches: Dataset[Batch],
        optim: OptimConfig,
        loss: LossConfig,
        folder: Path,
        device: torch.device,
        evaluate: Callable[[SignModel], dict[str, Any]] | None = None,
        teachers: list[SignModel] | None = None,
        teacher_weight: float = 0.0,
        workers: int = 1,
    ) -> None:
        self.model, self.batches, self.config, self.loss = model.to(device), batches, optim, loss
        self.folder, self.device, self.evaluate, self.workers = folder, device, evaluate, workers
        self.teachers = [t.to(device).eval() for t in teachers or []]
        self.teacher_weight = teacher_weight
        decayed = [p for p in model.parameters() if p.dim() > 1]
        plain = [p for p in model.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": optim.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=optim.learning_rate,
        )
        self.average = Average(model, optim.ema)
        self.step = 0

    def run(self) -> None:
        """Train from the present step to the last, saving and evaluating on the way."""
        torch.manual_seed(self.config.seed + self.step)
        loader = DataLoader(
            Subset(self.batches, range(self.step, self.config.steps)),
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
        )
        bar = tqdm(loader, initial=self.step, total=self.config.steps, unit="step", disable=None, dynamic_ncols=True)
        smooth: dict[str, float] = {}
        for batch in bar:
            parts = self.train_step(batch.to(self.device))
            self.step += 1
            for name, value in parts.items():
                smooth[name] = 0.98 * smooth.get(name, value) + 0.02 * value
            bar.set_postfix({k: f"{v:.3f}" for k, v in smooth.items()})
            last = self.step == self.config.steps
            if self.step % 50 == 0:
                self.log({"step": self.step, **{k: round(v, 4) for k, v in smooth.items()}})
            if self.evaluate and (last or self.step % self.config.eval_every == 0):
                self.log({"step": self.step, **self.evaluate(self.averaged_model())})
            if last or self.step % self.config.save_every == 0:
                self.save()

    def train_step(self, batch: Batch) -> dict[str, float]:
        """One optimiser step on one batch; returns the named loss parts."""
        rate = one_cycle(self.step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        amp = self.config.amp and self.device.type == "cuda"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=amp):
            lattice = self.model(batch.features, batch.lengths, batch.pictures)
        loss, parts = total_loss(
            lattice, batch.targets, batch.target_lengths, self.loss, frame_labels=batch.frame_labels
        )
        if self.teachers:
            term = self.teacher_loss(batch, lattice.logits, lattice.steps)
            loss = loss + self.teacher_weight * term
            parts["teacher"] = term.detach()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.average.update(self.model, self.step)
        return {k: float(v) for k, v in parts.items()}

    def teacher_loss(self, batch: Batch, logits: Tensor, steps: Tensor) -> Tensor:
        """KL from the teachers' mean distribution to the student's, mean over valid steps."""
        with torch.inference_mode():
            target = torch.stack(
                [F.softmax(t(batch.features, batch.lengths).logits.float(), dim=-1) for t in self.teachers]
            ).mean(0)
        valid = torch.arange(logits.shape[1], device=logits.device)[None] < steps[:, None]
        kl = F.kl_div(F.log_softmax(logits.float(), dim=-1), target.clone(), reduction="none").sum(-1)
        return (kl * valid).sum() / valid.sum()

    def averaged_model(self) -> SignModel:
        """A copy of the model with the averaged weights, in eval mode."""
        model = SignModel(self.model.config).to(self.device)
        model.load_state_dict(self.average.state)
        return model.eval()

    def log(self, entry: dict[str, Any]) -> None:
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as f:
            f.write(json.dumps(entry) + "\n")
        if len(entry) > 4 or "core_exact" in entry:
            logger.info("{}", entry)

    def save(self) -> None:
        """Write the whole state; the file appears only when it is complete."""
        tensors: dict[str, Tensor] = {}
        for prefix, state in (("model", self.model.state_dict()), ("average", self.average.state)):
            tensors |= {f"{prefix}/{k}": v.contiguous() for k, v in state.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optim/{index}/{k}": torch.as_tensor(v).contiguous() for k, v in state.items()}
        tensors = {k: v.detach().clone().cpu() for k, v in tensors.items()}
        part = self.folder / "state.safetensors.part"
        save_file(tensors, part, metadata={"step": str(self.step)})
        os.replace(part, self.folder / "state.safetensors")

    def resume(self) -> bool:
        """Go on from `state.safetensors` when there is one."""
        path = self.folder / "state.safetensors"
        if not path.is_file():
            return False
        from safetensors import safe_open

        with safe_open(path, framework="pt") as f:
            self.step = int(f.metadata()["step"])
        tensors = load_file(path, device=str(self.device))

        def part(prefix: str) -> dict[str, Tensor]:
            return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + "/")}

        self.model.load_state_dict(part("model"))
        self.average.state = part("average")
        state = self.optimizer.state_dict()
        for key, value in part("optim").items():
            index, name = key.split("/")
            state["state"].setdefault(int(index), {})[name] = value.cpu() if name == "step" else value
        self.optimizer.load_state_dict(state)
        return True


def load_run(folder: Path) -> tuple[dict[str, Any], SignModel]:
    """What a run in `folder` was (run.json), and a model with its averaged weights, in eval mode."""
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    model = SignModel(ModelConfig.from_dict(run["model"]))
    state = load_file(folder / "state.safetensors")
    model.load_state_dict({k.removeprefix("average/"): v for k, v in state.items() if k.startswith("average/")})
    return run, model.eval()
