"""The prototype signer: an averaged performance of every gloss that shows no real person, as landmarks and as video."""

from __future__ import annotations

from pathlib import Path

#: Folder of the bundled sample videos.
SAMPLES = Path(__file__).parent / "samples"
