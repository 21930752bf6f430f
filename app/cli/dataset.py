"""`python -m app dataset`: import a corpus from a known layout, and report what is in it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("dataset", help="import a corpus, or report what is in one")
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    importing = actions.add_parser(
        "import",
        help="make a dataset from a corpus in its own layout",
        description="Write clips.csv for a corpus in a known layout. Files are hard-linked into the new folder if "
        "the file system allows, otherwise copied; with --out equal to --source they stay where they are.",
    )
    importing.add_argument(
        "--kind",
        required=True,
        choices=("phoenix2014", "phoenix2014t", "wlasl", "pose", "signs", "signs-clips", "boston104"),
        help="signs keeps the layout that composed phrases are trained from; signs-clips makes single clips of it",
    )
    importing.add_argument("--source", required=True, type=Path, help="folder of the published corpus")
    importing.add_argument("--out", required=True, type=Path, help="folder of the dataset, such as datasets/NAME")
    importing.add_argument("--glosses", type=int, metavar="N", help="wlasl: only the first N glosses (WLASL100: 100)")
    reporting = actions.add_parser("report", help="clips, signers, glosses, lengths, and what cannot be used")
    reporting.add_argument("folder", type=Path, metavar="FOLDER")
    reporting.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.settings import SettingsError
    from app.training.errors import CorpusError

    try:
        return _import(args) if args.action == "import" else _report(args)
    except CorpusError as problem:
        raise SettingsError(str(problem)) from problem


def _import(args: argparse.Namespace) -> int:
    from app.training.corpora.importers import import_corpus

    result = import_corpus(args.kind, args.source, args.out, args.glosses)
    for left_out in result.left_out[:20]:
        print(f"left out: {left_out}", file=sys.stderr)
    if len(result.left_out) > 20:
        print(f"left out: {len(result.left_out) - 20} more", file=sys.stderr)
    print(f"{result.clips} clips in {args.out}, {len(result.left_out)} left out. Next: {result.next_step}")
    return 0


def _report(args: argparse.Namespace) -> int:
    from app.training.corpora.report import corpus_report, report_text

    report = corpus_report(args.folder)
    print(json.dumps(report, indent=1, ensure_ascii=False) if args.json else report_text(report))
    return 0
