"""`python -m app evaluate`: how well a checkpoint reads a corpus, as Markdown or JSON, into its model card if wanted.

    python -m app evaluate --checkpoint asl-everyday --data FOLDER [--full]
    python -m app evaluate --checkpoint boston104 --data FOLDER --split test

What lies in the folder and what the checkpoint reads decide what is measured: single signs and composed phrases of the
signs corpus, the clips of a manifest, or the sentences of BOSTON-104.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.pipeline.checkpoint import CheckpointError, read_config
from app.pipeline.module1_preprocessing.tracks import TRACKS
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import StreamConfig
from app.pipeline.tracks import TrackRecogniser
from app.training.corpora.boston104.evaluation import report_tracks, track_figures
from app.training.corpora.opening import corpus_kind
from app.training.corpora.signs.clips import CorpusError, load_signs
from app.training.corpora.signs.evaluation import Evaluation, report, report_glosses
from app.training.evaluation.decoders import language_model, manifest_examples, ways_of
from app.training.evaluation.live import live_figures, report_live
from app.training.evaluation.tables import reliability_svg, report_tables, ways_table, write_section

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


@dataclass(frozen=True, slots=True)
class Measured:
    """figures: for JSON; text: the same as Markdown; card: the same for a model card, which is published and names no
    signer; tables: those of the headline way of reading, with calibration, None for a mere comparison."""

    figures: dict[str, Any]
    text: str
    card: str = ""
    tables: dict[str, Any] | None = None


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m app evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", default="asl-everyday", help="id of a checkpoint, or the path of its folder")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--split", help="which split of the corpus (default: dev; test for BOSTON-104)")
    parser.add_argument("--lm", type=Path, help="gloss language model to read with (default: the checkpoint's own)")
    parser.add_argument("--full", action="store_true", help="also read live, as a stream")
    parser.add_argument("--live", action="store_true", help="only compare live captions with offline answers")
    parser.add_argument("--window", type=int, default=StreamConfig.window, help="frames of a live window")
    parser.add_argument("--stride", type=int, default=StreamConfig.stride, help="frames between live windows")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", type=Path, help="write evaluation.json, evaluation.md and reliability.svg there")
    parser.add_argument("--model-card", action="store_true", help="put the report into the checkpoint's model card")
    args = parser.parse_args(argv)
    if args.live and (args.full or args.model_card or args.out):
        parser.error("--live prints a comparison only; take --full for the whole report with live reading in it")
    try:
        args.stream = StreamConfig(args.window, args.stride)
    except ValueError as error:
        parser.error(str(error))
    return args


def measure_tracks(folder: Path, args: argparse.Namespace) -> Measured:
    """A checkpoint of tracks on BOSTON-104. Raises CheckpointError, CorpusError."""
    if args.full or args.live or args.lm:
        raise CheckpointError(
            "a checkpoint of tracks reads whole sentences, with and without its own language model; leave --full, "
            "--live and --lm out"
        )
    if corpus_kind(args.data) != "boston104":
        raise CorpusError(f"this checkpoint reads {TRACKS}; pass --data with the folder of BOSTON-104")
    figures = track_figures(TrackRecogniser.load(folder), args.data, args.split or "test")
    text = report_tracks(figures)
    return Measured(figures, text, text, figures["tables"])  # its signers have no names


def measure(folder: Path, args: argparse.Namespace) -> Measured:
    """A checkpoint of landmarks on the signs corpus or a manifest. Raises CheckpointError, CorpusError."""
    recogniser, split = Recogniser.load(folder), args.split or "dev"
    lm = language_model(folder, recogniser.vocabulary, args.lm)
    live = args.stream if args.full else None
    head = {"checkpoint": recogniser.model_id, "split": split}
    blind = recogniser.settings.model.rgb is not None and recogniser.backend.rgb is None
    title = f"{recogniser.model_id}, {split} split, beam {recogniser.settings.decoder.beam}" + (
        ", by its pose stream alone" if blind else ""
    )
    match corpus_kind(args.data):
        case "boston104":
            raise CorpusError("BOSTON-104 has no landmarks, only three tracks; take --checkpoint boston104")
        case "manifest":
            if args.live:
                raise CorpusError("--live compares on the signs corpus; for a manifest take --full")
            examples, left_out = manifest_examples(args.data, split, recogniser)
            if not examples:
                raise CorpusError(f"no clip of the split {split!r} can be used: {left_out[0]['why']}")
            ways = ways_of(recogniser, {"clips": examples}, lm, live)
            figures = {**head, "corpus": "manifest", "clips": len(examples), "left_out": left_out, **ways}
            head_line = f"{title}, {len(examples)} clips, {len(left_out)} remarks on others"
            remarks = "".join(f"\n* {one['file'] or 'glosses'}: {one['why']}" for one in left_out)
            text = f"{head_line}{remarks}\n\n{report_ways(ways)}"
            return Measured(figures, text, f"{head_line}\n\n{report_ways(ways, False)}", ways["tables"])
        case "signs":
            evaluation = Evaluation(load_signs(args.data, split), recogniser.vocabulary)
            if args.live:
                compared = live_figures(recogniser, evaluation, args.stream)
                return Measured(compared, report_live(compared))
            figures = evaluation.figures(recogniser)
            sets = {
                "single clips at 25 fps": evaluation.isolated[25.0],
                "phrases, core": evaluation.composed["core"],
                "phrases, all": evaluation.composed["all"],
            }
            signed = {name: [e for e in examples if e.glosses] for name, examples in sets.items()}
            ways = ways_of(recogniser, signed, lm, live)
            text, card = (
                f"{title}\n\n{report(figures)}\n\n{report_ways(ways, names)}\n\n{report_glosses(figures)}"
                for names in (True, False)
            )
            return Measured({**head, "corpus": "signs", **figures, **ways}, text, card, ways["tables"])


def report_ways(ways: dict[str, Any], names: bool = True) -> str:
    """`ways_of` as Markdown; without `names` signers are numbered."""
    sets = list(ways["ways"][ways["headline"]])
    table = ways_table("WER", ways["ways"], sets)
    tables = ways["tables"]
    if not names:
        numbered = {f"signer {i}": row for i, row in enumerate(tables["by_signer"].values(), 1)}
        tables = {**tables, "by_signer": numbered}
    return f"{table}\n\nWhat follows is of: {ways['headline']}, all sets together.\n\n{report_tables(tables)}"


def write_out(folder: Path, measured: Measured, title: str) -> None:
    """The report's files in `folder`, made if missing. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(measured.figures, indent=1) + "\n", encoding="utf-8")
    (folder / "evaluation.md").write_text(measured.text + "\n", encoding="utf-8")
    if measured.tables and measured.tables["calibration"]:
        svg = reliability_svg(measured.tables["calibration"], title)
        (folder / "reliability.svg").write_text(svg, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """0 done; 2 the checkpoint or the corpus cannot be used, or nothing can be written where it should be."""
    args = parse(argv)
    folder = Path(args.checkpoint)
    if not (folder / "config.json").is_file():
        folder = CHECKPOINTS / args.checkpoint
    try:
        tracks = read_config(folder).keypoints == TRACKS
        measured = measure_tracks(folder, args) if tracks else measure(folder, args)
        if args.out:
            write_out(args.out, measured, f"{folder.name}, {measured.figures['split']}")
        if args.model_card:
            command = (
                f"python -m app evaluate --checkpoint {folder.name} --data DATA --split {measured.figures['split']}"
            )
            section = f"## Measured by `{command}`\n\n{measured.card}"
            write_section(folder / "MODEL_CARD.md", section)
    except (CheckpointError, CorpusError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(measured.figures, indent=1) if args.json else measured.text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
