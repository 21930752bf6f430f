"""Real clips of single signs against their labels: python scripts/score_clips.py [FOLDER] [--vocabulary NAME] [--json].

FOLDER (default ../shared/samples) holds the clips and samples.csv with the columns file and gloss. Right means that the
whole answer is exactly that one gloss. Clips whose gloss is not in the vocabulary are shown but do not count.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from contextlib import closing
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from app.pipeline.checkpoint import CheckpointError  # noqa: E402
from app.pipeline.module1_preprocessing.landmarks.engine import find_landmarks  # noqa: E402
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine  # noqa: E402
from app.pipeline.module1_preprocessing.video import read_frames  # noqa: E402
from app.pipeline.module3_sequence.vocabularies import UnknownVocabulary  # noqa: E402
from app.pipeline.recogniser import Recogniser  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=REPOSITORY.parent / "shared/samples")
    parser.add_argument("--checkpoint", default="asl-large", help="id under checkpoints/")
    parser.add_argument("--vocabulary", help="name of the vocabulary to read with; default: the recogniser's own")
    parser.add_argument("--amp", action="store_true", help="in bfloat16 where the CPU has AMX, as the service reads")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    table = args.folder / "samples.csv"
    if not table.is_file():
        print(f"no {table}; name the folder that holds the clips and samples.csv", file=sys.stderr)
        return 2
    try:
        recogniser = Recogniser.load(REPOSITORY / "checkpoints" / args.checkpoint, amp=args.amp).reading_with(
            args.vocabulary
        )
    except (CheckpointError, UnknownVocabulary) as problem:
        print(problem, file=sys.stderr)
        return 2
    results = []
    with table.open(newline="", encoding="utf-8") as f, MediaPipeEngine(1) as engine:
        for row in csv.DictReader(f):
            with closing(engine.open()) as track:
                clip = find_landmarks(read_frames(args.folder / row["file"]), track)
            answer = recogniser.recognise(clip)
            result = {
                "file": row["file"],
                "gloss": row["gloss"],
                "counts": row["gloss"] in recogniser.vocabulary,
                "answer": answer.gloss,
                "confidence": round(answer.confidence, 3),
                "right": answer.gloss == [row["gloss"]],
            }
            results.append(result)
            if not args.json:
                mark = ("right" if result["right"] else "WRONG") if result["counts"] else "-----"
                print(
                    f"{mark}  {row['file']:<18} {row['gloss']:<12} {' '.join(answer.gloss)} ({answer.confidence:.0%})"
                )
    counted = [r for r in results if r["counts"]]
    right = sum(r["right"] for r in counted)
    if args.json:
        print(json.dumps({"right": right, "of": len(counted), "clips": results}, indent=1))
    else:
        print(f"{right} of {len(counted)} right ({recogniser.model_id}, {recogniser.reads})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
