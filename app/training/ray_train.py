"""The same training on a Ray cluster: `python -m app.training.ray_train ... --processes 2`.

Every machine has this repository, its environment, the corpus and the run folder under the same paths (a network file
system). Ctrl-C ends the workers where they are; `--resume` goes on from the last checkpoint. Needs
requirements-ray.txt.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from app.training.config import ConfigError, load_config
from app.training.corpora.opening import corpus_kind
from app.training.corpora.signs.clips import CorpusError
from app.training.train import FAILED, FINISHED, REFUSED, Settings, parser, settings, train


def train_on_ray(run: Settings, processes: int, gpus: bool) -> int:
    """The run on `processes` workers of the cluster that Ray is connected to; returns its exit status.

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
        raise RuntimeError(f"the training ended with status {status}; its first worker's log says why")


def main(argv: list[str] | None = None) -> int:
    arguments = parser("python -m app.training.ray_train", __doc__)
    arguments.add_argument("--address", default="auto", help="of the Ray cluster; auto = the one on this machine")
    arguments.add_argument("--processes", type=int, default=2, help="how many train together")
    arguments.add_argument("--gpu", action="store_true", help="one GPU for each")
    args = arguments.parse_args(argv)
    try:
        import ray
        from ray.train import TrainingFailedError
    except ImportError as error:
        print(f"error: {error}; install it with: pip install -r requirements-ray.txt", file=sys.stderr)
        return REFUSED
    try:
        run = settings(args)
        # What can be refused at once is, before a cluster is asked for anything.
        load_config(run.config, run.overrides)
        corpus_kind(run.data)
        ray.init(address=args.address)
    except (ConfigError, CorpusError, ConnectionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    try:
        return train_on_ray(run, args.processes, args.gpu)
    except TrainingFailedError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    finally:
        ray.shutdown()


if __name__ == "__main__":
    # By its module, so that the workers find `_worker` by name.
    from app.training.ray_train import main as by_name

    sys.exit(by_name())
