"""Load the recogniser as the service would and run it once: python scripts/warmup_model.py [--backend onnx] ...

Checks settings, device and backend before there is traffic, and measures loading and the first call. Options that are
not given come from the settings.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.core.settings import SettingsError, load_settings
from app.pipeline.checkpoint import CheckpointError
from app.services.recognition.checkpoint_store import check_checkpoint
from app.services.recognition.loading import load_recogniser
from app.signer import prototypes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="id of the recogniser")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--backend", dest="inference_backend", help="torch or onnx")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    clip = prototypes.load().phrase(["HELLO", "NAME"])
    marks = [time.perf_counter()]
    try:
        settings = load_settings(**given)
        check_checkpoint(settings)
        recogniser = load_recogniser(settings, threads=1).reading_with()
        marks.append(time.perf_counter())
        recogniser.warm_up()
        marks.append(time.perf_counter())
        answer = recogniser.recognise(clip)
        marks.append(time.perf_counter())
    except (SettingsError, CheckpointError) as problem:
        print(problem, file=sys.stderr)
        return 2
    load, warm_up, clip_s = (b - a for a, b in itertools.pairwise(marks))
    print(f"{recogniser.model_id} ({recogniser.reads}) on {recogniser.device}, backend {settings.inference_backend}")
    print(f"loaded in {load:.2f} s, first call {warm_up * 1e3:.0f} ms")
    print(f"a clip of {clip.duration_s:.1f} s in {clip_s * 1e3:.0f} ms: {' '.join(answer.gloss) or '(nothing)'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
