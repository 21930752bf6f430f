"""Answers of the vocabulary routes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel


class LabelNames(RootModel[dict[str, str]]):
    """The glosses in lower case, numbered from "0", as clients of the older protocol read them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"0": "again", "1": "drink"}]})


class Label(BaseModel):
    id: int = Field(ge=1, description="Class index of the gloss in the model; 0 is the CTC blank.")
    gloss: str = Field(description="Name of the sign, in capitals.")


class Labels(BaseModel):
    """The glosses of one vocabulary of the active recogniser."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "asl-large", "labels": [{"id": 1, "gloss": "AGAIN"}]}]}
    )

    model: str = Field(description="Id of the active checkpoint.")
    labels: list[Label]


class VocabularyEntry(BaseModel):
    """Glosses that the recogniser can be read with."""

    name: str = Field(description="What requests name.")
    default: bool = Field(description="Whether requests that name none are read with it.")
    size: int = Field(ge=1, description="Number of its glosses.")
    glosses: list[str] = Field(description="Names of the signs, in capitals.")
    dev: dict[str, Any] | None = Field(
        None, description="What was measured on dev signers of the corpora, by name; null: nothing. See the model card."
    )


class Vocabularies(BaseModel):
    """What the active recogniser can be read with."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "asl-large",
                    "default": "all",
                    "vocabularies": [
                        {"name": "all", "default": True, "size": 2, "glosses": ["AGAIN", "DRINK"], "dev": None}
                    ],
                }
            ]
        }
    )

    model: str = Field(description="Id of the active checkpoint.")
    default: str = Field(description="Name of the vocabulary of requests that name none.")
    vocabularies: list[VocabularyEntry]
