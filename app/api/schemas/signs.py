"""Answers of the routes about how signs are made."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.signer.store import Origin

_ABOUT: dict[str, Any] = {"gloss": "MOTHER", "signers": 4, "clips": 6, "corpus": "wlasl", "how": "average"}
_BODY: list[Any] = [[0.5, 0.5, 1.0]] * 33
_HAND: list[Any] = [[0.6, 0.6]] * 21


class Sign(BaseModel):
    """A sign that the prototype signer can show, and what it was made from."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ABOUT]})

    gloss: str = Field(description="Name of the sign, in capitals.")
    signers: int = Field(ge=1, description="Number of people whose recordings were averaged.")
    clips: int = Field(ge=1, description="Number of recordings that were averaged.")
    corpus: str = Field(description="Corpus of the recordings.")
    how: Literal["average"] = Field(description="How it was made: the average of recordings.")

    @classmethod
    def of(cls, gloss: str, origin: Origin) -> Sign:
        return cls(gloss=gloss, signers=origin.signers, clips=origin.clips, corpus=origin.corpus, how="average")


class Signs(BaseModel):
    """The signs that the prototype signer can show."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"signs": [_ABOUT]}]})

    signs: list[Sign] = Field(description="In alphabetical order.")


class SignPerformance(BaseModel):
    """How one or several signs are made, as landmarks that POST /api/inference/landmarks reads."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "signs": [_ABOUT],
                    "fps": 25,
                    "width": 640,
                    "height": 480,
                    "pose": [_BODY],
                    "left": [_HAND],
                    "right": [_HAND],
                }
            ]
        }
    )

    signs: list[Sign] = Field(description="The signs in order.")
    fps: float = Field(gt=0, description="Frames per second.")
    width: int = Field(ge=1, description="Width of the picture that x is a share of.")
    height: int = Field(ge=1, description="Height of the picture that y is a share of.")
    pose: list[list[list[float]]] = Field(description="(frames, 33, 3): x, y, visibility.")
    left: list[list[list[float]]] = Field(description="(frames, 21, 2): x, y; zeros for a lowered hand.")
    right: list[list[list[float]]] = Field(description="(frames, 21, 2): x, y; zeros for a lowered hand.")
