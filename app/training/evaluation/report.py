"""The report of an evaluation: figures for machines, Markdown for people, a section for the model card, its files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.training.evaluation.tables import reliability_svg, report_tables, ways_table


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """How well a checkpoint reads a corpus."""

    figures: dict[str, Any]
    """For JSON."""
    text: str
    """The same as Markdown."""
    card: str = ""
    """The same for a model card, which is published and names no signer."""
    tables: dict[str, Any] | None = None
    """Of the headline way of reading, with calibration; None for a mere comparison."""

    def write(self, folder: Path, title: str) -> None:
        """Write evaluation.json, evaluation.md and reliability.svg into `folder`, made if missing. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "evaluation.json").write_text(json.dumps(self.figures, indent=1) + "\n", encoding="utf-8")
        (folder / "evaluation.md").write_text(self.text + "\n", encoding="utf-8")
        if self.tables and self.tables["calibration"]:
            svg = reliability_svg(self.tables["calibration"], title)
            (folder / "reliability.svg").write_text(svg, encoding="utf-8")


def report_ways(ways: dict[str, Any], names: bool = True) -> str:
    """`ways_of` as Markdown; without `names` signers are numbered."""
    sets = list(ways["ways"][ways["headline"]])
    table = ways_table("WER", ways["ways"], sets)
    tables = ways["tables"]
    if not names:
        numbered = {f"signer {i}": row for i, row in enumerate(tables["by_signer"].values(), 1)}
        tables = {**tables, "by_signer": numbered}
    return f"{table}\n\nWhat follows is of: {ways['headline']}, all sets together.\n\n{report_tables(tables)}"
