"""`prototypes`: build the prototype signer's averaged signs from the training clips of the signs corpus."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from loguru import logger


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("prototypes", help="build the prototype signer from recordings of the signs corpus")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.npz and clips.csv")
    parser.add_argument("--out", type=Path, default=Path("app/signer/assets/prototypes.json.gz"))
    parser.add_argument("--gloss", nargs="*", help="only these (default: all but NONE and the letters)")
    parser.add_argument("--candidates", type=int, default=60, help="candidate clips per gloss")
    parser.add_argument("--per-signer", type=int, default=6)
    parser.add_argument("--keep", type=float, default=0.4, help="fraction of the candidates that is averaged")
    parser.add_argument("--at-most", type=int, default=20, help="maximum number of clips averaged per gloss")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import gzip
    import json

    import numpy as np

    from app.core.settings import SettingsError
    from app.pipeline.keypoints import LEFT_HAND, POSE, RIGHT_HAND
    from app.signer.making.build import Recording, make_prototypes
    from app.training.corpora.signs.clips import NONE, load_signs
    from app.training.errors import CorpusError

    logger.remove()
    logger.add(sys.stderr, level="INFO")
    try:
        clips = load_signs(args.data, "train")
    except CorpusError as problem:
        raise SettingsError(str(problem)) from problem
    wanted = args.gloss or sorted({c.gloss for c in clips if c.gloss != NONE and not c.gloss.startswith("FS-")})
    recordings: dict[str, list[Recording]] = {gloss: [] for gloss in wanted}
    for clip in clips:
        if clip.gloss in recordings:
            points = clip.points.astype(np.float64)
            hands = points[:, LEFT_HAND, :2], points[:, RIGHT_HAND, :2]
            recordings[clip.gloss].append(Recording(clip.signer, points[:, POSE], *hands))
    if missing := [gloss for gloss, found in recordings.items() if not found]:
        raise SettingsError(f"no training clip of {', '.join(missing)} in {args.data}")
    chosen = {name: getattr(args, name) for name in ("candidates", "per_signer", "keep", "at_most", "seed")}
    text = json.dumps(make_prototypes(recordings, **chosen), separators=(",", ":"))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    logger.info("{} glosses, {:.0f} kB in {}", len(recordings), args.out.stat().st_size / 1000, args.out)
    return 0
