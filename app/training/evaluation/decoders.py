"""Examples read in several ways: greedy and beam, with and without a gloss language model, whole and live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.checkpoint import CheckpointError
from app.pipeline.module3_sequence.decoders import BeamDecoder, Decoder, GreedyDecoder
from app.pipeline.module3_sequence.ngram import LANGUAGE_MODEL, InvalidNgramModel, NgramModel
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import StreamConfig
from app.training.evaluation.answers import Answer, errors, tables
from app.training.evaluation.live import read_live
from app.training.evaluation.reading import Example, lattices

#: Weight of a language model, and bonus a gloss, where the checkpoint has chosen none.
LM_WEIGHT, LM_BONUS = 0.5, 0.5


def language_model(folder: Path, vocabulary: Sequence[str], given: Path | None) -> NgramModel | None:
    """The gloss language model to try: the file given, or the one beside the checkpoint, None where neither is.

    Raises CheckpointError where it is not one of this vocabulary.
    """
    path = given or folder / LANGUAGE_MODEL
    if given is None and not path.is_file():
        return None
    try:
        return NgramModel.load(path, vocabulary)
    except (OSError, InvalidNgramModel) as error:
        raise CheckpointError(f"cannot use the gloss language model {path.name}: {error}") from error


def decoders(recogniser: Recogniser, lm: NgramModel | None) -> dict[str, Decoder]:
    """By name, the checkpoint's own first (its beam is at least 2 here, so that greedy and beam differ)."""
    settings = recogniser.config.decoder
    beam = max(settings.beam, 2)
    found: dict[str, Decoder] = {f"beam {beam}": BeamDecoder(beam), "greedy": GreedyDecoder()}
    if settings.beam < 2:
        found = dict(reversed(found.items()))
    if lm is not None:
        weight, bonus = settings.lm_weight or LM_WEIGHT, settings.length_bonus if settings.lm_weight else LM_BONUS
        name = f"beam {beam} + LM (weight {weight:g}, bonus {bonus:g})"
        found[name] = BeamDecoder(beam, lm, weight, bonus)
    return found


def answers_of(
    recogniser: Recogniser, decoder: Decoder, examples: Sequence[Example], tables_: Sequence[NDArray[np.float32]]
) -> list[Answer]:
    """What `decoder` reads from the examples' lattices, with the checkpoint's thresholds."""
    out = []
    for example, lattice in zip(examples, tables_, strict=True):
        decoder.reset()
        out.append(Answer(example.glosses, recogniser.read(lattice, decoder), example.signer))
    return out


def ways_of(
    recogniser: Recogniser,
    sets: Mapping[str, Sequence[Example]],
    lm: NgramModel | None = None,
    live: StreamConfig | None = None,
) -> dict[str, Any]:
    """{"headline": first way, "ways": {way: {set: errors}}, "tables": of the headline over all sets together}.

    live: also as a stream in windows of this shape, with the checkpoint's own decoder.
    """
    sets = {name: examples for name, examples in sets.items() if examples}
    read = {name: lattices(recogniser, examples) for name, examples in sets.items()}
    answers = {
        way: {name: answers_of(recogniser, decoder, examples, read[name]) for name, examples in sets.items()}
        for way, decoder in decoders(recogniser, lm).items()
    }
    headline = next(iter(answers))
    if live is not None:
        answers[f"live, window {live.window}, stride {live.stride}"] = {
            name: [Answer(e.glosses, read_live(recogniser, e, live), e.signer) for e in examples]
            for name, examples in sets.items()
        }
    ways = {way: {name: errors(of_set) for name, of_set in of.items()} for way, of in answers.items()}
    return {"headline": headline, "ways": ways, "tables": tables([*chain(*answers[headline].values())])}
