"""Model cards: one shape for all, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def model_card(name: str, summary: str, sections: Mapping[str, str]) -> str:
    """MODEL_CARD.md of the checkpoint `name`: what it is, then its sections by heading, in order."""
    parts = [f"# {name}", summary.strip(), *(f"## {heading}\n\n{text.strip()}" for heading, text in sections.items())]
    return "\n\n".join(parts) + "\n"


def commands_block(commands: Sequence[str]) -> str:
    """The commands that made a checkpoint, one a line, as a block of code."""
    return "\n".join(["```", *commands, "```"])
