"""`python -m app extract`: landmarks, and optionally crops, of every video of a corpus."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.training.corpora.manifest.extract import Doing, Report


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "extract",
        help="find the landmarks in every video of a corpus",
        description="Find the landmarks in every video of a corpus (a folder with clips.csv) and keep them beside it. "
        "Run it again to continue after an interruption; finished clips are skipped. Exit code 0: done; "
        "1: some clips could not be read, they are listed in extraction_report.json; 2: the corpus cannot be used.",
    )
    parser.add_argument("folder", type=Path, metavar="DATASET", help="folder of the corpus")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument("--pictures", type=int, metavar="SIDE", help="also keep crops of the signer, SIDE pixels wide")
    parser.add_argument("--hands", action="store_true", help="with --pictures: also a crop of each hand")
    parser.add_argument("--ray", metavar="ADDRESS", help="spread the work over a Ray cluster: its address, or auto")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from app.core.settings import SettingsError
    from app.training.corpora.manifest.cache import PictureConfig
    from app.training.corpora.manifest.extract import REPORT, extract_corpus
    from app.training.errors import CorpusError

    if args.workers < 1:
        raise SettingsError(f"--workers {args.workers}: at least one process is needed.")
    if args.hands and args.pictures is None:
        raise SettingsError("--hands requests crops of the hands: set their size with --pictures SIDE.")
    if args.pictures is not None and not 32 <= args.pictures <= 512:
        raise SettingsError(f"--pictures {args.pictures}: crops are 32 to 512 pixels wide.")
    pictures = PictureConfig(args.pictures, args.hands) if args.pictures is not None else None
    shown = not args.quiet and sys.stderr.isatty()
    with tqdm(unit="clip", file=sys.stderr, disable=not shown, dynamic_ncols=True) as bar:

        def on_clip(done: int, total: int, report: Report) -> None:
            bar.total = total
            bar.set_postfix(failed=len(report.failed), frames=report.frames, refresh=False)
            bar.update()

        try:
            report = extract_corpus(args.folder, pictures, args.workers, on_clip, _ray(args.ray))
        except CorpusError as problem:
            raise SettingsError(str(problem)) from problem
        except KeyboardInterrupt:
            bar.close()
            print("stopped; run the same command again to continue", file=sys.stderr)
            return 130
    for failure in report.failed:
        print(f"{failure['file']}: {failure['reason']}", file=sys.stderr)
    done = f"{report.extracted} extracted, {report.cached} already done, {report.landmark_files} landmark files"
    print(f"{report.clips} clips: {done}, {len(report.failed)} failed; {args.folder / REPORT}")
    if report.nobody_seen:
        print(f"no person was found in {len(report.nobody_seen)} of them; they are listed there", file=sys.stderr)
    return int(bool(report.failed))


def _ray(address: str | None) -> Doing | None:
    if address is None:
        return None
    from app.core.settings import SettingsError
    from app.training.corpora.manifest.ray_extract import RayUnavailable, on_cluster

    try:
        return on_cluster(address)
    except RayUnavailable as problem:
        raise SettingsError(str(problem)) from problem
