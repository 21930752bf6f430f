"""WLASL: isolated American signs collected from the web, a JSON table and a folder of videos.

From the README of the corpus: `WLASL_v0.3.json` is a list of {"gloss", "instances": [{"video_id", "split" (train, val,
test), "signer_id", "frame_start", "frame_end", "fps", ...}]}; frames count from 1 at 25 a second, an end of -1 is the
end of the video. Many videos are no longer available: missing ones are left out and listed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.training.corpora.importers.placing import EXTRACT, Imported, Placer
from app.training.corpora.manifest.manifest import Entry, write_manifest
from app.training.errors import CorpusError

_SPLITS = {"train": "train", "val": "dev", "test": "test"}
_SUFFIXES = (".mp4", ".webm", ".mkv", ".avi", ".mov")


def import_wlasl(source: Path, out: Path, glosses: int | None = None) -> Imported:
    """`glosses`: only the first so many, as WLASL100, 300, 1000 and 2000 are defined. Raises CorpusError."""
    if glosses is not None and glosses < 1:
        raise CorpusError(f"--glosses {glosses}: at least one gloss is needed")
    tables = sorted(source.glob("WLASL_v*.json"))
    if not tables:
        raise CorpusError(f"no WLASL_v0.3.json in {source}; it is in the folder start_kit of the WLASL repository")
    placer = Placer(source, out)
    entries: list[Entry] = []
    left_out: list[str] = []
    for item in _items(tables[-1])[:glosses]:
        # A manifest separates signs by blanks, and WLASL has glosses of several words for one sign.
        gloss = "-".join(str(item["gloss"]).upper().split())
        for instance in item["instances"]:
            name = str(instance.get("video_id", ""))
            video = _video(source / "videos", name)
            split = _SPLITS.get(str(instance.get("split")))
            if video is None:
                left_out.append(f"{name} ({gloss}): no video")
            elif split is None:
                left_out.append(f"{name} ({gloss}): unknown split {instance.get('split')!r}")
            else:
                start, end = _part(instance)
                signer = f"wlasl-{instance.get('signer_id', 'unknown')}"
                entries.append(Entry(placer.place(video), (gloss,), signer, split, start_s=start, end_s=end))
    if not any(e.split == "train" for e in entries):
        raise CorpusError(f"not one training video is there; they belong in {source / 'videos'}, named like 69241.mp4")
    write_manifest(out, entries, sign_language="ase")
    return Imported(len(entries), tuple(left_out), EXTRACT.format(out=out))


def _items(table: Path) -> list[dict[str, Any]]:
    try:
        items = json.loads(table.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorpusError(f"cannot read {table}: {error}") from error
    if not isinstance(items, list) or not all(
        isinstance(i, dict) and "gloss" in i and isinstance(i.get("instances"), list) for i in items
    ):
        raise CorpusError(f"{table} is not WLASL's table: expected a list of objects with 'gloss' and 'instances'")
    return items


def _video(folder: Path, name: str) -> Path | None:
    if not name or "/" in name or "\\" in name or name.startswith("."):
        return None
    return next((path for s in _SUFFIXES if (path := folder / f"{name}{s}").is_file()), None)


def _part(instance: dict[str, Any]) -> tuple[float | None, float | None]:
    """The seconds in which the sign is shown; None where the video begins or ends with it."""
    rate = float(instance.get("fps") or 25)
    first, last = int(instance.get("frame_start") or 1), int(instance.get("frame_end") or -1)
    return (first - 1) / rate if first > 1 else None, last / rate if last > 0 else None
