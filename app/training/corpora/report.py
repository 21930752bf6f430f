"""The report of any corpus before it is trained on, and as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.training.config import TrainConfig
from app.training.corpora.manifest.report import folder_report
from app.training.corpora.opening import corpus_kind, open_source


def corpus_report(folder: Path) -> dict[str, Any]:
    """What is in the corpus: clips, signers, glosses, lengths, and what cannot be used. Raises CorpusError."""
    if corpus_kind(folder) == "manifest":
        return folder_report(folder)
    return open_source(folder, TrainConfig()).report()


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
