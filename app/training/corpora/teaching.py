"""How well taught signs are read: people of the dev splits teach signs with a few recordings each, and are read in
their other recordings."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module3_sequence.taught import TaughtSign, TaughtSigns
from app.pipeline.recogniser import GlossSegment, Recogniser, WindowOutput, hand_near
from app.training.corpora.recordings import Recording, read_recordings


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A recording and what the network of all glosses made of it."""

    gloss: str
    signer: str
    output: WindowOutput
    embedding: NDArray[np.float32]


#: Signer -> gloss -> recordings.
People = Mapping[str, Mapping[str, Sequence[Heard]]]


def people(recogniser: Recogniser, recordings: Iterable[Recording]) -> People:
    """The recordings with a hand, by signer and gloss."""
    taken = list(recordings)
    longest = recogniser.whole.config.decoder.window
    found: dict[str, dict[str, list[Heard]]] = defaultdict(lambda: defaultdict(list))
    frames = [recogniser.features(r.clip)[:longest] for r in taken]
    for recording, features, output in zip(taken, frames, read_recordings(recogniser, frames), strict=True):
        if hand_near(features).any():
            signer = f"{recording.corpus}/{recording.signer}"
            row = recogniser.embedding(output, features)
            found[signer][recording.gloss].append(Heard(recording.gloss, signer, output, row))
    return found


def answer(recogniser: Recogniser, output: WindowOutput) -> tuple[GlossSegment, ...]:
    """The signs of a recording, given what the network of all glosses said of it."""
    return recogniser.read(recogniser.narrow(output).log_probs, recogniser.new_decoder())


@dataclass
class Tally:
    """Answers, by person."""

    right: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    sure: list[tuple[bool, bool, float]] = field(default_factory=list)
    """Of each answer of one sign: whether it is right, whether it is marked as unsure, its confidence."""

    def add(self, heard: Heard, said: Sequence[GlossSegment], gloss: str | None = None) -> None:
        glosses = [gloss for gloss, _ in itertools.groupby(segment.gloss for segment in said)]
        right = glosses == [gloss or heard.gloss]
        self.right[heard.signer].append(right)
        if len(glosses) == 1:
            self.sure.append((right, all(s.unsure for s in said), max(s.confidence for s in said)))

    def join(self, other: Tally) -> None:
        """Take in the answers of another choice of recordings."""
        for person, answers in other.right.items():
            self.right[person] += answers
        self.sure += other.sure

    def figures(self) -> dict[str, Any]:
        answers = [right for person in self.right.values() for right in person]
        shares = [float(np.mean(person)) for person in self.right.values()]
        return {
            "people": len(shares),
            "recordings": len(answers),
            "right": _share(answers),
            "median_person": round(float(np.median(shares)), 4) if shares else None,
            "right_not_unsure": _share([not unsure for right, unsure, _ in self.sure if right]),
            "wrong_not_unsure": _share([not unsure for right, unsure, _ in self.sure if not right]),
        }


def taught_by(
    person: Mapping[str, Sequence[Heard]], glosses: Iterable[str], count: int, rng: np.random.Generator
) -> tuple[TaughtSigns | None, list[Heard]]:
    """`count` recordings of each gloss that has more, as a set, and the other recordings."""
    signs, others = [], []
    for gloss in sorted(glosses):
        heard = person[gloss]
        if len(heard) <= count:
            continue
        order = rng.permutation(len(heard))
        signs.append(TaughtSign.of(gloss, np.stack([heard[i].embedding for i in order[:count]])))
        others += [heard[i] for i in order[count:]]
    return (TaughtSigns(tuple(signs)) if signs else None), others


def alone(recogniser: Recogniser, everybody: People, count: int, seed: int) -> Tally:
    """Each person's set of two signs and more, read alone."""
    tally, rng = Tally(), np.random.default_rng(seed)
    for person in everybody.values():
        taught, others = taught_by(person, person, count, rng)
        if taught is None or len(taught.signs) < 2:
            continue
        reader = recogniser.taught_with(taught)
        for heard in others:
            tally.add(heard, answer(reader, heard.output))
    return tally


def together(recogniser: Recogniser, everybody: People, vocabulary: str, count: int, seed: int) -> dict[str, Tally]:
    """People teach what a vocabulary has not, and are read with both: the taught signs, and those of the vocabulary
    before and after."""
    plain, rng = recogniser.reading_with(vocabulary), np.random.default_rng(seed)
    known = set(plain.vocabulary)
    out = {"taught": Tally(), "known before": Tally(), "known after": Tally()}
    for person in everybody.values():
        taught, others = taught_by(person, set(person) - known, count, rng)
        if taught is None:
            continue
        reader = recogniser.taught_with(taught, vocabulary)
        for heard in others:
            out["taught"].add(heard, answer(reader, heard.output))
        for heard in (h for gloss in sorted(set(person) & known) for h in person[gloss]):
            out["known before"].add(heard, answer(plain, heard.output))
            out["known after"].add(heard, answer(reader, heard.output))
    return out


