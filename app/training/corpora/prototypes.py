"""Makes the prototype signer from the training clips of `signs` and `wlasl`: which gloss comes from which, and which
neighbourhood of clips shows it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, NOSE, POSE, RIGHT_HAND
from app.pipeline.recogniser import Recogniser
from app.signer.making.arms import Elbows, learn_elbows
from app.signer.making.build import AveragedSign, Recording, body_clips, common_body, make_prototypes
from app.signer.making.clips import BodyClip
from app.signer.making.few import candidates
from app.signer.performance import FPS, Performance
from app.signer.prototypes import CORE, Prototype, PrototypeSigner
from app.signer.store import Origin
from app.training.corpora.glosses.bank import load_bank
from app.training.corpora.glosses.performances import single_signs
from app.training.corpora.signs.clips import NONE, load_signs
from app.training.errors import CorpusError

#: Glosses whose prototype is made from `signs` although `wlasl` has them: those with many signers there, whose elbows
#: and head are seen, and three that looked better. The other common ones were recorded there by one or two people.
FROM_SIGNS = (*CORE, "MORE", "MY", "WHAT")
#: Neighbourhoods that are tried until the recogniser reads one as its gloss.
TRIED = 8
#: Of the recordings of `signs` one in so many teaches where elbows are.
_ELBOWS_FROM = 12

Sign = tuple[str, Origin, Performance]


@dataclass(frozen=True, slots=True)
class Choices:
    """Which clips of `signs` are averaged, see `make_prototypes`."""

    candidates: int
    per_signer: int
    keep: float
    at_most: int
    seed: int


def make_all(
    data: Path, only: Collection[str] | None, recogniser: Recogniser | None, how: Choices
) -> tuple[NDArray[np.float64], list[Sign]]:
    """The body of the figure and its signs, from DATA/signs and, with a recogniser, from DATA/wlasl.

    only: these glosses; by default all of `signs` except letters, and the recogniser's vocabulary. Raises CorpusError.
    """
    recordings = signs_recordings(data / "signs")
    body = common_body(recordings)
    wanted = set(only or {*recordings, *(recogniser.vocabulary if recogniser else ())})
    made: dict[str, AveragedSign] = {}
    origin = dict.fromkeys(wanted, "signs")
    if recogniser and (further := wanted - set(FROM_SIGNS)):
        nose_y = float(body[NOSE, 1])
        elbows = learn_elbows(body_clips([r for of in recordings.values() for r in of][::_ELBOWS_FROM], nose_y))
        for gloss, clips in sorted(single_signs(load_bank(data), further, nose_y).items()):
            if found := best_read(gloss, clips, elbows, body, recogniser):
                made[gloss], origin[gloss] = found, "wlasl"
    if missing := sorted(wanted - set(made) - set(recordings)):
        raise CorpusError(f"no training clip of {', '.join(missing)} in {data}, or too few of different signers")
    for sign in make_prototypes(recordings, wanted - set(made), body, **asdict(how)):
        made[sign.gloss] = sign
        log(sign)
    return body, [(g, Origin(s.signers, s.clips, origin[g]), s.performance()) for g, s in sorted(made.items())]


def signs_recordings(folder: Path) -> dict[str, list[Recording]]:
    """Gloss -> its training clips of the corpus `signs`, without letters and NONE. Raises CorpusError."""
    clips = [c for c in load_signs(folder, "train") if c.gloss != NONE and not c.gloss.startswith("FS-")]
    found: dict[str, list[Recording]] = {gloss: [] for gloss in sorted({c.gloss for c in clips})}
    for clip in clips:
        points = clip.points.astype(np.float64)
        hands = points[:, LEFT_HAND, :2], points[:, RIGHT_HAND, :2]
        found[clip.gloss].append(Recording(clip.signer, points[:, POSE], *hands))
    return found


def best_read(
    gloss: str, clips: list[BodyClip], elbows: Elbows, body: NDArray[np.float64], recogniser: Recogniser
) -> AveragedSign | None:
    """The first of the candidates that is read as its gloss, else the first; None where there are too few clips."""
    first: AveragedSign | None = None
    for number, sign in enumerate(islice(candidates(gloss, clips, elbows), TRIED), start=1):
        prototype = Prototype(gloss, Origin(sign.signers, sign.clips, "wlasl"), sign.performance)
        answer = recogniser.recognise(PrototypeSigner(body, {gloss: prototype})[gloss])
        if answer.gloss == [gloss]:
            log(sign, f"read, neighbourhood {number} of {len(clips)} clips")
            return sign
        first = first or sign
    if first:
        log(first, f"NOT READ as {gloss} in {number} neighbourhoods of {len(clips)} clips")
    return first


def log(sign: AveragedSign, note: str = "") -> None:
    logger.info(
        "{:17s} {:2d} clips of {:2d} signers, {:.2f} s, spread {:.2f}, liveliness {:.2f}, hands {} {}",
        *(sign.gloss, sign.clips, sign.signers, len(sign.wrists) / FPS),
        *(sign.spread, sign.liveliness, sign.present.mean(axis=0).round(2), note),
    )
