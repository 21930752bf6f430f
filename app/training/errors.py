"""What is wrong with a run's settings or data. Imports nothing, so that extraction need not load PyTorch."""

from __future__ import annotations


class ConfigError(ValueError):
    """A setting is unknown or of the wrong kind; the message names it and says what would be right."""


class CorpusError(RuntimeError):
    """The corpus folder is missing or not what it should be; the message says what to do."""
