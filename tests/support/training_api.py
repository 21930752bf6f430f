"""What tests of training over HTTP share: a tiny corpus and config, and an application that may train."""

from __future__ import annotations

from pathlib import Path

from tests.support.signs_corpus import write_corpus

CONFIG = """
name: tiny
description: Small enough for tests.
without: ["FS-*"]
dev_phrases: 2
model: {body_dim: 8, hand_dim: 8, model_dim: 16, dropout: 0.0}
optim: {steps: 6, batch_size: 4, save_every: 3, eval_every: 6, log_every: 1}
"""


def write_inputs(folder: Path) -> dict[str, str]:
    """A dataset 'tiny', a config 'tiny', a place for runs; the settings that name them."""
    (folder / "datasets" / "tiny").mkdir(parents=True)
    (folder / "configs").mkdir()
    (folder / "runs").mkdir()
    write_corpus(folder / "datasets" / "tiny")
    (folder / "configs" / "tiny.yaml").write_text(CONFIG)
    return {f"{name.upper()}_DIR": str(folder / name) for name in ("datasets", "configs", "runs")}
