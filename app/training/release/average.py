"""The mean of the weights of runs that started from one another: often better than each (Wortsman et al. 2022,
arXiv:2109.01903), and the same in size and speed. The result is a run like any other.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from app.pipeline.checkpoint import CheckpointError, save_checkpoint
from app.training.corpora.checkpoints import read_any_config
from app.training.errors import ConfigError
from app.training.release.final import load_run
from app.training.run_folder import FINAL, RUN, write_json


def average(folders: list[Path], out: Path) -> None:
    """Write the mean run to `out`. Raises ConfigError when a run is missing or the networks differ."""
    try:
        runs = [load_run(folder) for folder in folders]
    except (OSError, CheckpointError) as error:
        raise ConfigError(f"no finished run: {error}") from error
    first = runs[0][0]
    for folder, (run, _) in zip(folders, runs, strict=True):
        if (run["vocabulary"], run["model"]) != (first["vocabulary"], first["model"]):
            raise ConfigError(f"the run in {folder} has another network or other glosses than the one in {folders[0]}")
    states = [model.state_dict() for _, model in runs]
    mean = runs[0][1]
    mean.load_state_dict(
        {n: torch.stack([s[n].float() for s in states]).mean(0).to(v.dtype) for n, v in states[0].items()}
    )
    command = f"python -m app average --runs {' '.join(f'runs/{f.name}' for f in folders)} --out runs/{out.name}"
    commands = list(dict.fromkeys([c for run, _ in runs for c in run["commands"]]))
    commands = [*commands, command]
    config = read_any_config(folders[0] / FINAL)
    of_all = {k: v for k, v in config.provenance.items() if k not in ("step", "wer")}
    config = replace(config, model_id=out.name, provenance={**of_all, "train_commands": commands})
    save_checkpoint(out / FINAL, config, mean)
    write_json(out / RUN, {**first, "commands": commands})
