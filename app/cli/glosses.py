"""`glosses`: the large vocabulary. Pack its corpora, train on them, and measure a checkpoint on their dev signers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "glosses",
        help="the large vocabulary: train and measure recognisers of hundreds of glosses",
        description="Trains on `signs` and `wlasl` together, with phrases composed and disturbed on the device; see "
        "docs/training.md.",
    )
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument(
        "--data", type=Path, required=True, help="folder that holds signs/ and wlasl/, or a file that `pack` made"
    )
    computing = argparse.ArgumentParser(add_help=False)
    computing.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    computing.add_argument("--threads", type=int, default=0, help="CPU threads of the network (0 = torch's default)")

    packing = actions.add_parser("pack", parents=[source], help="put the corpora into one small file, about 30 MB")
    packing.add_argument("--out", type=Path, required=True, help="file to write, such as bank.xz")
    packing.add_argument("--per-gloss", type=int, help="at most so many clips of a signer's gloss")

    training = actions.add_parser(
        "train",
        parents=[source, computing],
        help="train; exit code 3: stopped by a signal, after a checkpoint",
    )
    training.add_argument("--out", type=Path, required=True, help="folder for log, checkpoints and weights of this run")
    training.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, e.g. recipe.cut=0.25")
    training.add_argument("--init", type=Path, help="checkpoint folder whose weights this run starts from")
    training.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in --out")

    measuring = actions.add_parser("evaluate", parents=[source, computing], help="dev figures of a checkpoint")
    measuring.add_argument("--checkpoint", type=Path, required=True, help="folder of the checkpoint")
    measuring.add_argument("--greedy", action="store_true", help="without the checkpoint's decoder settings")
    measuring.add_argument("--lm-weight", type=float, help="of the gloss language model, default: the checkpoint's own")
    measuring.add_argument(
        "--amp", choices=("auto", "off", "bf16"), default="auto", help="bf16: as the service on a CPU with AMX"
    )

    counting = actions.add_parser("lm", help="count the checkpoint's gloss language model, and show its perplexity")
    counting.add_argument("--checkpoint", type=Path, required=True, help="folder of the checkpoint")
    counting.add_argument("--aslg", type=Path, help="folder of ASLG-PC12, whose fitting clauses are counted as well")
    counting.add_argument(
        "--order", type=int, default=2, help="glosses it looks at, the next one included (default: 2)"
    )
    counting.add_argument("--out", type=Path, help="file to write, default: gloss_lm.json in the checkpoint")

    joining = actions.add_parser("join", help="put a second network of few glosses beside a checkpoint's")
    joining.add_argument("--checkpoint", type=Path, required=True, help="folder of the large network")
    joining.add_argument("--expert", type=Path, required=True, help="folder of the other, whose glosses it knows")
    joining.add_argument("--weight", type=float, default=0.5, help="how much it counts (the large one counts 1)")
    joining.add_argument("--out", type=Path, required=True, help="folder to write")

    fitting = actions.add_parser(
        "calibrate",
        parents=[source, computing],
        help="fit the confidence of each vocabulary of a checkpoint on the dev signers, and write its dev figures",
    )
    fitting.add_argument("--checkpoint", type=Path, required=True, help="folder of the checkpoint, which is changed")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.pipeline.checkpoint import CheckpointError
    from app.training.errors import ConfigError, CorpusError
    from app.training.run_folder import REFUSED

    try:
        match args.action:
            case "pack":
                return _pack(args)
            case "train":
                return _train(args)
            case "lm":
                return _count(args)
            case "join":
                return _join(args)
            case "calibrate":
                return _calibrate(args)
            case _:
                return _evaluate(args)
    except (CheckpointError, ConfigError, CorpusError) as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED


def _pack(args: argparse.Namespace) -> int:
    from app.training.corpora.glosses.bank import load_bank
    from app.training.corpora.glosses.pack import pack

    bank = load_bank(args.data, args.per_gloss)
    pack(bank, args.out)
    print(f"{len(bank.clips)} clips, {len(bank.points)} frames, {args.out.stat().st_size / 1e6:.1f} MB in {args.out}")
    return 0


def _train(args: argparse.Namespace) -> int:
    from app.training.corpora.glosses.launch import train_glosses
    from app.training.corpora.glosses.settings import Plan, Settings, changed
    from app.training.loop.distributed import joined

    plan = Plan((changed(Settings(), args.set),))
    _device(args)
    with joined(args.device) as ranks:
        return train_glosses(plan, args.data, args.out, ranks, args.init, args.resume)


def _evaluate(args: argparse.Namespace) -> int:
    from app.pipeline.module3_sequence.vocabularies import DEFAULT
    from app.pipeline.recogniser import Recogniser
    from app.training.corpora.glosses.train import dev_figures, open_bank

    device = _device(args)
    recogniser = Recogniser.load(args.checkpoint, str(device), lm_weight=args.lm_weight)
    everyday = recogniser.vocabularies.get(DEFAULT)
    useful = None if everyday is None else frozenset(everyday)
    how = None if args.greedy else recogniser.config
    bank = open_bank(args.data)
    _show(dev_figures(recogniser.model, bank, recogniser.vocabulary, device, how, useful, recogniser.lm, args.amp))
    return 0


def _count(args: argparse.Namespace) -> int:
    from app.pipeline.checkpoint import read_config
    from app.pipeline.module3_sequence.ngram import LANGUAGE_MODEL, MAX_ORDER
    from app.pipeline.module3_sequence.vocabularies import read_vocabularies
    from app.training.corpora.aslg.everyday import aslg_sentences
    from app.training.corpora.glosses.sentences import counted, everyday_sentences, perplexity
    from app.training.errors import ConfigError

    if not 1 <= args.order <= MAX_ORDER:
        raise ConfigError(f"--order is 1 to {MAX_ORDER}, got {args.order}")
    glosses = read_config(args.checkpoint).vocabulary
    kept = everyday_sentences()
    clauses = aslg_sentences(args.aslg, glosses) if args.aslg else []
    lm = counted([*kept.counted, *clauses], glosses, args.order)
    path = args.out or args.checkpoint / LANGUAGE_MODEL
    lm.save(path)
    print(f"{len(kept.counted)} sentences, {len(clauses)} clauses of ASLG; {path.stat().st_size} bytes in {path}")
    for name, own in read_vocabularies(args.checkpoint, glosses).items():
        narrow = lm.narrowed(own)
        for kind, sentences in (("sentences", kept.others), ("fillings", kept.same_patterns)):
            fitting = [sentence for sentence in sentences if set(sentence) <= set(own)]
            if fitting:
                print(f"{name}: perplexity {perplexity(narrow, fitting):.1f} on {len(fitting)} {kind} kept apart")
    return 0


def _join(args: argparse.Namespace) -> int:
    from app.training.corpora.glosses.release import join

    join(args.checkpoint, args.expert, args.weight, args.out)
    return 0


def _calibrate(args: argparse.Namespace) -> int:
    from app.training.corpora.glosses.release import calibrate
    from app.training.corpora.glosses.train import open_bank

    config = calibrate(args.checkpoint, open_bank(args.data), _device(args))
    _show({name: {"temperature": of["temperature"], **of["dev"]} for name, of in config.vocabularies.items()})
    return 0


def _device(args: argparse.Namespace) -> torch.device:
    """The device; sets what holds for the whole process."""
    import torch

    from app.training.loop.distributed import device_named

    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision("high")
    return device_named(args.device)


def _show(figures: dict[str, dict[str, float]]) -> None:
    for name, row in figures.items():
        print(f"{name}: {', '.join(f'{key} {value}' for key, value in row.items())}", flush=True)
