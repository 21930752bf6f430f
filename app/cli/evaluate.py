"""`evaluate`: how well a checkpoint reads a corpus, as Markdown or JSON, and optionally into its model card."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.pipeline.streaming import StreamConfig
    from app.training.evaluation.report import EvaluationReport


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a checkpoint on a corpus",
        description="What lies in the folder and what the checkpoint reads decide what is measured: single signs and "
        "composed phrases of the signs corpus, the clips of a manifest, or the sentences of BOSTON-104. Exit code 0: "
        "done; 2: the checkpoint or the corpus cannot be used, or the output cannot be written.",
    )
    parser.add_argument("--checkpoint", help="id in CHECKPOINT_DIR, or a folder; default: the setting CHECKPOINT")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--split", help="which split of the corpus (default: dev; test for BOSTON-104)")
    parser.add_argument("--vocabulary", help="a name or GLOSS,GLOSS to read with (default: all glosses)")
    parser.add_argument("--lm", type=Path, help="gloss language model (default: the checkpoint's own)")
    parser.add_argument("--lm-weight", type=float, help="its weight, 0: without it (default: the checkpoint's own)")
    parser.add_argument("--full", action="store_true", help="also evaluate live, as a stream")
    parser.add_argument("--live", action="store_true", help="only compare live captions with offline answers")
    parser.add_argument("--window", type=int, help="frames of a live window")
    parser.add_argument("--stride", type=int, help="frames between live windows")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", type=Path, help="write evaluation.json, evaluation.md and reliability.svg there")
    parser.add_argument("--model-card", action="store_true", help="write the report into the checkpoint's model card")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    from app.core.settings import load_settings
    from app.pipeline.checkpoint import CheckpointError
    from app.pipeline.streaming import StreamConfig
    from app.training.errors import CorpusError
    from app.training.evaluation.tables import write_section

    if args.live and (args.full or args.model_card or args.out):
        args.usage_error("--live prints a comparison only; use --full for the whole report including live figures")
    if args.lm_weight is not None and not 0 <= args.lm_weight < math.inf:
        args.usage_error(f"--lm-weight is 0 or more, got {args.lm_weight}")
    try:
        shape = {name: getattr(args, name) for name in ("window", "stride") if getattr(args, name) is not None}
        stream = StreamConfig(**shape)
    except ValueError as error:
        args.usage_error(str(error))
    settings = load_settings()
    folder = Path(args.checkpoint or settings.checkpoint)
    if not (folder / "config.json").is_file():
        folder = settings.checkpoint_dir / folder
    try:
        report = measured(folder, args, stream)
        split = report.figures.get("split")
        if args.out:
            report.write(args.out, f"{folder.name}, {split}")
        if args.model_card:
            command = f"python -m app evaluate --checkpoint {folder.name} --data DATA --split {split}"
            write_section(folder / "MODEL_CARD.md", f"## Measured by `{command}`\n\n{report.card}")
    except (CheckpointError, CorpusError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.figures, indent=1) if args.json else report.text)
    return 0


def measured(folder: Path, args: argparse.Namespace, stream: StreamConfig) -> EvaluationReport:
    """The checkpoint in `folder` on the corpus in `args.data`. Raises CheckpointError, CorpusError."""
    from app.pipeline.checkpoint import CheckpointError
    from app.pipeline.recogniser import Recogniser
    from app.services.recognition.vocabularies import from_text
    from app.training.corpora.boston104.evaluation import evaluate as evaluate_boston104
    from app.training.corpora.boston104.features import TRACKS
    from app.training.corpora.checkpoints import reads_tracks
    from app.training.corpora.manifest.evaluation import evaluate as evaluate_manifest
    from app.training.corpora.opening import corpus_kind
    from app.training.corpora.signs.evaluation import compare_live
    from app.training.corpora.signs.evaluation import evaluate as evaluate_signs
    from app.training.errors import CorpusError
    from app.training.evaluation.decoders import language_model

    if reads_tracks(folder):
        if args.full or args.live or args.lm or args.lm_weight is not None:
            raise CheckpointError(
                "a checkpoint of tracks reads whole sentences, with and without its own language model; omit --full, "
                "--live, --lm and --lm-weight"
            )
        if corpus_kind(args.data) != "boston104":
            raise CorpusError(f"this checkpoint reads {TRACKS}; pass --data with the folder of BOSTON-104")
        return evaluate_boston104(folder, args.data, args.split or "test")
    recogniser, split = Recogniser.load(folder, lm_weight=args.lm_weight), args.split or "dev"
    if args.lm:
        recogniser.lm = language_model(args.lm, recogniser.vocabulary)
    if args.lm_weight and recogniser.lm is None:
        raise CheckpointError(
            f"{folder.name} has no gloss language model that --lm-weight could weigh; pass one as --lm"
        )
    if args.vocabulary:
        recogniser = recogniser.reading_with(from_text(args.vocabulary))
    live = stream if args.full else None
    without_images = recogniser.config.model.rgb is not None and recogniser.backend.rgb is None
    title = f"{recogniser.model_id}, {split} split, beam {recogniser.config.decoder.beam}" + (
        ", by its pose stream alone" if without_images else ""
    )
    match corpus_kind(args.data):
        case "signs" if args.live:
            return compare_live(recogniser, args.data, split, stream)
        case "signs":
            report = evaluate_signs(recogniser, args.data, split, title, live)
        case "manifest" if args.live:
            raise CorpusError("--live compares on the signs corpus; for a manifest use --full")
        case "manifest":
            report = evaluate_manifest(recogniser, args.data, split, title, live)
        case _:
            raise CorpusError("BOSTON-104 has no landmarks, only three tracks; use --checkpoint boston104")
    return replace(report, figures={"checkpoint": recogniser.model_id, "split": split, **report.figures})
