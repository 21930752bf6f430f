"""What a run leaves behind: `RUN/final/`, which the service can load, with a model card; and reading it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.pipeline.checkpoint import CheckpointConfig, CheckpointError, save_checkpoint
from app.pipeline.module3_sequence.model import SignModel
from app.pipeline.whole_files import write_whole
from app.training.corpora.checkpoints import load_any
from app.training.errors import ConfigError
from app.training.release.model_card import commands_block, model_card
from app.training.run_folder import FINAL, RUN
from app.training.source import Source


def write_final(
    folder: Path, run: dict[str, Any], source: Source, model: SignModel, step: int, figures: dict[str, Any]
) -> None:
    """Write `folder`/final: weights, config and card. figures: of the dev split, empty where none were taken.

    Raises OSError; each file is the old one or the new one.
    """
    config = source.checkpoint_type(
        **{
            "model_id": folder.name,
            "sign_language": "und",  # BCP 47: undetermined
            "vocabulary": source.vocabulary,
            "model": model.config,
            "provenance": {
                "train_commands": run["commands"],
                "train_clips": run["clips"],
                "seed": run["seed"],
                "step": step,
                **({"wer": figures["wer"]} if figures else {}),
            },
            **source.checkpoint,
        }
    )
    save_checkpoint(folder / FINAL, config, model)
    write_whole(folder / FINAL / "MODEL_CARD.md", _card(config, source.report(), step, figures))


def _card(config: CheckpointConfig, report: dict[str, Any], step: int, figures: dict[str, Any]) -> str:
    """Data, split, figures, commands and limits of a run that has not been reviewed."""
    clips = ", ".join(f"{split} {count}" for split, count in report["clips"].items())
    left_out = report.get("left_out", [])
    if figures:
        wer = (
            f"WER {figures['wer']:.1%} (S {figures['substitutions']}, D {figures['deletions']}, "
            f"I {figures['insertions']}), dev split of `{report['corpus']}`, greedy decoding without thresholds or "
            f"language model, glosses compared as they are written, after {step} steps. The dev split also chose these "
            f"weights among the run's, so it flatters them a little."
        )
    else:
        wer = f"None: the dev split was not read in this run, which ended after {step} steps."
    return model_card(
        config.model_id,
        f"Reads {len(config.vocabulary)} glosses. Written by the training run itself; not reviewed.",
        {
            "Data": f"""
Corpus `{report["corpus"]}`, clips: {clips}. Clips left out: {_count(left_out)}; `data_report.json` of the run
says which and why.
""",
            "Figures": wer,
            "How it was made": f"""
{commands_block(config.provenance["train_commands"])}

Seed {config.provenance["seed"]}.
""",
            "Limits": """
No decoder settings were chosen and confidence was not calibrated. The figure applies only to people and recordings like
those of the dev split. The licence of the training recordings decides what these weights may be used
for.
""",
        },
    )


def _count(left_out: list[Any]) -> int:
    """Clips that a report's "left_out" names: one an entry, or as many as the entry says."""
    return sum(int(entry.get("clips", 1)) if isinstance(entry, dict) else 1 for entry in left_out)


def load_run(folder: Path) -> tuple[dict[str, Any], SignModel]:
    """What the run in `folder` was (run.json), and its final model, in eval mode. Raises OSError, CheckpointError."""
    run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    _, model = load_any(folder / FINAL)
    return run, model


def finished_run(folder: Path, vocabulary: tuple[str, ...]) -> tuple[dict[str, Any], SignModel]:
    """What a finished run was, and its model. Raises ConfigError when it is missing or knows other glosses."""
    try:
        run, model = load_run(folder)
    except (OSError, CheckpointError) as error:
        raise ConfigError(f"no finished run in {folder}: {error}") from error
    if tuple(run["vocabulary"]) != vocabulary:
        raise ConfigError(f"the run in {folder} was trained on other glosses than this one")
    return run, model
