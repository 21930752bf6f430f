"""Examples read in several ways: greedy and beam, with and without a gloss language model, whole and live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.checkpoint import CheckpointError
from app.pipeline.module3_sequence.ngram import InvalidNgramModel, NgramModel
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import StreamConfig
from app.training.evaluation.answers import Answer, errors, tables
from app.training.evaluation.live import read_live
from app.training.evaluation.reading import Example, lattices

#: Weight of a language model, and bonus a gloss, where the checkpoint has chosen none.
LM_WEIGHT, LM_BONUS = 0.5, 0.5
#: Weight where signs are decided by their whole stretch; chosen on dev for `checkpoints/asl-large`.
STRETCH_LM_WEIGHT = 0.2


def language_model(path: Path, vocabulary: Sequence[str]) -> NgramModel:
    """The gloss language model of a file; vocabulary: all glosses of the checkpoint. Raises CheckpointError where it is
    not one of these."""
    try:
        return NgramModel.load(path, vocabulary)
    except (OSError, InvalidNgramModel) as error:
        raise CheckpointError(f"cannot use the gloss language model {path.name}: {error}") from error


def decoders(recogniser: Recogniser) -> dict[str, Recogniser]:
    """Ways of reading by name, the checkpoint's own first: beam (at least 2 here, so that it differs from greedy) and
    greedy without a language model, and with the recogniser's own, where it has one."""
    settings = recogniser.config.decoder
    beam = max(settings.beam, 2)
    found = {f"beam {beam}": recogniser.with_decoder(beam=beam, lm_weight=0.0)}
    greedy = {"greedy": recogniser.with_decoder(beam=1, lm_weight=0.0)}
    found = greedy | found if settings.beam < 2 else found | greedy
    if recogniser.lm is None:
        return found
    if settings.stretch:  # the model has its say after the search, whichever that was
        weight, search = settings.lm_weight or STRETCH_LM_WEIGHT, next(iter(found))
        with_lm = {f"{search} + LM (weight {weight:g})": recogniser.with_decoder(lm_weight=weight)}
    else:
        weight, bonus = settings.lm_weight or LM_WEIGHT, settings.length_bonus if settings.lm_weight else LM_BONUS
        name = f"beam {beam} + LM (weight {weight:g}, bonus {bonus:g})"
        with_lm = {name: recogniser.with_decoder(beam=beam, lm_weight=weight, length_bonus=bonus)}
    return with_lm | found if settings.lm_weight else found | with_lm


def answers_of(
    recogniser: Recogniser, examples: Sequence[Example], tables_: Sequence[NDArray[np.float32]]
) -> list[Answer]:
    """What the recogniser reads from the examples' lattices."""
    return [
        Answer(example.glosses, recogniser.read(lattice, recogniser.new_decoder()), example.signer)
        for example, lattice in zip(examples, tables_, strict=True)
    ]


def ways_of(
    recogniser: Recogniser, sets: Mapping[str, Sequence[Example]], live: StreamConfig | None = None
) -> dict[str, Any]:
    """{"headline": first way, "ways": {way: {set: errors}}, "tables": of the headline over all sets together}.

    live: also as a stream in windows of this shape, with the checkpoint's own settings.
    """
    sets = {name: examples for name, examples in sets.items() if examples}
    read = {name: lattices(recogniser, examples) for name, examples in sets.items()}
    answers = {
        way: {name: answers_of(reader, examples, read[name]) for name, examples in sets.items()}
        for way, reader in decoders(recogniser).items()
    }
    headline = next(iter(answers))
    if live is not None:
        answers[f"live, window {live.window}, stride {live.stride}"] = {
            name: [Answer(e.glosses, read_live(recogniser, e, live), e.signer) for e in examples]
            for name, examples in sets.items()
        }
    ways = {way: {name: errors(of_set) for name, of_set in of.items()} for way, of in answers.items()}
    return {"headline": headline, "ways": ways, "tables": tables([*chain(*answers[headline].values())])}
