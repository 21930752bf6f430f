"""What is wrong with a run's settings or data. Imports nothing, so that extraction does not load PyTorch."""

from __future__ import annotations


class ConfigError(ValueError):
    """A setting is unknown or of the wrong kind; the message names it and says what is accepted."""


class CorpusError(RuntimeError):
    """The corpus folder is missing or invalid; the message says what to do."""


class TrainingFailed(RuntimeError):
    """The run cannot continue; the message says why and what to change."""
