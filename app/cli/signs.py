"""`signs`: teach signs from recordings, list, export and share them; measure how well taught signs are read."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.pipeline.recogniser import Recogniser
    from app.services.signs.service import SignSets

#: The set that signs are taught to where none is named.
MINE = "My signs"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("signs", help="teach it your signs, in any sign language, from a few recordings each")
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--checkpoint", help="id of the recogniser, default: the setting CHECKPOINT")
    common.add_argument("--device", help="auto, cpu, cuda or cuda:N, default: the setting DEVICE")

    teach = actions.add_parser("teach", parents=[common], help="teach a sign: its name, and about three recordings")
    teach.add_argument("name", help="what captions show for it")
    teach.add_argument("files", nargs="+", type=Path, metavar="clip", help="a video or landmark file of the sign alone")
    teach.add_argument("--set", default=MINE, metavar="SET", help=f"the set; it is made if missing (default: {MINE})")
    teach.add_argument("--sign-language", default="ase", metavar="CODE", help="of a new set, ISO 639-3 (default: ase)")
    teach.add_argument("--keep-landmarks", action="store_true", help="keep landmarks of recordings in a new set")
    teach.add_argument("--insist", action="store_true", help="even where recordings look like different signs")

    actions.add_parser("list", help="the sets, and how well each of their signs is told apart")
    export = actions.add_parser("export", help="write a set into a file")
    export.add_argument("set")
    export.add_argument("file", type=Path)
    export.add_argument("--landmarks", action="store_true", help="with those that are kept")
    reading = actions.add_parser("import", help="make a set from a file")
    reading.add_argument("file", type=Path)
    reading.add_argument("--keep-landmarks", action="store_true", help="keep landmarks that are in it")
    delete = actions.add_parser("delete", help="delete a set, or one sign of it")
    delete.add_argument("set")
    delete.add_argument("--sign", help="only this one")

    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", type=Path, required=True, help="folder with signs/ and wlasl/")
    actions.add_parser(
        "prototypes", parents=[common, data], help="make what known glosses are compared with, beside the checkpoint"
    )
    measure = actions.add_parser("evaluate", parents=[common, data], help="how well dev people's taught signs are read")
    measure.add_argument("--recordings", type=int, default=3, help="of each sign that is taught (default: 3)")
    measure.add_argument("--seeds", type=int, default=3, help="choices of them that are averaged (default: 3)")
    measure.add_argument("--vocabulary", default="everyday", help="read together with it (default: everyday)")
    measure.add_argument(
        "--halves", action="store_true", help="choose the settings on half of the people, read the others, both ways"
    )
    measure.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.errors import ServiceError
    from app.core.settings import load_settings

    given = {name: getattr(args, name, None) for name in ("checkpoint", "device")}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    try:
        match args.action:
            case "teach":
                return _teach(args, settings)
            case "prototypes":
                return _prototypes(args, settings)
            case "evaluate":
                return _evaluate(args, settings)
            case _:
                return _manage(args, settings)
    except ServiceError as problem:
        print(f"{problem.title}: {problem.detail}", file=sys.stderr)
    except OSError as problem:
        print(f"{problem.filename or 'a file'}: {problem.strerror or problem}", file=sys.stderr)
    return 1


def _loaded(settings: Settings) -> Recogniser:
    """Raises SettingsError."""
    from app.core.settings import SettingsError
    from app.pipeline.checkpoint import CheckpointError
    from app.services.recognition.checkpoint_store import check_checkpoint
    from app.services.recognition.loading import load_recogniser

    check_checkpoint(settings)
    try:
        return load_recogniser(settings)
    except CheckpointError as problem:
        raise SettingsError(str(problem)) from problem


def _with_sets(settings: Settings, recogniser: Recogniser | None, work: Callable[[SignSets], Awaitable[int]]) -> int:
    import asyncio

    from app.services.signs.embedding import Embedded, embedding_alone
    from app.services.signs.offline import sign_sets_of

    async def nothing(_: object) -> Embedded:
        raise AssertionError("only recordings are embedded")

    async def in_database() -> int:
        embed = nothing if recogniser is None else embedding_alone(recogniser)
        async with sign_sets_of(settings, embed) as sets:
            return await work(sets)

    return asyncio.run(in_database())


def _teach(args: argparse.Namespace, settings: Settings) -> int:
    from app.cli.caption import keypoints_of, quiet_libraries
    from app.core.errors import ServiceError, SignExists, UnknownSignSet
    from app.core.principal import ANONYMOUS
    from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
    from app.services.recognition.errors import pipeline_errors_as_service_errors
    from app.services.signs.offline import found

    quiet_libraries()
    recogniser = _loaded(settings)
    landmarks = MediaPipeEngine(1)

    async def work(sets: SignSets) -> int:
        try:
            row = await found(sets, args.set)
        except UnknownSignSet:
            row = await sets.create(ANONYMOUS, args.set, args.sign_language, args.keep_landmarks)
        try:
            sign = await sets.add_sign(ANONYMOUS, row.id, args.name)
        except SignExists:
            contents = await sets.get(ANONYMOUS, row.id, recogniser.embedding_space)
            sign = next(s.row for s in contents.signs if s.row.gloss == _gloss(args.name))
        refused = 0
        added = None
        for path in args.files:
            try:
                with pipeline_errors_as_service_errors():
                    clip = keypoints_of(path, settings, recogniser, landmarks, _NoBar())
                added = await sets.add_recording(ANONYMOUS, row.id, sign.id, clip, args.insist)
            except ServiceError as problem:
                refused += 1
                print(f"{path}: {problem.detail}", file=sys.stderr)
                continue
            print(f"{path}: learned")
            for note in added.notes:
                print(f"{path}: {note.message}", file=sys.stderr)
        if added is None:
            contents = await sets.get(ANONYMOUS, row.id, recogniser.embedding_space)
            if not next(s for s in contents.signs if s.row.id == sign.id).recordings:
                await sets.remove_sign(ANONYMOUS, row.id, sign.id)
            return 1
        count = len(added.sign.recordings)
        print(f"{sign.gloss}: {count} recording{'s' if count > 1 else ''} in '{row.name}'.", end=" ")
        back = added.sign.back
        print("Record it again: one recording says little." if back is None else _said(back.right, back.of))
        print(f'Read with it: python -m app caption --signs "{row.name}" clip.mp4')
        return int(refused > 0)

    try:
        return _with_sets(settings, recogniser, work)
    finally:
        landmarks.close()


def _gloss(name: str) -> str:
    from app.services.signs.names import checked_gloss

    return checked_gloss(name)


def _said(right: int, of: int) -> str:
    return f"It would now be read in {right} of {of} of its recordings, each by the others."


class _NoBar:
    """In place of a progress bar."""

    total = 0

    def update(self, count: int = 1) -> None: ...

    def refresh(self) -> None: ...


def _manage(args: argparse.Namespace, settings: Settings) -> int:
    from app.core.principal import ANONYMOUS
    from app.services.signs.offline import found

    recogniser = _loaded(settings) if args.action == "list" else None

    async def work(sets: SignSets) -> int:
        match args.action:
            case "list":
                assert recogniser is not None
                for entry in await sets.all_of(ANONYMOUS):
                    row = entry.row
                    print(f"{row.name} ({row.sign_language}, {entry.signs} signs, {entry.recordings} recordings)")
                    print(f"  id {row.id}")
                    contents = await sets.get(ANONYMOUS, row.id, recogniser.embedding_space)
                    if not contents.readable:
                        print("  taught to another recogniser: teach it again")
                    for sign in contents.signs:
                        back = f", read back {sign.back.right} of {sign.back.of}" if sign.back else ""
                        print(f"  {sign.row.gloss}: {len(sign.recordings)} recordings{back}")
            case "export":
                row = await found(sets, args.set)
                args.file.write_bytes(await sets.export(ANONYMOUS, row.id, args.landmarks))
                print(f"'{row.name}' is in {args.file}")
            case "import":
                row = await sets.add_file(ANONYMOUS, args.file.read_bytes(), args.keep_landmarks)
                print(f"'{row.name}' is a set of its own now: {row.id}")
            case _:
                row = await found(sets, args.set)
                if args.sign is None:
                    await sets.remove(ANONYMOUS, row.id)
                else:
                    contents = await sets.get(ANONYMOUS, row.id, "")
                    wanted = [sign.row.id for sign in contents.signs if sign.row.gloss == _gloss(args.sign)]
                    if not wanted:
                        print(f"'{row.name}' has no sign {args.sign}", file=sys.stderr)
                        return 1
                    await sets.remove_sign(ANONYMOUS, row.id, wanted[0])
                print("deleted")
        return 0

    return _with_sets(settings, recogniser, work)


def _prototypes(args: argparse.Namespace, settings: Settings) -> int:
    from app.core.settings import SettingsError
    from app.pipeline.module3_sequence.prototypes import write_prototypes
    from app.training.corpora.recordings import prototypes, recordings
    from app.training.errors import CorpusError

    recogniser = _loaded(settings)
    try:
        made = prototypes(recogniser, recordings(args.data, "train"))
    except CorpusError as problem:
        raise SettingsError(str(problem)) from problem
    path = write_prototypes(settings.checkpoint_path, made)
    print(f"{len(made.rows)} prototypes, {path.stat().st_size / 1e6:.1f} MB in {path}")
    return 0


def _evaluate(args: argparse.Namespace, settings: Settings) -> int:
    from app.core.settings import SettingsError
    from app.training.corpora.recordings import recordings
    from app.training.corpora.teaching import evaluate, people
    from app.training.corpora.teaching_halves import evaluate_halves
    from app.training.errors import CorpusError

    recogniser = _loaded(settings)
    try:
        everybody = people(recogniser, recordings(args.data, "dev"))
    except CorpusError as problem:
        raise SettingsError(str(problem)) from problem
    measure = evaluate_halves if args.halves else evaluate
    figures = measure(recogniser, everybody, args.vocabulary, args.recordings, args.seeds)
    if args.json:
        print(json.dumps(figures, indent=1))
        return 0
    for name, row in figures.items():
        print(f"{name}: {', '.join(f'{key} {value}' for key, value in row.items())}")
    return 0
