"""A run of the large vocabulary from its plan and corpora to a checkpoint with dev figures; one process or several."""

from __future__ import annotations

from pathlib import Path

import torch
from loguru import logger

from app.training.corpora.glosses.bank import check_signers
from app.training.corpora.glosses.settings import Plan
from app.training.corpora.glosses.train import Run, open_bank
from app.training.errors import ConfigError
from app.training.loop.distributed import Ranks
from app.training.loop.ending import run_to_end
from app.training.run_folder import FINAL, has_checkpoint


def train_glosses(plan: Plan, data: Path, out: Path, ranks: Ranks, init: Path | None, resume: bool) -> int:
    """Train as one of the processes in `ranks`; returns the exit code.

    init: checkpoint whose weights the first stage starts from, or the folder of a run. resume: go on from the newest
    checkpoint in `out`, if there is one. Raises ConfigError, CorpusError.
    """
    if has_checkpoint(out) and not resume:
        raise ConfigError(f"{out} already holds checkpoints; --resume goes on from them, or name another --out")
    bank = open_bank(data, plan.clips_per_gloss)
    check_signers(bank)
    torch.set_float32_matmul_precision("high")
    run = Run(bank, plan.stages, out, ranks)
    if ranks.main:
        run.checkpoints.clean()
    if resume and run.resume():
        if ranks.main:
            logger.info("resumed at step {}", run.step)
    elif init is not None:
        run.start_from(init / FINAL if (init / FINAL).is_dir() else init)
    run.files.forget_after(run.step)
    weights = round(sum(p.numel() for p in run.model.parameters()) / 1e6, 2)
    about = {"clips": len(bank.clips), "labels": len(run.vocabulary), "weights_m": weights, "processes": ranks.world}
    run.log({**about, "device": str(ranks.device)})

    def finish(ended: str | None) -> None:
        if ended is None:
            run.log({"trained": run.step, "seconds": round(run.spent, 1)})
            if ranks.main:
                for name, row in run.finish().items():
                    print(f"{name}: {', '.join(f'{key} {value}' for key, value in row.items())}", flush=True)

    return run_to_end(run, run.files, finish)
