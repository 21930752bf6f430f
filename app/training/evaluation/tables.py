"""Evaluation tables as Markdown, the reliability plot as SVG, and a model card's section that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.pipeline.whole_files import write_whole

BEGIN, END = "<!-- evaluation: begin -->", "<!-- evaluation: end -->"
#: Glosses and confusions shown at most in a report for people; JSON has them all.
SHOWN_CONFUSIONS = 30


def cell(figures: Mapping[str, Any]) -> str:
    """WER with its counts, for a table's cell."""
    return (
        f"{figures['wer']:.1%} (S {figures['substitutions']}, D {figures['deletions']}, I {figures['insertions']} "
        f"of {figures['signs']})"
    )


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])


def ways_table(title: str, ways: Mapping[str, Mapping[str, Any]], columns: Sequence[str]) -> str:
    """One row per way of reading, one column per set of clips: {way: {set: figures}}; a set a way lacks shows as -."""
    rows = [(way, *(cell(sets[name]) if sets.get(name) else "-" for name in columns)) for way, sets in ways.items()]
    return markdown_table((title, *columns), rows)


def report_tables(tables: Mapping[str, Any]) -> str:
    """`app.training.evaluation.answers.tables` as Markdown."""
    signers = [(signer or "-", row["clips"], cell(row)) for signer, row in tables["by_signer"].items()]
    glosses = []
    for gloss, row in tables["by_gloss"].items():
        substituted, left_out, put_in = (row[kind] for kind in ("substitutions", "deletions", "insertions"))
        signed = row["signs"]
        glosses.append((gloss, signed, signed - substituted - left_out, substituted, left_out, put_in))
    found = tables["confusions"]
    confusions = [(c["signed"], c["read"], c["times"]) for c in found[:SHOWN_CONFUSIONS]]
    if rest := found[SHOWN_CONFUSIONS:]:
        confusions.append((f"{len(rest)} other pairs", "", sum(c["times"] for c in rest)))
    parts = [
        markdown_table(("signer", "clips", "WER"), signers),
        markdown_table(("gloss", "signed", "right", "substituted", "left out", "put in"), glosses),
        markdown_table(("signed", "read as", "times"), confusions),
        report_calibration(tables["calibration"]),
    ]
    return "\n\n".join(parts)


def report_calibration(calibration: Mapping[str, Any] | None) -> str:
    """The reliability table as Markdown."""
    if calibration is None:
        return "Nothing was read, so there is no confidence to check."
    rows = [
        (f"{row['from']:.0%} to {row['to']:.0%}", row["signs"], f"{row['confidence']:.1%}", f"{row['right']:.1%}")
        for row in calibration["bins"]
    ]
    head = (
        f"Calibration: expected calibration error {calibration['ece']:.3f} over {calibration['signs_read']} signs that "
        f"were read, {calibration['right']:.1%} of them right, mean confidence {calibration['mean_confidence']:.1%}."
    )
    return f"{head}\n\n{markdown_table(('confidence', 'signs', 'mean confidence', 'right'), rows)}"


def reliability_svg(calibration: Mapping[str, Any], title: str) -> str:
    """The reliability plot: per bin a bar as high as the share of right answers, the paler the fewer they are, and a
    dot above the bin's mean confidence. Where dots lie on the dashed line, confidences are true."""
    size, left, top = 320, 56, 40

    def x(value: float) -> float:
        return round(left + value * size, 1)

    def y(value: float) -> float:
        return round(top + (1 - value) * size, 1)

    most = max(row["signs"] for row in calibration["bins"])
    shapes = []
    for row in calibration["bins"]:
        width, height = round(x(row["to"]) - x(row["from"]) - 2, 1), round(y(0) - y(row["right"]), 1)
        opacity = round(0.25 + 0.75 * row["signs"] / most, 2)
        shapes.append(
            f'<rect x="{x(row["from"]) + 1}" y="{y(row["right"])}" width="{width}" height="{height}" fill="#2a6f97" '
            f'fill-opacity="{opacity}">'
            f"<title>{row['signs']} signs, {row['right']:.1%} right, confidence {row['confidence']:.1%}</title></rect>"
        )
        shapes.append(f'<circle cx="{x(row["confidence"])}" cy="{y(row["right"])}" r="3.5" fill="#c1121f"/>')
    ticks = "".join(
        f'<text x="{x(v / 5)}" y="{y(0) + 18}" text-anchor="middle">{v * 20}</text>'
        f'<text x="{left - 8}" y="{y(v / 5) + 4}" text-anchor="end">{v * 20}</text>'
        for v in range(6)
    )
    name = title.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + size + 24} {top + size + 56}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="{left}" y="24" font-size="14">{name}: ECE {calibration["ece"]:.3f}, '
        f"{calibration['signs_read']} signs</text>\n"
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="#888"/>\n'
        f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="#888" stroke-dasharray="4 4"/>\n'
        + "\n".join(shapes)
        + f'\n{ticks}\n<text x="{x(0.5)}" y="{y(0) + 40}" text-anchor="middle">confidence, %</text>\n'
        f'<text x="16" y="{y(0.5)}" text-anchor="middle" transform="rotate(-90 16 {y(0.5)})">right, %</text>\n</svg>\n'
    )


def write_section(card: Path, text: str) -> None:
    """Put `text` between the markers of a model card, in place of what an earlier evaluation wrote; at the end where
    the card has no markers yet. Raises OSError where the card cannot be read or written, ValueError where it has one
    marker without the other."""
    old = card.read_text(encoding="utf-8")
    section = f"{BEGIN}\n{text.strip()}\n{END}"
    before, begin, rest = old.partition(BEGIN)
    _, end, after = (rest if begin else old).partition(END)
    if bool(begin) != bool(end):
        there, missing = (BEGIN, END) if begin else (END, BEGIN)
        raise ValueError(f"{card.name} has {there} but not {missing}; put it back or take both out")
    write_whole(card, before + section + after if begin else f"{old.rstrip()}\n\n{section}\n")
