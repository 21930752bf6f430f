"""`train`: train a recogniser on a corpus, with this process, several (torchrun) or a Ray cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from loguru import logger


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "train",
        help="train a recogniser on a corpus",
        description="Several processes: `python -m torch.distributed.run --standalone --nproc-per-node N -m app train "
        "...`. Exit code 0: finished; 1: failed; 2: settings or data are refused; 3: stopped by a signal, after a "
        "checkpoint.",
    )
    parser.add_argument("--config", type=Path, required=True, help="YAML file, see configs/")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder of a corpus (or corpora), see docs",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for log, checkpoints and weights of this run")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="overrides, e.g. optim.steps=100")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the network (0 = torch's default)")
    parser.add_argument("--workers", type=int, help="data loader processes (0 = none; default: the config's, or 1)")
    parser.add_argument("--teachers", type=Path, nargs="*", default=[], help="finished runs to distil into this one")
    parser.add_argument(
        "--init", type=Path, help="finished run or checkpoint to start from; a manifest may add glosses"
    )
    parser.add_argument("--resume", action="store_true", help="continue from the newest checkpoint in --out")
    ray = parser.add_argument_group("on a Ray cluster")
    ray.add_argument("--ray", metavar="ADDRESS", help="address of the cluster; auto = the one on this machine")
    ray.add_argument("--processes", type=int, default=2, help="number of training processes")
    ray.add_argument("--gpu", action="store_true", help="one GPU per process")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.training.train import TrainRun, train

    logger.remove()
    logger.add(sys.stderr, level="INFO")
    wanted = TrainRun(
        config=args.config,
        data=args.data,
        out=args.out,
        overrides=tuple(args.set),
        device=args.device,
        threads=args.threads,
        workers=args.workers,
        teachers=tuple(args.teachers),
        init=args.init,
        resume=args.resume,
    )
    if args.ray is None:
        return train(wanted)
    from app.training.ray_train import train_on_cluster

    return train_on_cluster(wanted, args.ray, args.processes, args.gpu)
