"""Recordings of single signs in `signs` and `wlasl` as the service would get them, letters included, and prototypes of
a checkpoint's glosses made of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, LEFT_WRIST, RIGHT_HAND, RIGHT_WRIST, Keypoints, joined_blocks
from app.pipeline.module3_sequence.prototypes import Prototypes, balanced
from app.pipeline.module3_sequence.taught import unit
from app.pipeline.recogniser import Recogniser, WindowOutput, hand_near
from app.training.corpora.glosses.bank import WLASL_FPS, chosen_recordings, open_clips
from app.training.corpora.signs.clips import NONE, load_signs, signs_of
from app.training.errors import CorpusError

#: Recordings of a gloss by one signer that its prototype is made of.
PER_SIGNER = 6
#: The corpus `signs` does not say at which rate it was recorded; its clips are read as if at this one.
SIGNS_FPS = 50 / 3
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of one sign."""

    gloss: str
    """Letters are FS-A, FS-B, ..."""
    signer: str
    corpus: str
    """"signs" or "wlasl"."""
    clip: Keypoints


def recordings(data: Path, split: str) -> Iterator[Recording]:
    """All of a split ("train" or "dev") of DATA/signs and DATA/wlasl that show one sign. Raises CorpusError."""
    for clip in load_signs(data / "signs", split):
        if clip.gloss != NONE and len(signs_of(clip.gloss)) == 1:
            yield Recording(clip.gloss, clip.signer, "signs", clip.keypoints(SIGNS_FPS))
    archive, rows = open_clips(data / "wlasl", split)
    chosen = chosen_recordings(rows)
    for i, row in enumerate(rows):
        letter = row["gloss"] if len(row["gloss"]) == 1 and row["gloss"].isalpha() else None
        gloss = f"FS-{letter.upper()}" if letter else chosen.get(i)
        if gloss is None:
            continue
        where = slice(archive["offsets"][i], archive["offsets"][i + 1])
        left, right = archive["left"][where], archive["right"][where]
        points = joined_blocks(np.repeat(archive["body"][i][None], len(left), axis=0), left, right)
        # Wrists of the pose are not known, but where the hand is they are the hand's.
        for hand, wrist in ((LEFT_HAND, LEFT_WRIST), (RIGHT_HAND, RIGHT_WRIST)):
            seen = points[:, hand.start, 2] > 0
            points[seen, wrist, :2] = points[seen, hand.start, :2]
        yield Recording(gloss, row["signer"], "wlasl", Keypoints.at_rate(points, WLASL_FPS, float(row["aspect"])))


def read_recordings(recogniser: Recogniser, features: Sequence[NDArray[np.float32]]) -> list[WindowOutput]:
    """What the network of all glosses says of the features of each recording."""
    out: dict[int, WindowOutput] = {}
    order = sorted(range(len(features)), key=lambda i: len(features[i]))
    for at in range(0, len(order), _BATCH):
        part = order[at : at + _BATCH]
        out |= dict(zip(part, recogniser.whole.log_probs([features[i] for i in part]), strict=True))
    return [out[i] for i in range(len(features))]


def prototypes(recogniser: Recogniser, taken: Iterable[Recording]) -> Prototypes:
    """Of all glosses of a recogniser. Raises CorpusError for glosses without a recording."""
    labels, count = set(recogniser.whole.vocabulary), Counter[tuple[str, str]]()
    kept: list[tuple[str, str]] = []
    frames: list[NDArray[np.float32]] = []
    longest = recogniser.whole.config.decoder.window
    for recording in taken:
        count[recording.gloss, recording.signer] += 1
        if recording.gloss in labels and count[recording.gloss, recording.signer] <= PER_SIGNER:
            kept.append((recording.gloss, recording.signer))
            frames.append(recogniser.features(recording.clip)[:longest])
    found: dict[str, list[tuple[str, NDArray[np.float32]]]] = defaultdict(list)
    for (gloss, signer), features, output in zip(kept, frames, read_recordings(recogniser, frames), strict=True):
        if (seen := hand_near(features)).any():
            assert output.short is not None
            found[gloss].append((signer, output.short[seen]))
    if missing := sorted(labels - found.keys()):
        raise CorpusError(
            f"{len(missing)} glosses of {recogniser.model_id} have no training recording, such as "
            f"{', '.join(missing[:5])}; pass the folder with the corpora that it was trained on"
        )
    centre = np.mean(
        [balanced((signer, steps.mean(axis=0)) for signer, steps in rows) for rows in found.values()], axis=0
    )
    rows = [
        unit(balanced((signer, unit(unit(steps - centre).mean(axis=0))) for signer, steps in found[gloss]))
        for gloss in recogniser.whole.vocabulary
    ]
    return Prototypes(np.stack(rows), centre.astype(np.float32))
