"""`caption`: videos and landmark files on disk -> glosses, sentences and subtitles."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.pipeline.caption import Caption
    from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
    from app.pipeline.recogniser import Recogniser
    from app.services.recognition.vocabularies import Vocabulary

FORMATS = ("text", "json", "srt", "vtt")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "caption",
        help="caption videos or landmark files",
        description="Recognise what is signed in videos (.mp4, .webm, ...) or landmark files (.npz, .pose, .json).",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="file")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text; json is one object per line")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write one file per input into this folder instead of printing"
    )
    parser.add_argument("--checkpoint", help="id of the recogniser, default: the setting CHECKPOINT")
    parser.add_argument(
        "--vocabulary",
        metavar="NAME|GLOSS,GLOSS",
        help="read with this vocabulary, or with these glosses alone; default: everyday if the recogniser has it, else "
        "all it knows",
    )
    parser.add_argument(
        "--signs",
        action="append",
        metavar="SET",
        help="read with a sign set that was taught here (python -m app signs list): alone, or together with "
        "--vocabulary; may be given several times",
    )
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N, default: the setting DEVICE")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.settings import SettingsError, load_settings

    if args.format in ("srt", "vtt") and len(args.files) > 1 and args.output is None:
        raise SettingsError(f"Several files as {args.format} need one output file each: add --output DIR.")
    overrides = {name: getattr(args, name) for name in ("checkpoint", "device") if getattr(args, name) is not None}
    settings = load_settings(**overrides)
    from app.services.recognition.checkpoint_store import check_checkpoint

    check_checkpoint(settings)
    quiet_libraries()
    show_progress = not args.quiet and sys.stderr.isatty()
    captioned, sign_language = caption_files(args.files, settings, args.vocabulary, show_progress, args.signs or ())
    if args.output is not None:
        args.output.mkdir(parents=True, exist_ok=True)
    for path, caption in zip(args.files, captioned, strict=True):
        if isinstance(caption, str):
            print(f"{path}: {caption}", file=sys.stderr)
            continue
        for warning in caption.warnings:
            print(f"{path}: {warning.message}", file=sys.stderr)
        text = rendered(caption, args.format, sign_language, path, several=len(args.files) > 1)
        if args.output is None:
            print(text)
        else:
            suffix = "txt" if args.format == "text" else args.format
            (args.output / f"{path.stem}.{suffix}").write_text(text + "\n", encoding="utf-8")
    return int(any(isinstance(caption, str) for caption in captioned))


def quiet_libraries() -> None:
    """MediaPipe's native code prints start-up messages that would appear between the results."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def caption_files(
    paths: list[Path],
    settings: Settings,
    vocabulary: str | None = None,
    show_progress: bool = False,
    signs: Sequence[str] = (),
) -> tuple[list[Caption | str], str]:
    """For each file its caption, or why there is none; and their sign language. Several videos are read at once.
    Raises SettingsError where the recogniser cannot be loaded, or not be read with this vocabulary."""
    from tqdm import tqdm

    from app.core.settings import SettingsError
    from app.pipeline.checkpoint import CheckpointError
    from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
    from app.pipeline.module3_sequence.vocabularies import UnknownVocabulary
    from app.services.recognition.loading import load_recogniser
    from app.services.recognition.vocabularies import from_text

    try:
        wanted = None if vocabulary is None else from_text(vocabulary)
        recogniser = load_recogniser(settings)
        recogniser = _taught(recogniser, settings, wanted, list(signs)) if signs else recogniser.reading_with(wanted)
    except CheckpointError as problem:
        raise SettingsError(str(problem)) from problem
    except UnknownVocabulary as problem:
        raise SettingsError(f"--vocabulary: {problem}") from problem
    workers = min(len(paths), settings.extractor_workers)
    landmarks = MediaPipeEngine(workers)
    bar = tqdm(total=0, unit="frame", file=sys.stderr, disable=not show_progress, leave=False, desc="reading")
    try:
        with ThreadPoolExecutor(workers) as threads, bar:
            jobs = [threads.submit(_caption, path, settings, recogniser, landmarks, bar) for path in paths]
            return [job.result() for job in jobs], recogniser.sign_language
    finally:
        landmarks.close()


