"""A checkpoint as ONNX, compared with the network itself: python scripts/export_onnx.py [CHECKPOINT] [--data DATA].

CHECKPOINT is a folder (default checkpoints/asl-large); the export goes into its folder onnx/, where
INFERENCE_BACKEND=onnx looks for it. Ends with 1 when a probability differs by more than 1e-4.
Needs requirements-onnx.txt.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.pipeline.backends.export import export_checkpoint
from app.pipeline.backends.onnx_runtime import open_export
from app.pipeline.checkpoint import CheckpointError
from app.training.errors import CorpusError
from scripts.export_report import parser, report


def main() -> int:
    args = parser(__doc__).parse_args()
    try:
        folder = export_checkpoint(args.checkpoint, "onnx", args.out)
        print(f"written: {folder}")
        return report(
            args.checkpoint, open_export(args.checkpoint, folder=folder), folder, "onnx", args.data, args.clips
        )
    except (CheckpointError, CorpusError) as problem:
        print(problem, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
