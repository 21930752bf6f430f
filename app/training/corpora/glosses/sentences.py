"""Everyday sentences over the large vocabulary, for its gloss language model: patterns that are expanded, and which of
the sentences are kept apart."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.pipeline.module3_sequence.ngram import END, NgramModel
from app.training.errors import ConfigError

Sentence = tuple[str, ...]

PATTERNS = Path(__file__).with_name("sentences.txt")
HELD_OUT = Path(__file__).with_name("sentences_held_out.txt")
#: Sentences of one pattern at most: a pattern with many fillings must not drown the others.
PER_PATTERN = 24
#: One in so many sentences of the patterns is kept apart.
KEPT_APART = 6
_SLOT = re.compile(r"\[([^\[\]]+)\]|(\S+)")


@dataclass(frozen=True)
class Sentences:
    """What a language model is counted on, and what it is tried on."""

    counted: tuple[Sentence, ...]
    """Of the patterns, each once."""
    same_patterns: tuple[Sentence, ...]
    """Kept apart: other fillings of the same patterns."""
    others: tuple[Sentence, ...]
    """Kept apart: written by themselves, none of them counted."""


def everyday_sentences(patterns: Path = PATTERNS, held_out: Path = HELD_OUT) -> Sentences:
    """The sentences of the two files. Raises ValueError for a line that cannot be read."""
    others = tuple(dict.fromkeys(tuple(line.split()) for line in _lines(held_out)))
    made = dict.fromkeys(expanded(_lines(patterns)))
    rest = [sentence for sentence in made if sentence not in set(others)]
    apart = {sentence for sentence in rest if zlib.crc32(" ".join(sentence).encode()) % KEPT_APART == 0}
    return Sentences(
        tuple(sentence for sentence in rest if sentence not in apart),
        tuple(sentence for sentence in rest if sentence in apart),
        others,
    )


def expanded(lines: Sequence[str]) -> list[Sentence]:
    """Patterns -> sentences. `@name = GLOSS GLOSS` makes a list, `[A B @name]` is one of these, `-` nothing.

    Raises ValueError for a list that was not defined before.
    """
    lists: dict[str, list[str]] = {}
    out: list[Sentence] = []

    def alternatives(text: str) -> list[str]:
        found = []
        for word in text.split():
            if word.startswith("@"):
                if word not in lists:
                    raise ValueError(f"no list {word} is defined above: {text}")
                found += lists[word]
            else:
                found.append(word)
        return found

    for line in lines:
        name, equals, words = line.partition(" = ")
        if equals:
            lists[name.strip()] = alternatives(words)
            continue
        slots = [alternatives(choice or word) for choice, word in _SLOT.findall(line)]
        out += [tuple(word for word in made if word != "-") for made in _some(slots, line)]
    return out


def _some(slots: list[list[str]], line: str) -> list[tuple[str, ...]]:
    """All fillings, or PER_PATTERN of them where there are more, always the same ones."""
    made = list(itertools.product(*slots))
    if len(made) <= PER_PATTERN:
        return made
    rng = np.random.default_rng(zlib.crc32(line.encode()))
    return [made[i] for i in sorted(rng.choice(len(made), PER_PATTERN, replace=False))]


def _lines(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def counted(sentences: Iterable[Sentence], vocabulary: Sequence[str], order: int) -> NgramModel:
    """A language model of these sentences. Raises ConfigError where one has a gloss that is not in the vocabulary."""
    label = {gloss: i for i, gloss in enumerate(vocabulary, 1)}
    sentences = list(sentences)
    unknown = sorted({gloss for sentence in sentences for gloss in sentence} - label.keys())
    if unknown:
        raise ConfigError(f"the checkpoint does not know {', '.join(unknown[:8])}; take them out of {PATTERNS.name}")
    return NgramModel.fit([[label[gloss] for gloss in sentence] for sentence in sentences], vocabulary, order)


def perplexity(lm: NgramModel, sentences: Sequence[Sentence]) -> float:
    """Of the sentences with their ends; all glosses must be of the model's vocabulary."""
    label = {gloss: i for i, gloss in enumerate(lm.vocabulary, 1)}
    total, symbols = 0.0, 0
    for sentence in sentences:
        context = lm.start()
        for symbol in (*(label[gloss] for gloss in sentence), END):
            total += lm.log_probs(context)[symbol]
            symbols += 1
            if symbol != END:
                context = lm.advance(context, symbol)
    return float(np.exp(-total / symbols))
