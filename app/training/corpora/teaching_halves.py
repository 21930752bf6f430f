"""The settings of taught signs chosen on one half of the dev people and reported on the other, both ways: what they
give people on whom nothing was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from loguru import logger

from app.pipeline.module3_sequence.taught import TaughtConfig
from app.pipeline.recogniser import Recogniser
from app.training.corpora.teaching import People, Tally, alone, divided, figures_of, never_taught, tallied

#: Where the search starts: nothing in it was chosen on anybody.
START = TaughtConfig(scale=10.0, other=0.2, margin=0.0, reach=0, temperature=1.0)
#: The values that are tried, one setting after the other, in this order.
TRIED: Mapping[str, Sequence[float]] = {
    "reach": (0, 1, 3, 5),
    "other": (0.2, 0.3, 0.4, 0.5),
    "scale": (7.0, 10.0, 14.0, 20.0),
    "margin": (0.0, 0.03, 0.06, 0.1),
    "temperature": (0.8, 1.0, 1.2, 1.6),
}
PASSES = 5


@dataclass(frozen=True, slots=True)
class Half:
    """One of two ways."""

    chosen: TaughtConfig
    """On the people of the other half."""
    people: People
    """On whom it is reported."""


def halves(everybody: People) -> tuple[People, People]:
    """Signers dealt out by how many recordings they have, so that both halves have some with many."""

    def recordings(signer: str) -> int:
        return sum(len(heard) for heard in everybody[signer].values())

    ranked = sorted(everybody, key=lambda signer: (-recordings(signer), signer))
    first = {signer for place, signer in enumerate(ranked) if place % 4 in (0, 3)}

    def part(inside: bool) -> People:
        return {signer: signs for signer, signs in everybody.items() if (signer in first) is inside}

    return part(True), part(False)


def with_settings(recogniser: Recogniser, settings: TaughtConfig) -> Recogniser:
    """The same recogniser with other settings of taught signs."""
    whole = recogniser.whole
    return Recogniser(
        replace(whole.config, taught=settings),
        whole.model,
        whole.device,
        backend=whole.backend,
        vocabularies=whole.vocabularies,
        lm=whole.lm,
        prototypes=whole.prototypes,
    )


def goal(recogniser: Recogniser, half: People, vocabulary: str, count: int) -> float:
    """What is to be large: the mean of what is right of an own set alone, of signs taught beside half of a vocabulary
    and of the known ones beside them, and of the signs never taught that are not surely read as another."""
    parts = [_share(alone(recogniser, half, count, 0))]
    if recogniser.prototypes is not None:
        both = divided(recogniser, half, vocabulary, count, 0, before=False)
        parts += [_share(both["taught"]), _share(both["known after"])]
    said = never_taught(recogniser, half, count, 0)
    parts.append(1 - float(np.mean([what == "sure" for what in said])) if said else 1.0)
    return float(np.mean(parts))


def chosen_on(recogniser: Recogniser, half: People, vocabulary: str, count: int) -> TaughtConfig:
    """The best of `TRIED`, one setting after the other and round again until none changes, on these people."""
    reached: dict[TaughtConfig, float] = {}

    def of(settings: TaughtConfig) -> float:
        if settings not in reached:
            reached[settings] = goal(with_settings(recogniser, settings), half, vocabulary, count)
            logger.info("{:.4f} with {}", reached[settings], settings)
        return reached[settings]

    best = START
    for _ in range(PASSES):
        before = best
        for name, values in TRIED.items():
            best = max((replace(best, **{name: value}) for value in values), key=of)  # type: ignore[arg-type]
        if best == before:
            break
    return best


def evaluate_halves(
    recogniser: Recogniser, everybody: People, vocabulary: str, count: int, seeds: int
) -> dict[str, dict[str, Any]]:
    """As `evaluate`, each person read with the settings that the other half chose; what was chosen stands in front."""
    first, second = halves(everybody)
    ways = [
        Half(chosen_on(recogniser, chooses, vocabulary, count), reads)
        for chooses, reads in ((first, second), (second, first))
    ]
    tallies: dict[str, Tally] = {}
    never: list[str] = []
    for way in ways:
        own = with_settings(recogniser, way.chosen)
        more, said = tallied(own, way.people, vocabulary, count, seeds)
        for name, tally in more.items():
            tallies.setdefault(name, Tally()).join(tally)
        never += said
    return {
        f"chosen on half {'AB'[i]}, {len(way.people)} people of the other": asdict(way.chosen)
        for i, way in enumerate(ways)
    } | figures_of(tallies, never)


def _share(tally: Tally) -> float:
    return float(np.mean([right for person in tally.right.values() for right in person]))
