"""What is in a manifest's corpus: clips, signers, glosses, lengths, and what cannot be used; any report as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from app.pipeline.module1_preprocessing.resample import MODEL_FPS
from app.training.corpora.manifest.clips import Clip, LeftOut, glosses_of
from app.training.corpora.manifest.manifest import SPLITS, Manifest, shared_signers


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
        "glosses_a_clip": _spread([len(e.glosses) for e in entries]),
        "frames": _spread([len(c) for c in [*train, *dev]]),
        "minutes": round(sum(len(c) for c in [*train, *dev]) / MODEL_FPS / 60, 1),
        "left_out": [o.to_dict() for o in left_out],
        "warnings": list(manifest.warnings),
    }


def _spread(values: Sequence[int]) -> dict[str, int]:
    """Least, median and most; {} of nothing."""
    ranked = sorted(values)
    return {"least": ranked[0], "median": ranked[len(ranked) // 2], "most": ranked[-1]} if ranked else {}


def report_text(report: dict[str, Any]) -> str:
    """The report for people to read."""
    lines = [f"corpus: {report['corpus']}"]
    if "sign_language" in report:
        lines.append(f"sign language: {report['sign_language']}")
    for key in ("listed", "clips", "signers", "frames", "glosses_a_clip"):
        if report.get(key):
            lines.append(f"{key.replace('_', ' ')}: " + ", ".join(f"{k} {v}" for k, v in report[key].items()))
    if "minutes" in report:
        lines.append(f"minutes: {report['minutes']}")
    counted = sorted(report["glosses"].items(), key=lambda pair: (-pair[1], pair[0]))
    lines.append(
        f"glosses: {len(counted)}; most frequent: " + ", ".join(f"{gloss} {count}" for gloss, count in counted[:12])
    )
    if report.get("glosses_seen_once"):
        lines.append(f"seen only once in training: {len(report['glosses_seen_once'])} glosses")
    if report.get("landmarks_missing"):
        lines.append(
            f"landmarks missing: {report['landmarks_missing']} clips (python -m app extract); "
            "they are in none of the figures but `listed`"
        )
    lines += [f"note: {warning}" for warning in report.get("warnings", ())]
    left_out = report.get("left_out", [])
    if left_out:
        lines.append(f"left out: {len(left_out)}")
        lines += ["  " + ": ".join(str(value) for value in item.values()) for item in left_out[:30]]
        if len(left_out) > 30:
            lines.append(f"  and {len(left_out) - 30} more (--json lists all)")
    return "\n".join(lines)
