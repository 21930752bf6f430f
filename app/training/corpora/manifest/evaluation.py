"""A recogniser measured on the clips of a manifest, read in several ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import StreamConfig
from app.training.corpora.manifest.cache import PictureConfig
from app.training.corpora.manifest.clips import Clip, load_clips, pictures_of, require_landmarks
from app.training.corpora.manifest.manifest import read_manifest, require_split
from app.training.errors import CorpusError
from app.training.evaluation.decoders import ways_of
from app.training.evaluation.reading import Example
from app.training.evaluation.report import EvaluationReport, report_ways

#: Frames that go through the RGB encoder at once.
_FRAMES = 64


def evaluate(
    recogniser: Recogniser, folder: Path, split: str, title: str, live: StreamConfig | None
) -> EvaluationReport:
    """WER of one split by every way of reading; live: also as a stream in windows of this shape. Raises CorpusError."""
    examples, left_out = manifest_examples(folder, split, recogniser)
    if not examples:
        raise CorpusError(f"no clip of the split {split!r} can be used: {left_out[0]['why']}")
    ways = ways_of(recogniser, {"clips": examples}, live)
    figures = {"corpus": "manifest", "clips": len(examples), "left_out": left_out, **ways}
    head = f"{title}, {len(examples)} clips, {len(left_out)} remarks on others"
    remarks = "".join(f"\n* {one['file'] or 'glosses'}: {one['why']}" for one in left_out)
    text = f"{head}{remarks}\n\n{report_ways(ways)}"
    return EvaluationReport(figures, text, f"{head}\n\n{report_ways(ways, names=False)}", ways["tables"])


def manifest_examples(folder: Path, split: str, recogniser: Recogniser) -> tuple[list[Example], list[dict[str, str]]]:
    """The usable clips of one split of a manifest, with their crops where the recogniser reads pictures, and what was
    left out and why.

    Glosses that the checkpoint does not know stay in the reference: they are its errors. Raises CorpusError.
    """
    manifest = read_manifest(folder)
    pictures = PictureConfig.of(recogniser.backend.rgb)
    clips = load_clips(manifest, require_split(manifest, split), pictures)
    require_landmarks(manifest, clips, pictures)
    examples = [Example(_features(recogniser, c), c.entry.glosses, c.entry.signer) for c in clips.usable]
    known = set(recogniser.vocabulary)
    left_out = [one.to_dict() for one in clips.left_out]
    strange = sorted({g for e in examples for g in e.glosses} - known)
    if strange:
        left_out.append({"file": "", "split": split, "why": f"not in the vocabulary, never read: {', '.join(strange)}"})
    return examples, left_out


def _features(recogniser: Recogniser, clip: Clip) -> NDArray[np.float32]:
    """As `Recogniser.features` makes them of a video."""
    landmarks = normalise(clip.points, clip.aspect)
    if clip.crops is None:
        return landmarks
    frames = np.arange(len(clip))
    seen = [recogniser.encode_images(pictures_of(clip, part)) for part in np.split(frames, frames[_FRAMES::_FRAMES])]
    return np.concatenate([landmarks, np.concatenate(seen)], axis=1)
