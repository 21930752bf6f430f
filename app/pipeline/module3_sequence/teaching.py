"""What is wrong with recordings of a sign that somebody teaches, in words that say what to do, and how well they tell
the signs of a set apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, LEFT_SHOULDER, RIGHT_HAND, RIGHT_SHOULDER, Keypoints, hand_present
from app.pipeline.module3_sequence.taught import TaughtSign, TaughtSigns

#: Seconds with a hand that a sign takes at least, and that a recording may last.
SHORTEST_S, LONGEST_S = 0.3, 10.0
#: Cosines of embeddings. Of dev people's recordings of one sign 5 % resemble none of two others this much, and of their
#: other signs 95 % resemble it less.
ALIKE = 0.55
#: Of three recordings of one sign 2 % have no two that are this alike, of three different signs 93 %.
ONE_SIGN = 0.6
#: Signs whose means are this alike are easily confused; of the pairs of a dev person's signs 2 % are.
CONFUSABLE = 0.75
#: Recordings that are this alike are the same one.
SAME = 0.99995
#: Frames at the ends of a recording in which a hand that is up means that it was cut off.
_EDGE = 2
#: A hand is up that is at most so many shoulder widths below the shoulders.
_UP = 0.8

Code = Literal["no_hands", "too_short", "too_long", "cut_off", "different", "different_signs", "confusable", "same"]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the person should know about a recording."""

    code: Code
    message: str
    """What is wrong, why it matters, what to do."""


class Unusable(ValueError):
    """A recording cannot be learned from; `note` says why."""

    def __init__(self, note: Note) -> None:
        super().__init__(note.message)
        self.note = note


def check_recording(clip: Keypoints) -> list[Note]:
    """What should be better in a recording. Raises Unusable for one that cannot be learned from."""
    if clip.duration_s > LONGEST_S:
        raise Unusable(
            Note(
                "too_long",
                f"The recording lasts {clip.duration_s:.1f} s, more than {LONGEST_S:g} s. Record the sign alone, once.",
            )
        )
    hands = hand_present(clip.points)
    seen = np.flatnonzero(hands.any(axis=1))
    if not len(seen):
        raise Unusable(
            Note(
                "no_hands",
                "No hand was found in the recording. Sit so that the camera sees your shoulders and both hands, with "
                "light from the front, and record it again.",
            )
        )
    frame_s = clip.duration_s / len(clip)
    signed_s = len(seen) * frame_s
    if signed_s < SHORTEST_S:
        raise Unusable(
            Note(
                "too_short",
                f"A hand is in sight for {signed_s:.2f} s only; a sign takes at least {SHORTEST_S:g} s. Record it "
                "again at your usual pace, with the hand in the picture all the time.",
            )
        )
    notes = []
    up = _hands_up(clip.points)
    for name, edge in (("begins", up[:_EDGE]), ("ends", up[-_EDGE:])):
        if edge.all():
            when = "before you raise them" if name == "begins" else "until they are down again"
            notes.append(
                Note(
                    "cut_off",
                    f"The recording {name} with a hand already up, so a part of the sign may be missing. Start with "
                    f"the hands down and record {when}.",
                )
            )
    return notes


def _hands_up(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(T, 75, 3) -> (T,): is a hand there, and near the shoulders or above them?"""
    shoulders = points[:, [LEFT_SHOULDER, RIGHT_SHOULDER], :2]
    width = np.abs(shoulders[:, 0, 0] - shoulders[:, 1, 0])
    lowest = shoulders[..., 1].mean(axis=1) + _UP * width
    wrists = points[:, [LEFT_HAND.start, RIGHT_HAND.start], 1]
    up: NDArray[np.bool_] = (hand_present(points) & (wrists < lowest[:, None])).any(axis=1)
    return up


def check_together(embeddings: NDArray[np.float32]) -> list[Note]:
    """What the recordings (n, D) of one sign say together; the last one is new. Raises Unusable with the code
    "different_signs" where no two of three or more are of one sign."""
    count = len(embeddings)
    if count < 2:
        return []
    alike = embeddings @ embeddings.T
    np.fill_diagonal(alike, -1.0)
    if count > 2 and alike.max() < ONE_SIGN:
        raise Unusable(
            Note(
                "different_signs",
                f"These {count} recordings look like {count} different signs. Record one sign each time, in the same "
                "way; if it really is one sign that you make in different ways, insist.",
            )
        )
    best = float(alike[-1].max())
    if best > SAME:
        return [Note("same", "This is the same recording as one before. Sign it again: only other recordings help.")]
    if best < ALIKE:
        return [
            Note(
                "different",
                "This recording looks different from the others of this sign. Watch it; if it is not the sign, delete "
                "it and record it again.",
            )
        ]
    return []


def confusable(sign: TaughtSign, others: Sequence[TaughtSign]) -> list[Note]:
    """Other signs of the set that look like this one."""
    near = [other.gloss for other in others if float(other.rows[0] @ sign.rows[0]) > CONFUSABLE]
    if not near:
        return []
    return [
        Note(
            "confusable",
            f"This sign looks much like {', '.join(near[:5])} in this set; they may be confused. More recordings of "
            "each tell them apart.",
        )
    ]


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Leave-one-out: each recording read with the set as it would be without it."""

    right: int
    of: int
    confused_with: tuple[str, ...] = ()
    """What the wrong ones were taken for, the most frequent first."""


def read_back(embeddings: Mapping[str, NDArray[np.float32]]) -> dict[str, ReadBack]:
    """Gloss -> recordings (n, D) of every sign of a set -> how they are read; signs of one recording are left out, but
    others may be taken for them."""
    glosses = list(embeddings)
    whole = {gloss: TaughtSign.of(gloss, rows) for gloss, rows in embeddings.items()}
    table = TaughtSigns(tuple(whole.values())) if whole else None
    out = {}
    for place, gloss in enumerate(glosses):
        rows = embeddings[gloss]
        if len(rows) < 2 or table is None:
            continue
        scores = table.cosines(rows)
        for i, row in enumerate(rows):
            rest = TaughtSign.of(gloss, np.delete(rows, i, axis=0))
            scores[i, place] = float((rest.rows @ row).max())
        taken = [glosses[best] for best in scores.argmax(axis=1)]
        wrong = [said for said in taken if said != gloss]
        ranked = sorted(set(wrong), key=lambda said: (-wrong.count(said), said))
        out[gloss] = ReadBack(len(taken) - len(wrong), len(taken), tuple(ranked))
    return out