def divided(
    recogniser: Recogniser, everybody: People, vocabulary: str, count: int, seed: int, before: bool = True
) -> dict[str, Tally]:
    """Half of what each person signs of a vocabulary is taken out of it and taught: the taught signs beside the rest of
    the vocabulary, and what the same people sign of the rest, before (unless that is not wanted) and after. More people
    than `together` has, but the network was trained on the taught signs too."""
    everything, rng = recogniser.reading_with(vocabulary).vocabulary, np.random.default_rng(seed)
    out = {"taught": Tally(), "known before": Tally(), "known after": Tally()}
    for person in everybody.values():
        own = sorted(gloss for gloss in everything if len(person.get(gloss, ())) > count)
        if len(own) < 2:
            continue
        rng.shuffle(own)
        taken = own[: len(own) // 2]
        rest = [gloss for gloss in everything if gloss not in taken]
        taught, others = taught_by(person, taken, count, rng)
        assert taught is not None
        plain, reader = recogniser.reading_with(rest), recogniser.taught_with(taught, rest)
        for heard in others:
            out["taught"].add(heard, answer(reader, heard.output))
        for heard in (h for gloss in sorted(set(person) & set(rest)) for h in person[gloss]):
            if before:
                out["known before"].add(heard, answer(plain, heard.output))
            out["known after"].add(heard, answer(reader, heard.output))
    return out


def adapted(recogniser: Recogniser, everybody: People, vocabulary: str, count: int, seed: int) -> dict[str, Tally]:
    """People show how they sign glosses of a vocabulary; their other recordings of them, before and after."""
    plain, rng = recogniser.reading_with(vocabulary), np.random.default_rng(seed)
    out = {"before": Tally(), "after": Tally()}
    for person in everybody.values():
        taught, others = taught_by(person, set(person) & set(plain.vocabulary), count, rng)
        if taught is None:
            continue
        reader = recogniser.taught_with(taught, vocabulary)
        for heard in others:
            out["before"].add(heard, answer(plain, heard.output))
            out["after"].add(heard, answer(reader, heard.output))
    return out


def from_another(recogniser: Recogniser, everybody: People, count: int, seed: int) -> Tally:
    """Signs taught by one person, read from every other one who has two of them and more."""
    tally, rng = Tally(), np.random.default_rng(seed)
    for teacher, person in everybody.items():
        taught, _ = taught_by(person, person, count, rng)
        if taught is None:
            continue
        for other, theirs in everybody.items():
            both = sorted(set(taught.glosses) & set(theirs))
            if other == teacher or len(both) < 2:
                continue
            signs = tuple(sign for sign in taught.signs if sign.gloss in both)
            reader = recogniser.taught_with(TaughtSigns(signs))
            for heard in (h for gloss in both for h in theirs[gloss][:8]):
                tally.add(heard, answer(reader, heard.output))
    return tally


def never_taught(recogniser: Recogniser, everybody: People, count: int, seed: int) -> list[str]:
    """Half of each person's signs are taught; what is said of each recording of the other half: "nothing", "unsure", or
    "sure" and wrong."""
    rng = np.random.default_rng(seed)
    said = []
    for person in everybody.values():
        glosses = sorted(gloss for gloss in person if len(person[gloss]) > count)
        if len(glosses) < 4:
            continue
        rng.shuffle(glosses)
        taught, _ = taught_by(person, glosses[::2], count, rng)
        assert taught is not None
        reader = recogniser.taught_with(taught)
        for heard in (h for gloss in glosses[1::2] for h in person[gloss][:8]):
            segments = answer(reader, heard.output)
            said.append("nothing" if not segments else "unsure" if all(s.unsure for s in segments) else "sure")
    return said


def tallied(
    recogniser: Recogniser, everybody: People, vocabulary: str, count: int, seeds: int
) -> tuple[dict[str, Tally], list[str]]:
    """What is measured -> answers, over several choices of the `count` recordings that are taught; and what is said of
    signs that were not taught."""
    tallies: dict[str, Tally] = {}
    never: list[str] = []
    for seed in range(seeds):
        found = {"own set alone": alone(recogniser, everybody, count, seed)}
        if recogniser.whole.prototypes is not None:
            both = together(recogniser, everybody, vocabulary, count, seed)
            found |= {f"with {vocabulary}: {name}": tally for name, tally in both.items()}
            halves = divided(recogniser, everybody, vocabulary, count, seed)
            found |= {f"half of {vocabulary}, the other half taught: {name}": tally for name, tally in halves.items()}
            own = adapted(recogniser, everybody, vocabulary, count, seed)
            found |= {f"{vocabulary}, as I sign it: {name}": tally for name, tally in own.items()}
        found["taught by another person"] = from_another(recogniser, everybody, count, seed)
        for name, tally in found.items():
            tallies.setdefault(name, Tally()).join(tally)
        never += never_taught(recogniser, everybody, count, seed)
    return tallies, never


def figures_of(tallies: Mapping[str, Tally], never: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is measured -> its figures."""
    kinds = {kind: _share([said == kind for said in never]) for kind in ("nothing", "unsure", "sure")}
    return {name: tally.figures() for name, tally in tallies.items()} | {
        "signs that were not taught": {"recordings": len(never), **kinds}
    }


def evaluate(
    recogniser: Recogniser, everybody: People, vocabulary: str, count: int, seeds: int
) -> dict[str, dict[str, Any]]:
    """What is measured -> its figures."""
    return figures_of(*tallied(recogniser, everybody, vocabulary, count, seeds))


def _share(values: Sequence[bool]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None
