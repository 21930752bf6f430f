"""Answers of the vocabulary routes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, RootModel


class LabelNames(RootModel[dict[str, str]]):
    """The glosses in lower case, numbered from "0", as clients of the older protocol read them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"0": "again", "1": "drink"}]})


class Label(BaseModel):
    id: int = Field(ge=1, description="Class index of the gloss in the model; 0 is the CTC blank.")
    gloss: str = Field(description="Name of the sign, in capitals.")


class Labels(BaseModel):
    """The vocabulary of the active recogniser."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "asl-everyday", "labels": [{"id": 1, "gloss": "AGAIN"}]}]}
    )

    model: str = Field(description="Id of the active checkpoint.")
    labels: list[Label]
