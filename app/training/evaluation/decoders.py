"""Clips of cameras read in several ways: greedy and beam, with and without a gloss language model, whole and live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.checkpoint import CheckpointError
from app.pipeline.module1_preprocessing.normalise import normalise
from app.pipeline.module3_sequence.decoders import BeamDecoder, Decoder, GreedyDecoder
from app.pipeline.module3_sequence.ngram import InvalidNgramModel, NgramModel
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import StreamConfig
from app.pipeline.tracks import LANGUAGE_MODEL
from app.training.corpora.manifest.cache import PictureConfig
from app.training.corpora.manifest.clips import Clip, load_clips, pictures_of, require_landmarks
from app.training.corpora.manifest.manifest import read_manifest, require_split
from app.training.corpora.signs.evaluation import Example, lattices
from app.training.evaluation.answers import Answer, Said, errors, tables
from app.training.evaluation.live import read_live

#: Frames that go through the RGB encoder at once.
_FRAMES = 64
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
    settings = recogniser.settings.decoder
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
        decoder.feed(lattice)
        segments = recogniser.segments(decoder.best().tokens, lattice)
        out.append(Answer(example.glosses, tuple(Said(s.gloss, s.confidence) for s in segments), example.signer))
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
    ways: dict[str, dict[str, Any]] = {}
    headline: list[Answer] = []
    for way, decoder in decoders(recogniser, lm).items():
        ways[way] = {}
        for name, examples in sets.items():
            answers = answers_of(recogniser, decoder, examples, read[name])
            ways[way][name] = errors(answers)
            if len(ways) == 1:
                headline += answers
    if live is not None:
        way = f"live, window {live.window}, stride {live.stride}"
        ways[way] = {}
        for name, examples in sets.items():
            said = [tuple(Said(g, 0.0) for g in read_live(recogniser, e, live)) for e in examples]
            ways[way][name] = errors([Answer(e.glosses, s, e.signer) for e, s in zip(examples, said, strict=True)])
    return {"headline": next(iter(ways)), "ways": ways, "tables": tables(headline)}


def manifest_examples(folder: Path, split: str, recogniser: Recogniser) -> tuple[list[Example], list[dict[str, str]]]:
    """The usable clips of one split of a manifest, with their crops where the recogniser reads pictures, and what was
    left out and why.

    Glosses that the checkpoint does not know stay in the reference: they are its errors. Raises CorpusError.
    """
    manifest = read_manifest(folder)
    pictures = PictureConfig.of(recogniser.backend.rgb)
    clips = load_clips(manifest, require_split(manifest, split), pictures)
    require_landmarks(manifest, clips, pictures)
    examples = [Example(_features(recogniser, c), c.entry.glosses, c.entry.signer) for c in clips.usable]
    known = set(recogniser.vocabulary)
    left_out = [one.to_dict() for one in clips.left_out]
    strange = sorted({g for e in examples for g in e.glosses} - known)
    if strange:
        left_out.append({"file": "", "split": split, "why": f"not in the vocabulary, never read: {', '.join(strange)}"})
    return examples, left_out


def _features(recogniser: Recogniser, clip: Clip) -> NDArray[np.float32]:
    """As `Recogniser.features` makes them of a video."""
    landmarks = normalise(clip.points, clip.aspect)
    if clip.crops is None:
        return landmarks
    frames = np.arange(len(clip))
    seen = [recogniser.look(pictures_of(clip, part)) for part in np.split(frames, frames[_FRAMES::_FRAMES])]
    return np.concatenate([landmarks, np.concatenate(seen)], axis=1)
