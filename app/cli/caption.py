"""`caption`: videos and landmark files on disk -> glosses, sentences and subtitles."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
    from app.pipeline.recogniser import Recogniser, Recognition
    from app.services.recognition.clips import ClipWarning

FORMATS = ("text", "json", "srt", "vtt")


@dataclass(frozen=True, slots=True)
class Caption:
    """The outcome for one file: `recognition`, or the reason why there is none."""

    path: Path
    recognition: Recognition | None = None
    warnings: tuple[ClipWarning, ...] = ()
    failure: str | None = None


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
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N, default: the setting DEVICE")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    from app.core.settings import SettingsError, load_settings

    if args.format in ("srt", "vtt") and len(args.files) > 1 and args.output is None:
        raise SettingsError(f"Several files as {args.format} need a place each: add --output DIR.")
    overrides = {name: getattr(args, name) for name in ("checkpoint", "device") if getattr(args, name) is not None}
    settings = load_settings(**overrides)
    from app.services.recognition.checkpoint_store import check_checkpoint

    check_checkpoint(settings)
    _quiet_libraries()
    captions = caption_files(args.files, settings, show_progress=not args.quiet and sys.stderr.isatty())
    if args.output is not None:
        args.output.mkdir(parents=True, exist_ok=True)
    for caption, sign_language in captions:
        if caption.failure is not None:
            print(f"{caption.path}: {caption.failure}", file=sys.stderr)
            continue
        for warning in caption.warnings:
            print(f"{caption.path}: {warning.message}", file=sys.stderr)
        text = rendered(caption, args.format, sign_language, settings.checkpoint, several=len(args.files) > 1)
        if args.output is None:
            print(text)
        else:
            suffix = "txt" if args.format == "text" else args.format
            (args.output / f"{caption.path.stem}.{suffix}").write_text(text + "\n", encoding="utf-8")
    return int(any(caption.failure is not None for caption, _ in captions))


def _quiet_libraries() -> None:
    """MediaPipe's native code writes start-up notes that would stand between the results."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def caption_files(paths: list[Path], settings: Settings, show_progress: bool = False) -> list[tuple[Caption, str]]:
    """Each file's caption with its sign language, in the order of `paths`; several videos are read at once."""
    from tqdm import tqdm

    from app.core.settings import SettingsError
    from app.pipeline.checkpoint import CheckpointError
    from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
    from app.services.recognition.loading import load_recogniser

    try:
        recogniser = load_recogniser(settings)
    except CheckpointError as problem:
        raise SettingsError(str(problem)) from problem
    workers = min(len(paths), settings.extractor_workers)
    landmarks = MediaPipeEngine(workers)
    bar = tqdm(total=0, unit="frame", file=sys.stderr, disable=not show_progress, leave=False, desc="reading")
    try:
        with ThreadPoolExecutor(workers) as threads, bar:
            jobs = [threads.submit(_caption, path, settings, recogniser, landmarks, bar) for path in paths]
            return [(job.result(), recogniser.sign_language) for job in jobs]
    finally:
        landmarks.close()


def _caption(path: Path, settings: Settings, recogniser: Recogniser, landmarks: MediaPipeEngine, bar: Any) -> Caption:
    from app.core.errors import ServiceError
    from app.services.recognition.clips import nothing_seen, warnings_about
    from app.services.recognition.errors import pipeline_errors_as_service_errors

    try:
        with pipeline_errors_as_service_errors():
            clip = _keypoints(path, settings, recogniser, landmarks, bar)
            warnings = tuple(warnings_about(clip))
            if any(warning.code == "no_person" for warning in warnings):
                return Caption(path, nothing_seen(clip, recogniser.fps), warnings)
            return Caption(path, recogniser.recognise(clip), warnings)
    except ServiceError as problem:
        return Caption(path, failure=f"{problem.title}: {problem.detail}")
    except OSError as problem:
        return Caption(path, failure=problem.strerror or str(problem))


def _keypoints(path: Path, settings: Settings, recogniser: Recogniser, landmarks: MediaPipeEngine, bar: Any) -> Any:
    from app.pipeline.module1_preprocessing.landmark_files import load_landmarks
    from app.pipeline.module1_preprocessing.video import probe
    from app.services.recognition.clips import LANDMARK_SUFFIXES, ClipOptions, keypoints_from_video

    if path.suffix.lower() in LANDMARK_SUFFIXES:
        return load_landmarks(path, path.name)
    on_frame: Callable[[], Any] = bar.update
    options = ClipOptions.of(settings, recogniser=recogniser, on_frame=on_frame)
    info = probe(path, options.limits)
    if info.duration_s:
        bar.total += round(info.duration_s * min(info.fps or 25, 25))
        bar.refresh()
    with closing(landmarks.open()) as track:
        return keypoints_from_video(path, track, options)


def rendered(caption: Caption, output: str, sign_language: str, model: str, several: bool) -> str:
    """The caption in one of FORMATS, without a newline at its end."""
    from app.services.recognition.subtitles import cues, to_srt, to_vtt

    found = caption.recognition
    assert found is not None
    match output:
        case "json":
            return json.dumps(
                {
                    "file": str(caption.path),
                    "gloss": found.gloss,
                    "sentence": found.sentence,
                    "confidence": round(found.confidence, 4),
                    "fps": found.fps,
                    "frame_count": found.frame_count,
                    "duration_s": round(found.duration_s, 3),
                    "segments": [
                        {
                            "gloss": segment.gloss,
                            "start_s": round(segment.start_s, 3),
                            "end_s": round(segment.end_s, 3),
                            "confidence": round(segment.confidence, 4),
                        }
                        for segment in found.segments
                    ],
                    "warnings": [warning.code for warning in caption.warnings],
                    "model": model,
                },
                ensure_ascii=False,
            )
        case "srt":
            return to_srt(cues(found.segments, sign_language)).rstrip("\n")
        case "vtt":
            return to_vtt(cues(found.segments, sign_language)).rstrip("\n")
        case _:
            prefix = f"{caption.path}: " if several else ""
            glosses = " ".join(f"{segment.gloss} ({segment.confidence:.0%})" for segment in found.segments)
            return f"{prefix}{found.sentence}  [{glosses}]" if found.segments else f"{prefix}(nothing was recognised)"
