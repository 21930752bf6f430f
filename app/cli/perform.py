"""`python -m app perform`: a text, or glosses, as one performance of the prototype signer, as video or landmarks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.pipeline.glossing import Item
    from app.services.performing.service import Performed


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "perform",
        help="sign a text: glosses, words without a sign, and a video of the prototype signer",
        description=(
            "English or Spanish text to glosses by simple rules, and one performance of the prototype signer. It is "
            "not an interpreter: words that have no sign are shown as text, and the face says nothing."
        ),
    )
    parser.add_argument("text", help="at most 500 characters; with --glosses, glosses")
    parser.add_argument("--language", choices=("en", "es"), help="of the text; without it, it is guessed")
    parser.add_argument("--glosses", action="store_true", help="the text is glosses, such as 'MOTHER WANT WATER'")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a video (.mp4) or landmarks (.npz)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.errors import ServiceError

    if args.out is not None and args.out.suffix not in (".mp4", ".npz"):
        print(f"{args.out}: the name of a video ends in .mp4, of landmarks in .npz", file=sys.stderr)
        return 2
    try:
        return _perform(args)
    except ServiceError as problem:
        print(f"{problem.title}: {problem.detail}", file=sys.stderr)
    except OSError as problem:
        print(f"{problem.filename or args.out}: {problem.strerror or problem}", file=sys.stderr)
    return 1


def _perform(args: argparse.Namespace) -> int:
    import asyncio

    from app.pipeline.module1_preprocessing.landmark_files import save_npz
    from app.signer.render import write_video

    performed = asyncio.run(_performed(args))
    for item, (start, end) in zip(performed.items, performed.times, strict=True):
        print(f"{start:6.2f} {end:6.2f}  {item.text if item.kind == 'sign' else _described(item)}")
    if args.out is None:
        return 0
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.out.suffix == ".npz":
        save_npz(args.out, performed.keypoints)
    else:
        write_video(performed.keypoints, args.out)
    print(args.out)
    return 0


async def _performed(args: argparse.Namespace) -> Performed:
    from app.core.settings import load_settings
    from app.services.performing.service import PerformingService
    from app.services.speech.engines import Engines
    from app.services.speech.service import SpeechService

    settings = load_settings()
    speech = SpeechService(settings, Engines.of(settings, "cpu"))
    performing = PerformingService(speech)
    try:
        if args.glosses:
            return await performing.perform(await performing.glosses(args.text.split()))
        glossed = await performing.glossed(args.text, args.language)
        if glossed.translator is not None:
            print(f"read as: {glossed.english}")
        return await performing.perform(glossed.glossing.items)
    finally:
        await performing.close()
        await speech.close()


def _described(item: Item) -> str:
    return f"{item.text} ({'spelled' if item.kind == 'spelled' else 'no sign'})"
