"""The settings of taught signs chosen on one half of the dev people and on letters of training signers, and reported on
the other half, both ways: what they give people on whom nothing was chosen.

The network was trained on known glosses of the training signers, never on their letters: those are as new to it as
signs of anybody, and are taught by people who are not among those read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from loguru import logger

from app.pipeline.module3_sequence.taught import TaughtConfig
from app.pipeline.recogniser import Recogniser
from app.training.corpora.teaching import People, Tally, alone, divided, figures_of, never_taught, tallied, together

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
#: A choice reads at most so many recordings of a gloss beside those that are taught.
READ = 8
#: Known signs may lose this share beside taught ones; half of the two points that are allowed, since the people of a
#: half are few. What they lose beyond it counts `DEAR` times.
LOSS, DEAR = 0.01, 2.0


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


def thinned(everybody: People, most: int) -> People:
    """The first recordings of each gloss, at most so many."""
    return {signer: {gloss: heard[:most] for gloss, heard in person.items()} for signer, person in everybody.items()}


class Choice:
    """What settings are chosen on."""

    def __init__(self, people: People, letters: People, vocabulary: str, count: int, seeds: int) -> None:
        """letters: of training signers, who teach them beside the vocabulary from one recording each, since from three
        they are read nearly as well with any settings; count: recordings of a sign that the other people teach; seeds:
        choices of recordings that are averaged."""
        self.people, self.letters = thinned(people, count + READ), thinned(letters, 1 + READ)
        self.vocabulary, self.count, self.seeds = vocabulary, count, seeds
        self._before: float | None = None

    def goal(self, recogniser: Recogniser) -> float:
        """What is to be large: the mean of what is right of an own set alone, of signs taught beside half of a
        vocabulary, of the known ones beside them and of letters beside the whole of it, and of the signs never taught
        that are not surely read as another; less what known signs lose."""
        tallies = {name: Tally() for name in ("own", "taught", "known after", "letters")}
        said: list[str] = []
        beside = recogniser.prototypes is not None
        for seed in range(self.seeds):
            tallies["own"].join(alone(recogniser, self.people, self.count, seed))
            if beside:
                both = divided(recogniser, self.people, self.vocabulary, self.count, seed, before=False)
                tallies["taught"].join(both["taught"])
                tallies["known after"].join(both["known after"])
                tallies["letters"].join(together(recogniser, self.letters, self.vocabulary, 1, seed)["taught"])
            said += never_taught(recogniser, self.people, self.count, seed)
        parts = {name: _share(tally) for name, tally in tallies.items() if tally.right}
        parts["not sure and wrong"] = 1 - float(np.mean([what == "sure" for what in said])) if said else 1.0
        loss = self._known_before(recogniser) - parts["known after"] if "known after" in parts else 0.0
        return float(np.mean(list(parts.values()))) - DEAR * max(0.0, loss - LOSS)

    def _known_before(self, recogniser: Recogniser) -> float:
        """Without taught signs, so whatever their settings are."""
        if self._before is None:
            tally = Tally()
            for seed in range(self.seeds):
                tally.join(divided(recogniser, self.people, self.vocabulary, self.count, seed)["known before"])
            self._before = _share(tally)
        return self._before


def chosen_on(recogniser: Recogniser, choice: Choice) -> TaughtConfig:
    """The best of `TRIED`, one setting after the other and round again until none changes, for this choice."""
    reached: dict[TaughtConfig, float] = {}

    def of(settings: TaughtConfig) -> float:
        if settings not in reached:
            reached[settings] = choice.goal(with_settings(recogniser, settings))
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
    recogniser: Recogniser, everybody: People, letters: People, vocabulary: str, count: int, seeds: int
) -> dict[str, dict[str, Any]]:
    """As `evaluate`, each person read with the settings that the other half chose, together with the letters of
    training signers; what was chosen stands in front."""
    first, second = halves(everybody)
    ways = [
        Half(chosen_on(recogniser, Choice(chooses, letters, vocabulary, count, seeds)), reads)
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
