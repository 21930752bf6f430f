"""The report of any corpus before it is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.training.config import TrainConfig
from app.training.corpora.manifest.clips import LeftOut, glosses_of, load_clips, too_long_for_ctc
from app.training.corpora.manifest.manifest import read_manifest
from app.training.corpora.manifest.report import manifest_report
from app.training.corpora.opening import corpus_kind, open_source


def corpus_report(folder: Path) -> dict[str, Any]:
    """The report of any corpus, before any training: a manifest with all its splits, also while landmarks are missing.

    Raises CorpusError.
    """
    if corpus_kind(folder) != "manifest":
        return open_source(folder, TrainConfig()).report()
    manifest = read_manifest(folder)
    clips = load_clips(manifest, manifest.entries)
    train = clips.split("train")
    vocabulary = tuple(sorted(set(glosses_of(train))))
    label = {gloss: i for i, gloss in enumerate(vocabulary, 1)}
    infeasible = [
        LeftOut(clip.entry, why)
        for clip in train
        if (why := too_long_for_ctc(len(clip), [label[g] for g in clip.entry.glosses]))
    ]
    dropped = {o.entry for o in infeasible}
    usable = [clip for clip in train if clip.entry not in dropped]
    report = manifest_report(manifest, usable, clips.split("dev"), [*clips.left_out, *infeasible], vocabulary)
    report["clips"]["test"] = len(clips.split("test"))
    report["landmarks_missing"] = len(clips.missing)
    return report
