"""The same training on a Ray cluster: `python -m app train --ray ADDRESS --processes N`.

Every machine has this repository, its environment, the corpus and the run folder under the same paths (a network file
system). Ctrl-C ends the workers where they are; `--resume` continues from the last checkpoint. Needs
requirements-ray.txt.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from app.training.config import load_config
from app.training.corpora.glosses.settings import load_plan
from app.training.corpora.opening import check_sections, corpus_kind
from app.training.errors import ConfigError, CorpusError
from app.training.kinds import config_kind
from app.training.run_folder import FAILED, FINISHED, REFUSED, missing_packages
from app.training.train import TrainRun, train


def train_on_cluster(run: TrainRun, address: str, processes: int, gpus: bool) -> int:
    """The run on the Ray cluster at `address` ("auto": one on this machine); returns its exit code."""
    try:
        import ray
        from ray.train import TrainingFailedError
    except ImportError as error:
        print(f"error: {error}; install it with: pip install -r requirements-ray.txt", file=sys.stderr)
        return REFUSED
    try:
        # What can be refused at once is, before a cluster is asked for anything.
        if missing := missing_packages():
            raise ConfigError(missing)
        if config_kind(run.config) == "glosses":
            load_plan(run.config, run.overrides)
        else:
            check_sections(load_config(run.config, run.overrides))
            corpus_kind(run.data)
        ray.init(address=address)
    except (ConfigError, CorpusError, ConnectionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    try:
        return train_on_ray(run, processes, gpus)
    except TrainingFailedError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    finally:
        ray.shutdown()


def train_on_ray(run: TrainRun, processes: int, gpus: bool) -> int:
    """The run on `processes` workers of the cluster that Ray is connected to; returns its exit code.

    Each takes one CPU, or one GPU. Raises ray.train.TrainingFailedError where a worker died.
    """
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    absolute = replace(run, config=run.config.resolve(), data=run.data.resolve(), out=run.out.resolve())
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"run": absolute},
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        scaling_config=ScalingConfig(num_workers=processes, use_gpu=gpus, placement_strategy="SPREAD"),
        # What Ray itself writes: beside the run's own files, which it does not read.
        run_config=RunConfig(name="ray", storage_path=str(absolute.out)),
    )
    trainer.fit()
    return FINISHED


def _worker(config: dict[str, Any]) -> None:
    """One of the processes; Ray has joined them already. Raises RuntimeError where the run was refused or failed."""
    status = train(config["run"])
    if status != FINISHED:
        raise RuntimeError(f"the training ended with exit code {status}; its first worker's log says why")
