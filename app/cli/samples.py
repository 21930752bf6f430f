"""`python -m app samples`: list the prototype signer's glosses, render them and whole phrases as video or landmarks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.signer.prototypes import PrototypeSigner


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "samples",
        help="list and render the prototype signer's samples",
        description=(
            "The prototype signer performs the averaged form of every gloss; it shows no real person. "
            "Without --render: list the glosses, how many signers and clips were averaged, and the bundled videos."
        ),
    )
    parser.add_argument("glosses", nargs="*", metavar="GLOSS", help="only these, such as HELLO THANK-YOU")
    parser.add_argument(
        "--phrase",
        action="append",
        default=[],
        metavar="'GLOSS GLOSS ...'",
        help="signs joined into one performance; may be given several times",
    )
    parser.add_argument(
        "--render",
        type=Path,
        metavar="FOLDER",
        help="write videos there; without glosses and phrases: the bundled core glosses and phrases",
    )
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="one picture with the given glosses side by side")
    parser.add_argument("--landmarks", action="store_true", help="also write the landmarks, as .npz beside each video")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command. Returns 0; 1 where nothing can be written, 2 for a gloss there is no prototype of."""
    from tqdm import tqdm

    from app.pipeline.module1_preprocessing.landmark_files import save_npz
    from app.signer.prototypes import CORE, PHRASES, UnknownGloss, load
    from app.signer.render import sample_name, write_video

    signer = load()
    wanted: list[tuple[str, ...]] = [(gloss.upper(),) for gloss in args.glosses]
    wanted += [tuple(phrase.upper().split()) for phrase in args.phrase if phrase.split()]
    try:
        for glosses in wanted:
            for gloss in glosses:
                signer.about(gloss)
    except UnknownGloss as problem:
        print(problem, file=sys.stderr)
        return 2
    if args.sheet is not None:
        return _sheet(signer, [gloss for glosses in wanted for gloss in glosses] or list(CORE[:5]), args.sheet)
    if args.render is None:
        _list(signer, wanted)
        return 0
    jobs: list[tuple[str, ...]] = wanted or [*((gloss,) for gloss in CORE), *PHRASES]
    for glosses in tqdm(jobs, desc="rendering", unit="video", file=sys.stderr, disable=None):
        clip = signer.phrase(glosses)
        video = args.render / sample_name(glosses)
        try:
            write_video(clip, video)
            if args.landmarks:
                save_npz(video.with_suffix(".npz"), clip)
        except OSError as problem:
            print(f"cannot write {video}: {problem}; choose another --render folder", file=sys.stderr)
            return 1
        print(video)
    return 0


def _sheet(signer: PrototypeSigner, glosses: list[str], path: Path) -> int:
    import cv2

    from app.signer.sheet import contact_sheet

    picture = contact_sheet(signer, glosses)
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        print(f"cannot write {path}: does its folder exist, and does the name end in .png?", file=sys.stderr)
        return 1
    print(path)
    return 0


def _list(signer: PrototypeSigner, wanted: list[tuple[str, ...]]) -> None:
    from app.signer import SAMPLES
    from app.signer.prototypes import PHRASES
    from app.signer.render import sample_name

    rows: list[tuple[str, ...]] = wanted or [(gloss,) for gloss in signer]
    print(f"{'gloss':<24}{'seconds':>8}{'signers':>9}{'clips':>7}  ready video")
    for glosses in [*rows, *([] if wanted else PHRASES)]:
        ready = SAMPLES / sample_name(glosses)
        about = signer.about(glosses[0])
        counts = f"{about.origin.signers:>9}{about.origin.clips:>7}" if len(glosses) == 1 else f"{'':>16}"
        seconds = signer.phrase(glosses).duration_s
        print(f"{' '.join(glosses):<24}{seconds:>8.1f}{counts}  {ready if ready.exists() else '-'}")
