"""What is in a manifest's corpus: clips, signers, glosses, lengths, and what cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.pipeline.module1_preprocessing.resample import MODEL_FPS
from app.pipeline.module3_sequence.steps import label_ids
from app.training.corpora.manifest.clips import Clip, LeftOut, glosses_of, learnable, load_clips
from app.training.corpora.manifest.manifest import SPLITS, Manifest, read_manifest, shared_signers
from app.training.source import spread


def manifest_report(
    manifest: Manifest,
    train: Sequence[Clip],
    dev: Sequence[Clip],
    left_out: Sequence[LeftOut],
    vocabulary: Sequence[str],
) -> dict[str, Any]:
    """train, dev: the clips that are used. Lengths are frames at 25 a second."""
    entries = manifest.entries
    known = set(vocabulary)
    counted = Counter(glosses_of(train))
    unknown = {
        split: sorted({g for e in manifest.split(split) for g in e.glosses} - known)
        for split in SPLITS[1:]
        if manifest.split(split)
    }
    return {
        "corpus": "manifest",
        "sign_language": manifest.sign_language,
        "listed": {split: len(manifest.split(split)) for split in SPLITS},
        "clips": {"train": len(train), "dev": len(dev)},
        "signers": {split: len({e.signer for e in manifest.split(split)}) for split in SPLITS},
        "signers_in_several_splits": shared_signers(entries),
        "glosses": dict(sorted(counted.items())),
        "glosses_seen_once": sorted(g for g, n in counted.items() if n == 1),
        "unknown_glosses": unknown,
        "glosses_a_clip": spread([len(e.glosses) for e in entries]),
        "frames": spread([len(c) for c in [*train, *dev]]),
        "minutes": round(sum(len(c) for c in [*train, *dev]) / MODEL_FPS / 60, 1),
        "left_out": [o.to_dict() for o in left_out],
        "warnings": list(manifest.warnings),
    }


def folder_report(folder: Path) -> dict[str, Any]:
    """The report of a manifest with all its splits, also while landmarks are missing. Raises CorpusError."""
    manifest = read_manifest(folder)
    clips = load_clips(manifest, manifest.entries)
    train = clips.split("train")
    vocabulary = tuple(sorted(set(glosses_of(train))))
    usable, infeasible = learnable(train, label_ids(vocabulary))
    report = manifest_report(manifest, usable, clips.split("dev"), [*clips.left_out, *infeasible], vocabulary)
    report["clips"]["test"] = len(clips.split("test"))
    report["landmarks_missing"] = len(clips.missing)
    return report
