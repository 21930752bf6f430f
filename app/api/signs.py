"""How signs are made: performances of the prototype signer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from app.api.access import needs
from app.api.problems import responses
from app.api.schemas.signs import Sign, SignPerformance, Signs
from app.core import errors
from app.pipeline.keypoints import LEFT_HAND, POSE, RIGHT_HAND, hand_present
from app.signer.performance import FPS
from app.signer.prototypes import PrototypeSigner, load

router = APIRouter(tags=["vocabulary"], dependencies=[needs("captions")])

#: A phrase has at most so many signs.
MOST = 12
_WIDTH, _HEIGHT = 640, 480
_HANDS = (LEFT_HAND, RIGHT_HAND)
_CACHED = "private, max-age=3600"


@router.get("/api/signs", summary="The signs that can be shown")
async def signs() -> Signs:
    """The signs whose making the service can show, whichever recogniser is active. Each is the average of recordings
    of several people and shows none of them."""
    signer = load()
    return Signs(signs=[Sign.of(gloss, about.origin) for gloss, about in signer.prototypes.items()])


@router.get(
    "/api/signs/{glosses}",
    summary="How signs are made",
    responses=responses((errors.UnknownSign, errors.InvalidRequest)),
)
def performance(
    response: Response,
    glosses: Annotated[
        str,
        Path(
            max_length=400,
            description=f"A gloss, or up to {MOST} separated by commas: a phrase.",
            examples=["MOTHER,WANT,WATER"],
        ),
    ],
) -> SignPerformance:
    """A performance from rest to rest, as landmarks."""
    signer = load()
    wanted = _known(signer, glosses)
    clip = signer.phrase(wanted)
    points = clip.points.astype(float).round(4)
    raised = hand_present(clip.points)
    left, right = (points[:, part, :2] * raised[:, side, None, None] for side, part in enumerate(_HANDS))
    response.headers["Cache-Control"] = _CACHED
    return SignPerformance(
        signs=[Sign.of(gloss, signer.about(gloss).origin) for gloss in wanted],
        fps=FPS,
        width=_WIDTH,
        height=_HEIGHT,
        pose=points[:, POSE].tolist(),
        left=left.tolist(),
        right=right.tolist(),
    )


def _known(signer: PrototypeSigner, glosses: str) -> list[str]:
    wanted = [gloss.strip().upper() for gloss in glosses.split(",") if gloss.strip()]
    if not wanted:
        raise errors.UnknownSign("No gloss is named. GET /api/signs lists the signs that can be shown.")
    if len(wanted) > MOST:
        raise errors.UnknownSign(f"{len(wanted)} glosses are named; a phrase has at most {MOST}. Ask for fewer.")
    missing = list(dict.fromkeys(gloss for gloss in wanted if gloss not in signer))
    if missing:
        named = "; ".join(map(signer.with_nearest, missing))
        raise errors.UnknownSign(f"There is no performance of {named}. GET /api/signs lists the signs there are.")
    return wanted
