"""Which trainer a config is for: `kind: glosses` is the large vocabulary's, no kind that of one corpus.

Without PyTorch, so that the service can ask as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml

from app.training.errors import ConfigError

ConfigKind = Literal["corpus", "glosses"]


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a file. Raises ConfigError where they are not a mapping in YAML."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} should be a mapping of settings, got {values!r}")
    return values


def config_kind(path: Path) -> ConfigKind:
    """Raises ConfigError for a file that cannot be read or a kind that does not exist."""
    kind = read_yaml(path).get("kind", "corpus")
    if kind not in ("corpus", "glosses"):
        raise ConfigError(f"{path}: kind should be corpus (or left out) or glosses, got {kind!r}")
    found: ConfigKind = kind
    return found
