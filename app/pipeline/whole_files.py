"""Atomic file writes: written under a temporary name beside the target, then renamed over it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path, writer: str = "") -> Iterator[Path]:
    """A path to write to, renamed to `path` when the block succeeds; otherwise `path` is unchanged and nothing is left.

    The name given has the suffix of `path`. writer: distinguishes concurrent writers. Raises OSError.
    """
    part = path.with_name(".".join(["", path.stem, *([writer] if writer else []), f"part{path.suffix}"]))
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str, writer: str = "") -> None:
    """Replace the content of `path` by `text` as UTF-8. Raises OSError."""
    with whole_file(path, writer) as part:
        part.write_text(text, encoding="utf-8")