def _taught(recogniser: Recogniser, settings: Settings, vocabulary: Vocabulary, named: list[str]) -> Recogniser:
    """Raises SettingsError, UnknownVocabulary."""
    import asyncio

    from app.core.errors import ServiceError
    from app.core.principal import ANONYMOUS
    from app.core.settings import SettingsError
    from app.services.recognition.vocabularies import reading_with
    from app.services.signs.embedding import embedding_alone
    from app.services.signs.offline import references, sign_sets_of

    async def read_with() -> Recogniser:
        async with sign_sets_of(settings, embedding_alone(recogniser)) as sets:
            ids = await references(sets, named)
            return await reading_with(
                recogniser, await sets.wanted(ANONYMOUS, vocabulary, ids, recogniser.embedding_space)
            )

    try:
        return asyncio.run(read_with())
    except ServiceError as problem:
        raise SettingsError(f"--signs: {problem.detail}") from problem


def _caption(
    path: Path, settings: Settings, recogniser: Recogniser, landmarks: MediaPipeEngine, bar: Any
) -> Caption | str:
    from app.core.errors import ServiceError
    from app.pipeline.caption import Caption
    from app.services.recognition.clips import nothing_seen, warnings_about
    from app.services.recognition.errors import pipeline_errors_as_service_errors

    try:
        with pipeline_errors_as_service_errors():
            clip = keypoints_of(path, settings, recogniser, landmarks, bar)
            warnings = warnings_about(clip)
            unseen = any(warning.code == "no_person" for warning in warnings)
            found = nothing_seen(clip, recogniser.fps) if unseen else recogniser.recognise(clip)
            return Caption.of_recognition(found, recogniser.model_id, recogniser.reads, warnings)
    except ServiceError as problem:
        return f"{problem.title}: {problem.detail}"
    except OSError as problem:
        return problem.strerror or str(problem)


def keypoints_of(path: Path, settings: Settings, recogniser: Recogniser, landmarks: MediaPipeEngine, bar: Any) -> Any:
    from app.pipeline.module1_preprocessing.landmark_files import load_landmarks
    from app.pipeline.module1_preprocessing.video import probe
    from app.services.recognition.clips import LANDMARK_SUFFIXES, ClipOptions, keypoints_from_video

    if path.suffix.lower() in LANDMARK_SUFFIXES:
        return load_landmarks(path, path.name)
    options = ClipOptions(settings, recogniser, on_frame=bar.update)
    info = probe(path, options.limits)
    if info.duration_s:
        bar.total += round(info.duration_s * min(info.fps or 25, 25))
        bar.refresh()
    with closing(landmarks.open()) as track:
        return keypoints_from_video(path, track, options)


def rendered(caption: Caption, output: str, sign_language: str, path: Path, several: bool) -> str:
    """The caption of `path` in one of FORMATS, without a newline at its end; several: the text names the file."""
    from app.services.recognition.subtitles import subtitles

    match output:
        case "json":
            codes = [warning.code for warning in caption.warnings]
            return json.dumps({"file": str(path), **caption.as_clip(), "warnings": codes}, ensure_ascii=False)
        case "srt" | "vtt":
            return subtitles(caption, sign_language, output).rstrip("\n")
        case _:
            prefix = f"{path}: " if several else ""
            glosses = " ".join(
                f"{sign.gloss}{'?' if sign.unsure else ''} ({sign.confidence:.0%})" for sign in caption.signs
            )
            return f"{prefix}{caption.sentence}  [{glosses}]" if caption.signs else f"{prefix}(nothing was recognised)"
