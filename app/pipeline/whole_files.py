"""Files that are whole or not there: written beside their place, then renamed over it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path, writer: str = "") -> Iterator[Path]:
    """Where to write what becomes `path` when the block ends well; else `path` stays as it was and nothing is left.

    The name given has the suffix of `path`. writer: tells several that may write at once apart. Raises OSError.
    """
    part = path.with_name(".".join(["", path.stem, *([writer] if writer else []), f"part{path.suffix}"]))
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str, writer: str = "") -> None:
    """`text` as UTF-8 in the place of what `path` held. Raises OSError."""
    with whole_file(path, writer) as part:
        part.write_text(text, encoding="utf-8")
