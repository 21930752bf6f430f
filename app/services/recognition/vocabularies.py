"""The vocabulary that a client asks for, at whichever door: by name, or as a list of glosses."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from pydantic import Field

from app.pipeline.module3_sequence.taught import TaughtSigns
from app.pipeline.recogniser import Recogniser
from app.services.recognition.errors import pipeline_errors_as_service_errors

#: What a client asks for; None: the default, "everyday" where the recogniser has it, else all glosses.
Vocabulary = str | Annotated[list[str], Field(fail_fast=True)] | None


@dataclass(frozen=True, slots=True)
class WithTaught:
    """Signs that people taught, alone or beside a vocabulary."""

    vocabulary: Vocabulary
    """None: the taught signs alone."""
    taught: TaughtSigns


#: What a recogniser reads with, once the sign sets that a client names have been found.
Wanted = Vocabulary | WithTaught

#: Looking for what resembles unknown glosses takes up to a tenth of a second: not on the event loop, and one at a time.
_thread = ThreadPoolExecutor(1, thread_name_prefix="vocabulary")


async def reading_with(recogniser: Recogniser, wanted: Wanted) -> Recogniser:
    """The recogniser with this vocabulary and these taught signs. Raises UnknownVocabulary, which names what comes
    nearest."""
    with pipeline_errors_as_service_errors():
        if isinstance(wanted, WithTaught):
            vocabulary, taught = wanted.vocabulary, wanted.taught
            work = partial(recogniser.taught_with, taught, vocabulary)
            return await asyncio.get_running_loop().run_in_executor(_thread, work)
        if wanted is None or isinstance(wanted, str):
            return recogniser.reading_with(wanted)
        return await asyncio.get_running_loop().run_in_executor(_thread, recogniser.reading_with, wanted)


def from_text(text: str) -> str | list[str]:
    """What a query, a form or a command line asks for: several glosses separated by commas, one gloss in capitals, or
    the name of a vocabulary."""
    glosses = [gloss.strip() for gloss in text.split(",")]
    if len(glosses) == 1 and not text.isupper():
        return text.strip()
    return [gloss for gloss in glosses if gloss]
