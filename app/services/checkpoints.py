"""Which checkpoints lie on this machine, by id."""

from __future__ import annotations

from pathlib import Path

from app.core.settings import CHECKPOINT_ID, Settings, SettingsError


def checkpoint_ids(folder: Path) -> list[str]:
    """Ids of the folders that hold weights and a config, sorted; [] where the folder is missing."""
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if CHECKPOINT_ID.fullmatch(entry.name)
        and (entry / "model.safetensors").is_file()
        and (entry / "config.json").is_file()
    )


def check_checkpoint(settings: Settings) -> None:
    """Raise SettingsError, naming what there is, when the wished checkpoint is not there."""
    ids = checkpoint_ids(settings.checkpoint_dir)
    if settings.checkpoint in ids:
        return
    there = f"there are: {', '.join(ids)}" if ids else "there is none in it"
    raise SettingsError(
        f"CHECKPOINT={settings.checkpoint}: no such checkpoint in {settings.checkpoint_dir} ({there}). "
        "Set CHECKPOINT to one of these, or CHECKPOINT_DIR to the folder that holds yours; a checkpoint is a folder "
        "with model.safetensors and config.json. Where files of this repository are missing, "
        "`git checkout -- checkpoints` brings them back."
    )
