"""A checkpoint as TorchScript or as a program of torch.export, compared with the network itself:

    python scripts/export_torchscript.py [CHECKPOINT] [--format torchscript|torch-export] [--data DATA]

CHECKPOINT is a folder (default checkpoints/asl-large); the export goes into a folder in it, named after the format.
Ends with 1 when a probability differs by more than 1e-4.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.pipeline.backends.export import export_checkpoint, open_torch_export
from app.pipeline.checkpoint import CheckpointError
from app.training.errors import CorpusError
from scripts.export_report import parser, report


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--format", choices=["torchscript", "torch-export"], default="torchscript")
    args = made.parse_args()
    try:
        folder = export_checkpoint(args.checkpoint, args.format, args.out)
        print(f"written: {folder}")
        exported = open_torch_export(folder, args.format)
        return report(args.checkpoint, exported, folder, args.format, args.data, args.clips)
    except (CheckpointError, CorpusError) as problem:
        print(problem, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
